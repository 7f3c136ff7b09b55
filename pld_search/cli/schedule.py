"""`schedule`: the verbs of schedules; each is loaded from cli/schedule_NAME.py when it is called."""

from __future__ import annotations

from pld_search.cli.verb_group import LazyVerbs, Verb


class ScheduleVerbs(LazyVerbs):
    """The verbs that inspect a schedule before any training."""

    verbs = {
        "show": Verb("pld_search.cli.schedule_show", "show", "Draw a schedule and print what it keeps."),
        "plot": Verb("pld_search.cli.schedule_plot", "plot", "Draw schedules side by side, as a picture."),
        "compare": Verb("pld_search.cli.schedule_compare", "compare", "Compare schedules at equal steps and FLOPs."),
        "list": Verb("pld_search.cli.schedule_list", "list_", "List the schedules of the library."),
        "validate": Verb("pld_search.cli.schedule_validate", "validate", "Check schedules."),
        "import": Verb("pld_search.cli.schedule_import", "import_", "Turn a DeepSpeed config into a schedule."),
    }


schedule = ScheduleVerbs(
    name="schedule",
    help="Show, draw, compare, list, check and import schedules.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
