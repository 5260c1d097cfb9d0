"""Runs as small charts: figures that a template draws as SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from api.web import words
from api.web.times import clock_in, duration

STRIP_RUNS = 20
CHART_HOURS = 24


@dataclass(frozen=True, slots=True)
class Mark:
    """One run of a strip: its tone and shape say how it ended."""

    run_id: UUID
    tone: str
    shape: str
    title: str


def strip(runs: Sequence[Any], zone: str) -> list[Mark | None]:
    """The last runs, oldest first and right-aligned: None where there was none yet."""
    marks: list[Mark | None] = [None] * (STRIP_RUNS - len(runs))
    for run in runs:
        state = words.state(run.status)
        took = None
        if run.started_at is not None and run.completed_at is not None:
            took = f", took {duration((run.completed_at - run.started_at).total_seconds())}"
        title = f"{state.label} · {clock_in(run.scheduled_for or run.created_at, zone)}{took or ''}"
        marks.append(Mark(run.id, state.tone, state.shape, title))
    return marks


def strip_in_words(marks: Sequence[Mark | None]) -> str:
    """`Last 20 runs: 18 good, 2 failed`."""
    known = [mark for mark in marks if mark is not None]
    bad = sum(mark.tone == "bad" for mark in known)
    if not known:
        return "No runs yet"
    return f"Last {words.counted(len(known), 'run')}: {bad or 'none'} failed"


@dataclass(frozen=True, slots=True)
class HourOfRuns:
    """What the database counted for one hour."""

    starts_at: datetime
    runs: int
    failed: int
    median_lag: float | None


@dataclass(frozen=True, slots=True)
class HourBar:
    """One hour of the chart, in units of a box `CHART_HOURS` × 10 wide and 100 high."""

    x: float
    good_y: float
    good_height: float
    bad_y: float
    bad_height: float
    title: str


_STEP = 10
_TALLEST = 96.0


def day_chart(counted: Iterable[HourOfRuns], now: datetime) -> list[HourBar]:
    """The last 24 hours, oldest first, each as tall as it has runs."""
    by_hour = {hour.starts_at: hour for hour in counted}
    latest = now.replace(minute=0, second=0, microsecond=0)
    hours = [latest - timedelta(hours=back) for back in reversed(range(CHART_HOURS))]
    tallest = max((hour.runs for hour in by_hour.values()), default=0) or 1
    bars = []
    for position, starts_at in enumerate(hours):
        hour = by_hour.get(starts_at, HourOfRuns(starts_at, 0, 0, None))
        bad = _height(hour.failed, tallest)
        good = _height(hour.runs - hour.failed, tallest)
        title = f"{starts_at:%H:%M} UTC: {words.counted(hour.runs, 'run')}, {hour.failed} failed"
        bars.append(HourBar(position * _STEP, 100 - good - bad, good, 100 - bad, bad, title))
    return bars


def _height(runs: int, tallest: int) -> float:
    return round(max(3.0, _TALLEST * runs / tallest), 1) if runs else 0.0


def lag_line(counted: Iterable[HourOfRuns], now: datetime) -> str:
    """The median lag by hour as the points of a polyline in a 230 × 100 box; empty when there are too few."""
    latest = now.replace(minute=0, second=0, microsecond=0)
    known = [(hour.starts_at, hour.median_lag) for hour in counted if hour.median_lag is not None]
    recent = sorted((at, lag) for at, lag in known if latest - at < timedelta(hours=CHART_HOURS))
    if len(recent) < 2:
        return ""
    highest = max(lag for _, lag in recent) or 1.0
    points = []
    for at, lag in recent:
        x = (CHART_HOURS - 1 - (latest - at) / timedelta(hours=1)) * _STEP
        points.append(f"{x:.0f},{100 - 90 * max(lag, 0.0) / highest:.1f}")
    return " ".join(points)
