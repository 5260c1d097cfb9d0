"""Drawing a chart: values by day as bars or a line, with those of the period before beside or behind them.

Pure, and slow by an event loop's measure: tens of milliseconds. Only the font that comes with Pillow is used,
so that the picture is the same on every machine; it knows little beyond ASCII.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from executor.reports.render import scales
from executor.wording import numbers
from platforms.calls.periods import Days, single_days

WIDTH, HEIGHT = 1_200, 600
"""Pixels of the picture; everything below is in these."""
_OVERSAMPLED = 2
"""Shapes are drawn this much larger and reduced, because Pillow draws them with hard edges."""
_COLOURS = 128
MOST_BARS = 14
"""Days up to which a day is a bar; more become a line."""

_MARGIN = 44
_PLOT_TOP, _PLOT_BOTTOM = 186, 524
_RIGHT = WIDTH - _MARGIN
_WHITE = "#ffffff"
_INK, _MUTED, _GRID = "#0f172a", "#64748b", "#e2e8f0"
_ACCENT, _TINT, _WASH = "#2563eb", "#93b4f5", "#e6eefd"
_PAST_BAR, _PAST_LINE = "#c7d0dd", "#a3b0c2"
_TITLE, _FIGURE, _LABEL = 38, 46, 27
_CORNER = 7

Value: TypeAlias = Decimal | None
Box: TypeAlias = tuple[float, float, float, float]
Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Chart:
    """What a chart shows. A value that is None is not known, and leaves a gap.

    `previous` are the values of as many days just before `days`. With `spotlight` the last day is the one the
    chart is about, and the others are there for comparison. `figure` and `aside` stand in the corner: the
    number of the period, and how it changed. `note` says what the values are of, such as `EUR`.
    """

    title: str
    note: str
    days: Days
    values: Sequence[Value]
    previous: Sequence[Value] | None = None
    spotlight: bool = False
    figure: str = ""
    aside: str = ""


def draw(chart: Chart) -> bytes:
    """The chart as a PNG."""
    return _Drawing(chart).png()


class _Drawing:
    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        size = WIDTH * _OVERSAMPLED, HEIGHT * _OVERSAMPLED
        self._shapes = Image.new("RGB", size, _WHITE)
        self._brush = ImageDraw.Draw(self._shapes)
        known = [value for value in (*chart.values, *(chart.previous or ())) if value is not None]
        self._scale = scales.fitting(known)
        longest = max(_width(label, _LABEL) for _, label in self._scale.ticks)
        self._left = _MARGIN + longest + 18
        self._slot = (_RIGHT - self._left) / len(chart.values)

    def png(self) -> bytes:
        """The finished picture."""
        self._grid()
        if len(self._chart.values) <= MOST_BARS:
            self._bars()
        else:
            self._lines()
        picture = self._shapes.reduce(_OVERSAMPLED)
        self._write(ImageDraw.Draw(picture))
        encoded = io.BytesIO()
        # The fastest methods: a thousand reports may be due at one instant, and each has its chart.
        reduced = picture.quantize(_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        reduced.save(encoded, "PNG", compress_level=6)
        return encoded.getvalue()

    # Shapes, oversampled.

    def _grid(self) -> None:
        for value, _ in self._scale.ticks:
            y = self._y(value)
            self._rectangle((self._left, y - 1, _RIGHT, y + 1), _GRID)

    def _bars(self) -> None:
        chart = self._chart
        pair = chart.previous is not None
        width = min(self._slot * (0.36 if pair else 0.62), 74)
        for index, each in enumerate(chart.values):
            middle = self._x(index)
            if chart.previous is not None:
                self._bar(middle - width - 2, width, chart.previous[index], _PAST_BAR)
                self._bar(middle + 2, width, each, _ACCENT)
                continue
            is_past = chart.spotlight and index < len(chart.values) - 1
            self._bar(middle - width / 2, width, each, _TINT if is_past else _ACCENT)
        if (average := self._average()) is not None:
            y = self._y(average)
            for x in _steps(self._left, _RIGHT, 18):
                self._rectangle((x, y - 1.5, min(x + 10, _RIGHT), y + 1.5), _MUTED)

    def _bar(self, left: float, width: float, value: Value, colour: str) -> None:
        if value is None:
            return
        base, end = self._y(Decimal(0)), self._y(value)
        # Nothing at all is a fact too, and looks different from a day that is not known.
        high, low = min(base - 4 if value == 0 else base, end), max(base, end)
        rounded = value > 0 and low - high > 2 * _CORNER
        self._brush.rounded_rectangle(
            _scaled((left, high, left + width, low)),
            radius=_CORNER * _OVERSAMPLED if rounded else 0,
            fill=colour,
            corners=(True, True, False, False),
        )

    def _lines(self) -> None:
        chart = self._chart
        base = self._y(Decimal(0))
        for run in self._runs(chart.values):
            self._brush.polygon(
                [_point(each) for each in ((run[0][0], base), *run, (run[-1][0], base))], fill=_WASH
            )
        for value, _ in self._scale.ticks:  # the wash has covered them
            y = self._y(value)
            self._rectangle((self._left, y - 1, _RIGHT, y + 1), _GRID)
        for run in self._runs(chart.previous or ()):
            self._line(run, 4, _PAST_LINE)
        for run in self._runs(chart.values):
            self._line(run, 6, _ACCENT)
        known = [(index, value) for index, value in enumerate(chart.values) if value is not None]
        for index, value in known[-1:]:
            self._dot(self._x(index), self._y(value), 13, _WHITE)
            self._dot(self._x(index), self._y(value), 9, _ACCENT)

    def _runs(self, values: Sequence[Value]) -> Iterator[list[Point]]:
        """The stretches of days whose values are known."""
        run: list[Point] = []
        for index, value in enumerate(values):
            if value is not None:
                run.append((self._x(index), self._y(value)))
            elif run:
                yield run
                run = []
        if run:
            yield run

    def _line(self, points: Sequence[Point], width: float, colour: str) -> None:
        if len(points) > 1:
            self._brush.line(
                [_point(each) for each in points],
                fill=colour,
                width=round(width * _OVERSAMPLED),
                joint="curve",
            )
        for x, y in (points[0], points[-1]):
            self._dot(x, y, width / 2, colour)

    def _dot(self, x: float, y: float, radius: float, colour: str) -> None:
        self._brush.ellipse(_scaled((x - radius, y - radius, x + radius, y + radius)), fill=colour)

    def _rectangle(self, box: Box, colour: str) -> None:
        self._brush.rectangle(_scaled(box), fill=colour)

    # Words, which Pillow draws smoothly by itself.

    def _write(self, pen: ImageDraw.ImageDraw) -> None:
        chart = self._chart
        title, figure, note = _plain(chart.title), _plain(chart.figure), _plain(chart.note)
        pen.text((_MARGIN, 68), title, _INK, _font(_TITLE), anchor="ls")
        pen.text((_RIGHT, 68), figure, _INK, _font(_FIGURE), anchor="rs")
        pen.text((_RIGHT, 112), _plain(chart.aside), _MUTED, _font(_LABEL), anchor="rs")
        beside = _MARGIN + _width(title, _TITLE) + 18
        if beside + _width(note, _LABEL) + 30 < _RIGHT - _width(figure, _FIGURE):
            pen.text((beside, 68), note, _MUTED, _font(_LABEL), anchor="ls")
        self._legend(pen)
        for value, label in self._scale.ticks:
            pen.text((self._left - 18, self._y(value)), label, _MUTED, _font(_LABEL), anchor="rm")
        for index, label in self._dates():
            middle = min(self._x(index), WIDTH - 12 - _width(label, _LABEL) / 2)
            pen.text((middle, _PLOT_BOTTOM + 40), label, _MUTED, _font(_LABEL), anchor="ms")

    def _legend(self, pen: ImageDraw.ImageDraw) -> None:
        chart = self._chart
        entries = [(_ACCENT, _span(chart.days))]
        if chart.spotlight:
            until = Days(chart.days.until, chart.days.until)
            entries = [(_ACCENT, _span(until)), (_TINT, f"the {len(chart.values) - 1} days before")]
            if self._average() is not None:
                entries.append((_MUTED, "their average"))
        elif chart.previous is not None:
            past = _PAST_LINE if len(chart.values) > MOST_BARS else _PAST_BAR
            entries.append((past, _span(chart.days.before())))
        x = float(_MARGIN)
        for colour, words in entries:
            if colour == _MUTED:
                pen.rectangle((x, 119, x + 12, 122), fill=colour)
                pen.rectangle((x + 18, 119, x + 30, 122), fill=colour)
                x += 8
            else:
                pen.rounded_rectangle((x, 109, x + 22, 131), radius=5, fill=colour)
            pen.text((x + 34, 130), words, _MUTED, _font(_LABEL), anchor="ls")
            x += 34 + _width(words, _LABEL) + 36

    def _dates(self) -> Iterator[tuple[int, str]]:
        """Which days are named below the axis: as many as there is room for, the last one always."""
        days = [each.since for each in single_days([self._chart.days])]
        labels = [f"{numbers.weekday(day)} {day.day}" for day in days]
        if len(days) > MOST_BARS:
            labels = [numbers.day_and_month(day) for day in days]
        widest = max(_width(label, _LABEL) for label in labels) + 22
        every = next(step for step in range(1, len(days) + 2) if step * self._slot >= widest)
        for index in reversed(range(len(days) - 1, -1, -every)):
            yield index, labels[index]

    def _average(self) -> Decimal | None:
        """Of the days before the one the chart is about."""
        known = [value for value in self._chart.values[:-1] if value is not None]
        return sum(known, Decimal(0)) / len(known) if self._chart.spotlight and known else None

    def _x(self, index: int) -> float:
        return self._left + (index + 0.5) * self._slot

    def _y(self, value: Decimal) -> float:
        low, high = self._scale.low, self._scale.high
        share = float((min(max(value, low), high) - low) / (high - low))
        return _PLOT_BOTTOM - share * (_PLOT_BOTTOM - _PLOT_TOP)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _width(text: str, size: int) -> float:
    return _font(size).getlength(text)


def _plain(text: str) -> str:
    """With the characters the font has."""
    spelled = text.replace("–", "-").replace("−", "-").replace("…", "...")
    return "".join(char if " " <= char <= "~" or char == "·" else "?" for char in spelled)


def _span(days: Days) -> str:
    return _plain(numbers.short_stretch(days))


def _steps(start: float, stop: float, step: float) -> Iterator[float]:
    while start < stop:
        yield start
        start += step


def _point(point: Point) -> Point:
    return point[0] * _OVERSAMPLED, point[1] * _OVERSAMPLED


def _scaled(box: Box) -> Box:
    left, top, right, bottom = (each * _OVERSAMPLED for each in box)
    return left, top, right, bottom
