"""A run on a Ray cluster, seen from the coordinator: an actor on each node of the run, asked without waiting for
answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

KILLED = -9
PATIENCE = 30.0
"""Once one part has ended, seconds for the other nodes of a run to end by themselves or to report why they cannot go
on.
"""


class Part:
    """The part of a run on one node. `code` and `verdict` mean the same as on a Job; `started` is the pending answer to
    the actor's `start`.
    """

    def __init__(self, ray: Any, actor: Any, started: Any) -> None:
        self._ray, self.actor = ray, actor
        self._asked = started  # the pending answer
        self._node: str | None = None
        self.code: int | None = None
        self.verdict: str | None = None

    @property
    def waiting(self) -> bool:
        """Whether the node has not started the part yet."""
        return self._node is None and self.code is None

    def look(self) -> None:
        """Takes the answer if it has arrived, and asks again."""
        if self.code is not None or not self._ray.wait([self._asked], timeout=0)[0]:
            return
        try:
            self._hear(self._ray.get(self._asked))
        except self._ray.exceptions.ActorUnavailableError:
            self._asked = self.actor.poll.remote()  # the network failed for a moment: the actor may be fine
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
        """Records that the actor, and with it the part it started, is lost. A lost actor is no failure of the run
        itself: only the run's own process reports such failures.
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
    """The parts of one run, the part of the first rank first. The run has ended when all parts have, with the first
    part's exit code.

    When one part fails, the other parts soon notice through their collectives. When one part was lost, the errors of
    the other parts only follow from the loss.
    """

    def __init__(
        self, ray: Any, parts: Sequence[Part], group: Any, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ray, self._parts, self._group, self._clock = ray, list(parts), group, clock
        self._since: float | None = None  # time at which a part was first seen to have ended
        self._killed = False
        self._code: int | None = None
        self.trace = {"job": name}
        self.verdict: str | None = None

    @property
    def waiting(self) -> bool:
        """Whether a part has not started yet."""
        return any(part.waiting for part in self._parts)

    def poll(self) -> int | None:
        """Returns the exit code once every part has ended; None before."""
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
        """Returns code and verdict of the whole run. When the first part was killed because of another part's failure,
        the code of the failed part counts.
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
        """Asks every part to write a checkpoint and end; a run that still waits for nodes ends at once."""
        self._ask_to_end("stop", -15)

    def kill(self) -> None:
        """Ends every part without a checkpoint."""
        self._ask_to_end("kill", KILLED)

    def _ask_to_end(self, word: str, code: int) -> None:
        if self.poll() is None and self.waiting:
            self._end(code, "stopped: it had not begun")
        elif self._code is None:
            self._send(word)
