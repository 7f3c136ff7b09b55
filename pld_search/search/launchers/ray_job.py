"""A run on a Ray cluster as the coordinator sees it: an actor on each of its nodes, asked without waiting for the
answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

KILLED = -9
PATIENCE = 30.0
"""Seconds that the other nodes of a run are given to end by themselves, or to say why they cannot go on, once one has
ended.
"""


class Part:
    """What is on one node. `code` and `verdict` are those of the interface's Job; `started` is the answer to the
    actor's `start`.
    """

    def __init__(self, ray: Any, actor: Any, started: Any) -> None:
        self._ray, self.actor = ray, actor
        self._asked = started  # the answer that is awaited
        self._node: str | None = None
        self.code: int | None = None
        self.verdict: str | None = None

    @property
    def waiting(self) -> bool:
        """Whether the node has not started it yet."""
        return self._node is None and self.code is None

    def look(self) -> None:
        """Take the answer, if there is one, and ask anew."""
        if self.code is not None or not self._ray.wait([self._asked], timeout=0)[0]:
            return
        try:
            self._hear(self._ray.get(self._asked))
        except self._ray.exceptions.ActorUnavailableError:
            self._asked = self.actor.poll.remote()  # the network faltered: nothing is known to be lost
        except self._ray.exceptions.RayTaskError as error:
            self.code, self.verdict = 1, f"crashed: the node cannot start it: {error.cause}"
        except self._ray.exceptions.RayError as error:
            self._lose(error)

    def _hear(self, answer: str | int | None) -> None:
        if isinstance(answer, int):
            self.code = answer
            return
        if isinstance(answer, str):
            self._node = answer
        self._asked = self.actor.poll.remote()

    def _lose(self, error: Exception) -> None:
        """The actor is gone, and what it had started with it: of the two, only the run's own process says that the run
        is to blame.
        """
        memory = isinstance(error, self._ray.exceptions.OutOfMemoryError)
        where = self._node or "the node that was to run it"
        self.code = KILLED
        self.verdict = (
            f"out_of_memory: Ray ended it for lack of memory on {where}"
            if memory
            else f"lost_node: {where} was lost, or Ray's worker on it"
        )


class RayJob:
    """The parts of one run, the first rank's first; it has ended when all have, by the first one's code.

    Where one fails, the others soon notice by their collectives; where one was lost, what they say is but the echo.
    """

    def __init__(
        self, ray: Any, parts: Sequence[Part], group: Any, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ray, self._parts, self._group, self._clock = ray, list(parts), group, clock
        self._since: float | None = None  # when a part was first seen to have ended
        self._killed = False
        self._code: int | None = None
        self.trace = {"job": name}
        self.verdict: str | None = None

    @property
    def waiting(self) -> bool:
        """Whether a part has not started yet."""
        return any(part.waiting for part in self._parts)

    def poll(self) -> int | None:
        """The exit code once every part has ended; None before."""
        if self._code is None:
            for part in self._parts:
                part.look()
            ended = [part for part in self._parts if part.code is not None]
            if len(ended) == len(self._parts):
                self._end(*self._found())
            elif ended:
                self._end_the_others(lost=any(part.verdict for part in ended))
        return self._code

    def _found(self) -> tuple[int, str | None]:
        """Code and verdict of the whole. A first part that was killed because of another says nothing: that one's code
        counts.
        """
        code = self._parts[0].code or 0
        if self._killed and code == KILLED:
            code = next((part.code for part in self._parts if part.code not in (None, 0, KILLED)), code)
        return code, next((part.verdict for part in self._parts if part.verdict), None)

    def _end_the_others(self, lost: bool) -> None:
        self._since = self._clock() if self._since is None else self._since
        if not self._killed and (lost or self._clock() - self._since > PATIENCE):
            self._killed = True
            self._send("kill")

    def _send(self, word: str) -> None:
        for part in self._parts:
            if part.code is None:
                getattr(part.actor, word).remote()

    def _end(self, code: int, verdict: str | None) -> None:
        from ray.util.placement_group import remove_placement_group

        self._code, self.verdict = code, verdict
        for part in self._parts:
            self._ray.kill(part.actor)
        remove_placement_group(self._group)

    def stop(self) -> None:
        """Ask every part to write a checkpoint and end; while it still waits for nodes it ends at once."""
        self._ask_to_end("stop", -15)

    def kill(self) -> None:
        """End every part without a checkpoint."""
        self._ask_to_end("kill", KILLED)

    def _ask_to_end(self, word: str, code: int) -> None:
        if self.poll() is None and self.waiting:
            self._end(code, "stopped: it had not begun")
        elif self._code is None:
            self._send(word)
