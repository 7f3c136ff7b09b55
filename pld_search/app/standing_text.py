"""The status of runs as text: a line for each run, a line for all runs, and the news since the last look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pld_search.app.study_status import ENDED, Standing, Whole
from pld_search.report.number_text import duration

_SILENT = ("waiting", "starting", "branching")


def line(run: Standing) -> str:
    """Formats a run: `pld seed 0: running, step 100 of 400, loss 5.912, 32 s left`."""
    parts = [state_text(run), f"step {run.step:,}" + (f" of {run.steps:,}" if run.steps else "")]
    if run.loss is not None:
        parts.append(f"{run.loss_name} loss {run.loss:.3f}" if run.loss_name else f"loss {run.loss:.3f}")
    if run.eta is not None:
        parts.append(f"{duration(run.eta)} left")
    if run.reason and run.state not in ("finished", "running", "evaluating", "branching"):
        parts.append(run.reason)
    if run.reused_from:
        parts.append(f"equal to trial {run.reused_from.replace('/', ' seed ')}, whose result counts")
    return f"{run.name} seed {run.seed_index}: {', '.join(parts)}"


def state_text(run: Standing) -> str:
    """Returns `running`, or the current fine-tuning: `evaluating older, 2 of 3`."""
    return f"{run.state} {run.evaluating}" if run.evaluating else run.state


def summary(all_runs: Whole) -> str:
    """Formats all runs: `demo ━━━━╌╌ 5 of 8 runs · 62 % of the FLOPs · ~4 min left`."""
    parts = [f"{all_runs.ended} of {all_runs.runs} runs"]
    if all_runs.share is not None:
        parts.append(f"{all_runs.share:.0%} of the FLOPs".replace("%", " %"))
    if all_runs.eta is not None:
        parts.append(f"~{_about(all_runs.eta)} left")
    share = all_runs.ended / max(all_runs.runs, 1) if all_runs.share is None else all_runs.share
    return f"{all_runs.name} {bar(round(100 * share), 100)} {' · '.join(parts)}"


def _about(seconds: float) -> str:
    """Formats a rough time: `40 s`, `7 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def failure(run: Standing) -> list[str]:
    """Returns the last log lines of a failed run, indented; empty for other runs."""
    return [f"    {text}" for text in run.lines] if run.state == "failed" else []


def bar(step: int, steps: int | None, width: int = 12) -> str:
    """Returns a progress bar of `width` characters."""
    done = 0 if not steps else width * min(step, steps) // steps
    return "━" * done + "╌" * (width - done)


class News:
    """The news of a study at every look: a run that began, ended or completed another quarter, and the total after each
    ended run.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[int, int], tuple[str, int]] = {}
        self._ended = 0

    def since(self, standings: Sequence[Standing], whole: Whole) -> Iterator[str]:
        """Yields the lines since the last call."""
        for run in standings:
            key = (run.trial, run.seed_index)
            before, now = self._said.get(key, ("", 0)), (run.state, run.quarter)
            if now != before and run.state not in _SILENT:
                self._said[key] = now
                yield line(run)
                yield from failure(run)
        ended = sum(run.state in ENDED for run in standings)
        if ended != self._ended:
            self._ended = ended
            yield summary(whole)
