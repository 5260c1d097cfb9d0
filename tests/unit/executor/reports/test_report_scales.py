"""The scale of a chart's axis."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.reports.render.scales import fitting

_values = st.decimals(-(10**12), 10**15, places=3)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ((), ["0", "1"]),
        (("0",), ["0", "1"]),
        (("337",), ["0", "100", "200", "300", "400"]),
        (("0.33",), ["0", "0.1", "0.2", "0.3", "0.4"]),
        (("11000",), ["0", "2.5k", "5k", "7.5k", "10k", "12.5k"]),
        (("1200",), ["0", "250", "500", "750", "1,000", "1,250"]),
        (("245000",), ["0", "50k", "100k", "150k", "200k", "250k"]),
        (("3000000",), ["0", "1M", "2M", "3M"]),
        (("-3", "8"), ["-5", "-2.5", "0", "2.5", "5", "7.5", "10"]),
    ],
)
def test_it_has_round_numbers(values: tuple[str, ...], names: list[str]) -> None:
    assert [name for _, name in fitting([Decimal(value) for value in values]).ticks] == names


@given(st.lists(_values, max_size=8))
def test_it_holds_every_value_and_zero_in_few_distinct_steps(values: list[Decimal]) -> None:
    scale = fitting(values)
    assert scale.low <= min((Decimal(0), *values)) <= max((Decimal(0), *values)) <= scale.high
    assert scale.low < scale.high
    assert 2 <= len(scale.ticks) <= 8
    assert len({name for _, name in scale.ticks}) == len(scale.ticks)
    assert any(value == 0 for value, _ in scale.ticks)
