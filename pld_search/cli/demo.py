"""`demo`: runs the shipped demo study up to its comparison, on any machine."""

from __future__ import annotations

import typer

from pld_search.app.find_study import study_of
from pld_search.app.machine_setup import machine_used
from pld_search.app.run_study import Services
from pld_search.cli.options import Device, Json, MachineFile, Runs, Slots, Threads, TrackingUri
from pld_search.cli.output import say, ui_line
from pld_search.cli.run import run_and_show

NEXT = """to try next:
  pld-search schedule show pld --layers 12    what a schedule keeps
  pld-search init mine --text 'texts/*.txt'   a study of your own text
  pld-search plan rebuttal-flops              what a full comparison costs"""


def demo(
    slots: Slots = None,
    threads: Threads = None,
    device: Device = None,
    runs: Runs = None,
    machine: MachineFile = None,
    tracking_uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Run the demo study and compare its systems.

    Named systems and sampled trials at equal FLOPs, pre-trained, fine-tuned, compared. PLD_SEARCH_STEPS=N in the
    environment gives the reference N steps instead, and fine-tunes for one epoch.
    """
    study = study_of("demo", None)
    ui = ui_line(study.name, runs, tracking_uri)
    with machine_used(machine, slots=slots, threads=threads, device=device, runs=runs) as found:
        say(f"{study.name}: {study.about}" if study.about else study.name, aside=json)
        services = Services(tracking_uri, None)
        code = run_and_show(study, found, services, again="the same command", json=json, ui=ui)
    if code:
        raise typer.Exit(code)
    say(NEXT, aside=json)
