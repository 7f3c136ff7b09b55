"""Makes the data of a study ready: its corpus, tokenizer and tasks, and the checkpoint that it starts from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pld_search.app.study_data import check_places, template_of
from pld_search.data.prepare_data import prepare
from pld_search.spaces.study import Study
from pld_search.specs.machine import Machine
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.template import ModelFrom


def prepare_study(study: Study, machine: Machine, tell: Callable[[str], None] | None = None) -> Prepared:
    """Prepares everything that the study's template names in the machine's cache; `tell` receives lines on the
    progress.

    Raises DataError or ConfigError for data that cannot be read as stated.
    """
    check_places(study, machine)
    template, base = template_of(study), Path(study.base)
    prepared = prepare(
        template.data, template.evaluation, Path(machine.cache), places=machine.places, base=base, progress=tell
    )
    if not isinstance(template.model, ModelFrom):
        return prepared
    from pld_search.app.starting_checkpoint import with_checkpoint  # loads torch; few studies start from a checkpoint

    return with_checkpoint(prepared, template.model, study, tell or (lambda _: None))
