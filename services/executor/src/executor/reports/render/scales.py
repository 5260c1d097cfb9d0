"""The scale of an axis: round numbers that hold every value. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

_STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
_PARTS = 5
"""Parts an axis is divided into at most."""
_UNITS = ((Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k"))


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`; `ticks` are the values that are named, with their names."""

    low: Decimal
    high: Decimal
    ticks: Sequence[tuple[Decimal, str]]


def fitting(values: Sequence[Decimal]) -> Scale:
    """The scale for these values; it always holds zero, or lengths would say nothing."""
    top, bottom = max((Decimal(0), *values)), min((Decimal(0), *values))
    step = _step(top - bottom)
    low = (bottom / step).to_integral_value("ROUND_FLOOR") * step
    high = (top / step).to_integral_value("ROUND_CEILING") * step
    if high == low:
        high += step
    count = int((high - low) / step)
    return Scale(low, high, [(low + n * step, _named(low + n * step, step)) for n in range(count + 1)])


def _step(length: Decimal) -> Decimal:
    """The smallest round number that divides `length` into few enough parts."""
    if length <= 0:
        return Decimal(1)
    power = Decimal(10) ** (length / _PARTS).adjusted()
    return next(step * power for step in _STEPS if step * power * _PARTS >= length)


def _named(value: Decimal, step: Decimal) -> str:
    """`250`, `0.05`, `2.5k`, `1M`; with the digits that tell it from its neighbours."""
    most = max(abs(value), step)
    for size, letter in _UNITS:
        if most >= size * 10 or (most >= size and step % (size / 10) == 0):
            return f"{_short(value / size)}{letter}" if value else "0"
    return _short(value)


def _short(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
