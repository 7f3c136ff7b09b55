"""`python -m pld_search.cli.agent ...`: torchrun, less its report: a rank that fails has said why, and one that was
killed is named in one line.
"""

from __future__ import annotations

import logging
import signal
import sys

from pld_search.cli.output import say
from pld_search.cli.verb_group import PROGRAM


def main(words: list[str]) -> int:
    """Run torch's launcher with these words, to the end of its ranks; 1 where one of them failed, 128 + its number
    after a signal.
    """
    logging.disable(logging.ERROR)
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    try:
        run(parse_args(words))  # type: ignore[no-untyped-call]
    except SignalException as stopped:
        return 128 + stopped.sigval.value
    except ChildFailedError as failed:
        rank, first = failed.get_first_failure()
        if first.exitcode < 0:
            say(f"{PROGRAM}: rank {rank} was ended by {signal.Signals(-first.exitcode).name}", aside=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
