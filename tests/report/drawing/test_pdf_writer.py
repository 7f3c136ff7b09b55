from __future__ import annotations

from pathlib import Path

from pld_search.report.drawing.pdf_writer import pdf_figure, write_pdfs
from pld_search.report.drawing.svg_shapes import BAD, Area, Box, Drawing, Group, Line, Mark, Text
from pld_search.report.print_style import printed

SHAPES = (
    Line([(10, 10), (90, 40)], dash="4 3"),
    Area([(10, 10), (20, 10), (20, 20)], "#009e73", 0.5),
    Group(
        [Mark(30, 30, BAD), Mark(40, 30, "#0072b2", shape="ring"), Mark(50, 30, "#0072b2", shape="diamond")], "a tip"
    ),
    Group([Text(50, 45, "costs $5", bold=True, anchor="middle")], clip=Box(0, 0, 100, 50)),
)


def test_a_file_a_drawing_and_one_of_all(tmp_path: Path) -> None:
    drawings = [Drawing(name, 100, 50, "nothing", SHAPES) for name in ("one", "two")]
    texts = []
    for _ in range(2):
        write_pdfs(drawings, tmp_path / "figures", tmp_path / "report.pdf")
        texts.append([(tmp_path / name).read_bytes() for name in ("figures/one.pdf", "figures/two.pdf", "report.pdf")])
    assert texts[0] == texts[1]
    assert all(text.startswith(b"%PDF") for text in texts[0])
    assert b"/Count 2" in texts[0][2]


def test_a_page_has_the_size_and_the_text_of_its_drawing() -> None:
    with printed():
        figure = pdf_figure(Drawing("one", 144, 72, "nothing", SHAPES))
    assert figure.get_size_inches().tolist() == [2.0, 1.0]
    assert [text.get_text() for text in figure.axes[0].texts] == [r"costs \$5"]
    assert len(figure.axes[0].patches) == 4
    assert len(figure.axes[0].lines) == 1
