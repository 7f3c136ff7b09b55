"""Packs newly ended runs, writes the results page and commits both: `python -m evidence.publish`.

It commits to the current branch, and only records and results. It needs the project's environment.
"""

from __future__ import annotations

from evidence.background import git, pack_all, say
from evidence.places import DESIGNS, RECORDS, Home
from evidence.results import NUMBERS, PAGE, PICTURES, write


def publish(home: Home) -> None:
    """Packs, writes and commits; prints the numbers of runs, and commits nothing when nothing changed."""
    told = pack_all(home)
    write(DESIGNS)
    say(told)
    written = [str(path) for path in (RECORDS, DESIGNS / PAGE, DESIGNS / NUMBERS, DESIGNS / PICTURES)]
    if git("status", "--porcelain", "--", *written):
        git("add", "--", *written)
        git("commit", "--quiet", "--message", f"Evidence, records and results: {told}", "--", *written)


if __name__ == "__main__":
    publish(Home())
