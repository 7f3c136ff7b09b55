"""`schema schedule | study | machine`: JSON Schema of a user's files, for editors that complete and check YAML."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from pld_search.cli.output import emit
from pld_search.schedules.schedule_schema import schedule_schema
from pld_search.spaces.study_schema import machine_schema, study_schema


class SchemaOf(StrEnum):
    """The kinds of files a user writes."""

    schedule = "schedule"
    study = "study"
    machine = "machine"


def schema(
    kind: Annotated[SchemaOf, typer.Argument(metavar="schedule|study|machine", help="The kind of file.")],
) -> None:
    """Print the JSON Schema of a schedule, study or machine file."""
    emit({SchemaOf.schedule: schedule_schema, SchemaOf.study: study_schema, SchemaOf.machine: machine_schema}[kind]())
