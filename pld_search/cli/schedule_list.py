"""`schedule list`: lists the schedules of the library."""

from __future__ import annotations

from pld_search.cli.options import Json
from pld_search.cli.output import UNBROKEN, columns, emit, say, wrapped
from pld_search.schedules.library import names, path_of
from pld_search.specs.written_schedules import schedule_tree


def list_(json: Json = False) -> None:
    """List the schedules of the library."""
    trees = {name: schedule_tree(name) for name in names()}
    if json:
        emit(
            [
                {
                    "name": name,
                    "about": tree.get("about", ""),
                    "source": tree.get("source", ""),
                    "file": str(path_of(name)),
                }
                for name, tree in trees.items()
            ]
        )
        return
    width = max(map(len, trees))
    for name, tree in trees.items():
        about = wrapped(tree.get("about", ""), columns(UNBROKEN) - width - 2, 0)
        say(f"{name:<{width}}  {next(about)}".rstrip())
        for line in about:
            say(" " * (width + 2) + line)
