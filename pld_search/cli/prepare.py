"""`prepare FILE`: prepares corpus, tokenizer and tasks of a study for its runs."""

from __future__ import annotations

from pld_search.app.find_study import study_of
from pld_search.app.machine_setup import machine_of
from pld_search.app.prepare_study import prepare_study
from pld_search.cli.options import Json, MachineFile, Sets, StudyFile
from pld_search.cli.output import emit, say


def prepare(file: StudyFile, sets: Sets = None, json: Json = False, machine: MachineFile = None) -> None:
    """Prepare the data of a study.

    What is already there is used again.
    """
    found = prepare_study(study_of(file, sets), machine_of(machine, sets or ()), lambda text: say(text, aside=True))
    if json:
        emit(found.model_dump(mode="json"))
        return
    corpus = found.corpus
    say(f"corpus     {corpus.corpus[:19]} in {corpus.folder}")
    for name, value in corpus.statistics.items():
        say(f"           {name}: {value}")
    say(f"tokenizer  {corpus.tokenizer[:19]}, {corpus.vocabulary:,} pieces")
    for task in found.tasks:
        say(f"task       {task.task.suite}/{task.task.name}: {task.task.kind}, {', '.join(task.task.metrics)}")
    if found.checkpoint is not None:
        say(f"checkpoint {found.checkpoint.folder}")  # the progress lines have described it already
