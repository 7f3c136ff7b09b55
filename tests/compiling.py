"""What torch compiles is kept by the code of a function, for the whole process: a test that counts graphs begins and
ends without any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Graphs:
    def count(self) -> int:
        from torch._dynamo.utils import counters

        return int(counters["stats"]["unique_graphs"])

    def breaks(self) -> int:
        from torch._dynamo.utils import counters

        return sum(counters["graph_break"].values())


@contextmanager
def fresh_compiler() -> Iterator[Graphs]:
    """The graphs compiled in its block; a function that needs more of them than torch keeps is an error there, where
    torch would go on without.
    """
    from torch._dynamo import config, reset  # imported late: it imports the whole compiler
    from torch._dynamo.utils import counters

    reset()
    counters.clear()
    try:
        with config.patch(fail_on_recompile_limit_hit=True):  # monkeypatch cannot put such a setting back
            yield Graphs()
    finally:
        torch.compiler.reset()
