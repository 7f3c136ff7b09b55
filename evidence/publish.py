"""Packs the runs that have ended since, writes the results page and commits both: `python -m evidence.publish`.

It commits to the branch that is checked out, and nothing but records and results. Needs the project's environment.
"""

from __future__ import annotations

from evidence.background import git, pack_all, say
from evidence.places import DESIGNS, RECORDS, Home
from evidence.results import NUMBERS, PAGE, PICTURES, write


def publish(home: Home) -> None:
    """Pack, write and commit; says what there is, and commits nothing where nothing changed."""
    told = pack_all(home)
    write(DESIGNS)
    say(told)
    written = [str(path) for path in (RECORDS, DESIGNS / PAGE, DESIGNS / NUMBERS, DESIGNS / PICTURES)]
    if git("status", "--porcelain", "--", *written):
        git("add", "--", *written)
        git("commit", "--quiet", "--message", f"Evidence, records and results: {told}", "--", *written)


if __name__ == "__main__":
    publish(Home())
