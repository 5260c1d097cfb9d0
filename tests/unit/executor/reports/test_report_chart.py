"""The picture of a report: what it shows, and that it can always be drawn."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from executor.reports.render import chart as charts
from executor.reports.render.chart import HEIGHT, WIDTH, Chart, Value, draw
from platforms.calls.periods import Days

UNTIL = date(2026, 11, 20)
BLUE, GREY, TINT, WASH = (0x25, 0x63, 0xEB), (0xC7, 0xD0, 0xDD), (0x93, 0xB4, 0xF5), (0xE6, 0xEE, 0xFD)
LARGEST = 60_000
_values = st.none() | st.decimals(-(10**6), 10**15, places=2)


def made(values: Sequence[Value | int], previous: Sequence[Value | int] | None = None, **more: Any) -> Chart:
    def decimals(given: Sequence[Value | int]) -> list[Value]:
        return [None if value is None else Decimal(value) for value in given]

    chart = Chart(
        "Spend per day",
        "EUR",
        Days.ending(UNTIL, len(values)),
        decimals(values),
        None if previous is None else decimals(previous),
        figure="1,783.49 EUR",
        aside="+12 % vs 7–13 Nov",
    )
    return replace(chart, **more)


def picture(chart: Chart) -> Image.Image:
    return Image.open(io.BytesIO(draw(chart))).convert("RGB")


def near(colour: bytes, wanted: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 12 for one, other in zip(colour, wanted, strict=True))


def coloured(image: Image.Image, wanted: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Where a colour is below the legend."""
    data = image.tobytes()
    places = ((x, y) for x in range(0, WIDTH, 2) for y in range(150, HEIGHT, 2))
    return [(x, y) for x, y in places if near(data[3 * (y * WIDTH + x) : 3 * (y * WIDTH + x) + 3], wanted)]


def test_it_is_a_small_png_of_its_size() -> None:
    drawn = draw(made(range(1, 31), range(30)))
    image = Image.open(io.BytesIO(drawn))
    assert (image.format, image.size) == ("PNG", (WIDTH, HEIGHT))
    assert len(drawn) < LARGEST


def test_it_is_the_same_every_time() -> None:
    chart = made([1, 2, None, 4], [4, 3, 2, 1])
    assert draw(chart) == draw(chart)


def test_bars_are_as_high_as_their_values() -> None:
    blue = coloured(picture(made([1, 2, 4, 0])), BLUE)
    slots: list[list[int]] = [[], [], [], []]
    left = min(x for x, _ in blue) - 80
    for x, y in blue:
        slots[min(3, (x - left) * 4 // (WIDTH - 44 - left))].append(y)
    heights = [max(ys) - min(ys) for ys in slots]
    assert heights[1] == pytest.approx(2 * heights[0], abs=8)
    assert heights[2] == pytest.approx(4 * heights[0], abs=12)
    assert heights[3] < 8, "nothing is a line on the axis"


def test_an_unknown_day_is_a_gap_and_zero_is_not() -> None:
    unknown, nothing = (coloured(picture(made([4, value, 4])), BLUE) for value in (None, 0))
    middle = range(WIDTH // 2 - 20, WIDTH // 2 + 20)
    assert not [x for x, _ in unknown if x in middle]
    assert [x for x, _ in nothing if x in middle]


def test_the_period_before_stands_beside_it() -> None:
    with_it, without = (coloured(picture(made([1, 2, 3], past)), GREY) for past in ([3, 2, 1], None))
    assert len(with_it) > 1_000
    assert len(without) < 100, "edges of letters"


def test_one_day_stands_out_among_those_before_it() -> None:
    image = picture(made(range(1, 15), spotlight=True))
    (last,) = {x // 60 for x, _ in coloured(image, BLUE)} & {WIDTH // 60 - 2}
    assert last
    assert len({x for x, _ in coloured(image, TINT)}) > len({x for x, _ in coloured(image, BLUE)})


def test_many_days_are_a_line_with_gaps() -> None:
    days: list[int | None] = [5] * 30
    days[10:13] = [None] * 3
    washed = {x for x, y in coloured(picture(made(days)), WASH) if y == 500}
    assert max(b - a for a, b in zip(sorted(washed), sorted(washed)[1:], strict=False)) > 100


@pytest.mark.parametrize("note", ["EUR · 3 of 5 ad accounts", "€ £ 元 \u202e <b>", ""])
def test_words_the_font_lacks_do_no_harm(note: str) -> None:
    assert picture(made([1, 2], note=note, title=note, figure=note, aside=note)).size == (WIDTH, HEIGHT)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 90).flatmap(
        lambda days: st.tuples(
            st.lists(_values, min_size=days, max_size=days),
            st.none() | st.lists(_values, min_size=days, max_size=days),
            st.booleans(),
        )
    )
)
def test_any_chart_can_be_drawn(given: tuple[list[Value], list[Value] | None, bool]) -> None:
    values, previous, spotlight = given
    drawn = draw(made(values, previous, spotlight=spotlight, figure="9" * 40))
    assert len(drawn) < LARGEST


def test_its_extremes_can_be_drawn() -> None:
    for count in (1, 2, charts.MOST_BARS, charts.MOST_BARS + 1, 90):
        for value in (None, 0, -5, Decimal("0.01"), 10**15):
            assert len(draw(made([value] * count, [value] * count))) < LARGEST
