"""A module on several ranks, as `train --ranks` starts them: tests.training.rank_launch RANKS MODULE WORDS..."""

from __future__ import annotations

import sys

from pld_search.cli.ranks import launched_module

if __name__ == "__main__":
    sys.exit(launched_module(int(sys.argv[1]), *sys.argv[2:]))
