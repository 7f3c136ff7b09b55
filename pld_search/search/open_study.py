"""Opens a study: creates a new study, or continues an existing study when its definition is still the same."""

from __future__ import annotations

import os
import uuid

from pld_search.errors import ConfigError, Problem, StudyError
from pld_search.host.disk import write_atomically
from pld_search.host.processes import host, start_time
from pld_search.records.study_events import StudyCreated, StudyOpened
from pld_search.search.borrowed import borrowed_from
from pld_search.search.ledger import Ledger
from pld_search.search.sampling import STARTS
from pld_search.spaces.study import Study
from pld_search.spaces.study_identity import differences, identity
from pld_search.specs.yaml_io import dump


def begin(ledger: Ledger, study: Study, device: str) -> Study:
    """Creates or continues the study in the ledger's folder. Returns the study with `precision: auto` as fixed at its
    creation.

    Raises ConfigError with every difference when the study was changed, and StudyError when the folder's records are
    incomplete.
    """
    created, note = ledger.study.created, ledger.folder / "id"
    if created is None:
        if note.exists():
            raise StudyError(
                f"{ledger.folder} has an id but no study.jsonl: its records are lost; give the study another folder"
            )
        study = study.fixed(device)
        borrowed = borrowed_from(study, ledger.folder)  # bad input is refused before anything is written
        study_id = uuid.uuid4().hex
        ledger.write(
            StudyCreated(
                id=study_id,
                name=study.name,
                device=device,
                definition=study.definition(),
                identity=identity(study),
                starts=STARTS,
            )
        )
    else:
        study_id, study = str(created.id), _as_begun(ledger, study.fixed(created.device))
        if note.exists() and note.read_text().strip() != study_id:
            raise StudyError(f"the id file of {ledger.folder} belongs to another study than its study.jsonl")
        _check_same(ledger, study)
        known = ledger.study.borrowed is not None or ledger.study.trials
        borrowed = None if known else borrowed_from(study, ledger.folder)
    if borrowed is not None:
        ledger.write(borrowed)
    ledger.write(
        StudyOpened(
            pid=os.getpid(), process_started=start_time(os.getpid()), host=host(), definition=study.definition()
        )
    )
    write_atomically(note, study_id + "\n")
    write_atomically(ledger.folder / "study.yaml", dump(study.definition()))
    return study


def _as_begun(ledger: Ledger, study: Study) -> Study:
    """Returns the study with the sampler and the final losses that it was begun with, where its file leaves them open:
    earlier versions had other defaults.
    """
    if "final" not in (ledger.study.definition.experiment_of(None).get("validation") or {}):
        study = study.without_final
    before = ledger.study.definition.sampler
    if study.search is None or study.search.sampler != "auto" or before is None:
        return study
    return study.model_copy(update={"search": study.search.model_copy(update={"sampler": before})})


def _check_same(ledger: Ledger, study: Study) -> None:
    changes = differences(Study.from_definition(ledger.study.definition.tree), study)
    if changes:
        text = (
            f"{ledger.folder} was begun with another study: repeat the --set and the PLD_SEARCH_STEPS that "
            "it was begun "
            "with, or give the changed one another name or folder"
        )
        raise ConfigError([Problem(text), *(Problem(change) for change in changes)])
