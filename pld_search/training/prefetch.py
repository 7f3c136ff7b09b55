"""Batches made ahead of the training by a thread. They are pure functions of the step, so this changes no result."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetch(Generic[Item]):
    """Iterates over (step, make(step)) for step in start .. stop - 1. An exception of `make` is raised in place of its
    item.
    """

    def __init__(self, make: Callable[[int], Item], start: int, stop: int, *, ahead: int = 2) -> None:
        self._make, self._steps = make, range(start, stop)
        self._ready: queue.Queue[tuple[int, Item | None, Exception | None]] = queue.Queue(maxsize=ahead)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)

    def __enter__(self) -> Prefetch[Item]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        while self._thread.is_alive():
            self._discard_one()
            self._thread.join(timeout=0.05)

    def _discard_one(self) -> None:
        try:
            self._ready.get_nowait()
        except queue.Empty:
            return

    def _work(self) -> None:
        for step in self._steps:
            if self._closed.is_set():
                return
            try:
                self._ready.put((step, self._make(step), None))
            except Exception as error:  # passed to the training thread
                self._ready.put((step, None, error))
                return

    def __iter__(self) -> Iterator[tuple[int, Item]]:
        for _ in self._steps:
            step, item, error = self._ready.get()
            if error is not None:
                raise error
            assert item is not None
            yield step, item
