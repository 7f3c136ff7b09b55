"""The BibTeX entries of a paper: the sources of the rows' schedules, and the tests; paper_text.py cites their keys."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pld_search.report.comparison import SystemRow
from pld_search.report.latex_text import escaped, quoted

DUNNETT, SCHUIRMANN = "dunnett1955", "schuirmann1987"
_TESTS = f"""@article{{{DUNNETT},
  author = {{Dunnett, Charles W.}}, year = {{1955}}, journal = {{Journal of the American Statistical Association}},
  title = {{A multiple comparison procedure for comparing several treatments with a control}},
  volume = {{50}}, pages = {{1096--1121}}
}}
@article{{{SCHUIRMANN},
  author = {{Schuirmann, Donald J.}}, year = {{1987}}, journal = {{Journal of Pharmacokinetics and Biopharmaceutics}},
  title = {{A comparison of the two one-sided tests procedure and the power approach}},
  volume = {{15}}, pages = {{657--680}}
}}
"""
_WORK = re.compile(r'(?:(?P<authors>[A-Z][^",;]*), )?"(?P<title>[^"]+)"(?P<rest>.*)')
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")


def bibliography(table: Sequence[SystemRow]) -> str:
    """Returns the BibTeX of the sources that the rows' schedules name, and of the tests."""
    return "".join(entry(key, source) for key, source in sources(table).items()) + _TESTS


def sources(table: Sequence[SystemRow]) -> dict[str, str]:
    """Returns the published sources of the rows' schedules by their keys; a source without a year is no reference."""
    found: dict[str, str] = {}
    for row in table:
        if (source := source_of(row)) is not None and source not in found.values():
            found[key_of(row)] = source
    return found


def source_of(row: SystemRow) -> str | None:
    """Returns the published source of a row's schedule, as the schedule states it."""
    source = row.experiment.schedule.source if row.experiment is not None else None
    return source if source and _YEAR.search(source) else None


def key_of(row: SystemRow) -> str:
    """Returns the key of the source of a row's schedule."""
    named = row.experiment.schedule.name if row.experiment is not None else ""
    return re.sub(r"[^A-Za-z0-9-]", "", named or row.label)


def entry(key: str, source: str) -> str:
    """Returns one `@misc` of a source as schedules state it: authors, "title", venue and year, arXiv number. A source
    in another form is a note, and its key is what it is sorted by.

    >>> print(entry("pld", 'Zhang & He, "Accelerating", NeurIPS 2020, arXiv 2010.13369'), end="")
    @misc{pld,
      author = {Zhang and He},
      title = {{Accelerating}},
      year = {2020},
      eprint = {2010.13369}, archiveprefix = {arXiv},
      note = {NeurIPS 2020, arXiv 2010.13369}
    }
    """
    work = _WORK.fullmatch(source)
    if work is not None and work["authors"]:
        authors = work["authors"].replace(" & ", " and ").replace(" et al.", " and others")
        fields = [f"author = {{{escaped(authors)}}}"]
    else:
        fields = [f"key = {{{key}}}"]
    if work is not None:
        year = _YEAR.search(work["rest"])
        fields += [f"title = {{{{{escaped(work['title'])}}}}}", *([f"year = {{{year.group()}}}"] if year else [])]
    arxiv = _ARXIV.search(source)
    fields += [f"eprint = {{{arxiv.group(1)}}}, archiveprefix = {{arXiv}}"] if arxiv else []
    fields.append(f"note = {{{quoted(work['rest'].strip(' ,') if work else source)}}}")
    return f"@misc{{{key},\n" + ",\n".join(f"  {field}" for field in fields) + "\n}\n"
