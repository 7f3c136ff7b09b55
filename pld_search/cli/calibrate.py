"""`calibrate EXPERIMENT`: measures the cost of steps of one architecture on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pld_search.app.run_files import execution_beside, experiment_in
from pld_search.cli.options import Json
from pld_search.cli.output import emit, say
from pld_search.costs.profile import Profile
from pld_search.costs.profile_store import store_profile

ExperimentFile = Annotated[
    Path, typer.Argument(metavar="EXPERIMENT", help="An experiment.yaml; execution.yaml lies beside it.")
]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help=("The folder that keeps the profile; `plan` reads the folder `profiles` of the cache."),
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        "--seconds", metavar="SECONDS", min=0, help="Duration of the measurement, after the steps have settled."
    ),
]


def calibrate(experiment: ExperimentFile, store: Store = None, seconds: Seconds = None, json: Json = False) -> None:
    """Measure one experiment's architecture, alone on its slot.

    Seconds a layer, seconds of the rest of a step, and peak memory. `plan STUDY --calibrate` starts this for every
    architecture.
    """
    what, how = experiment_in(experiment), execution_beside(experiment)
    from pld_search.training.measure_profile import SECONDS, measure  # torch loads only after the files were checked

    profile = measure(what, how, SECONDS if seconds is None else seconds)
    if store is not None:
        store_profile(store, profile)
    if json:
        emit(profile.model_dump(mode="json"))
    for line in told(profile):
        say(line, aside=json)


def told(profile: Profile) -> Iterator[str]:
    """Formats a profile as lines of text."""
    yield f"{profile.about}; {profile.said}"
    yield (
        f"  a layer {_ms(profile.seconds_per_layer)} (attention {_ms(profile.seconds_attention)}), its update "
        f"{_ms(profile.seconds_update)}"
    )
    yield (
        f"  the rest of a step {_ms(profile.seconds_fixed)}; memory {profile.memory_gb:.2f} GB; settled after "
        f"{profile.seconds_start:.1f} s"
    )
    yield (
        f"  {profile.rounds} steps of each kind; half of the full-depth ones lie within "
        f"{100 * profile.spread:.1f} % of their median"
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
