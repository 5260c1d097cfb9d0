"""A second opinion on what a cron expression names: croniter, in UTC, where no clock changes.

Both are asked for the next instants of many expressions. What croniter is known to read differently is left
out by name: `docs/decisions/0023-our-own-reading-of-cron.md` lists it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from croniter import CroniterError, croniter  # type: ignore[import-untyped]  # it has no types

from common.scheduling import ScheduleError, get_next_run_time, parse_schedule
from common.scheduling.cron import NICKNAMES

EXPRESSIONS = 1_500
ASKED = 4
START = datetime(2026, 1, 1, tzinfo=UTC)
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def number(chance: random.Random, low: int, high: int) -> str:
    return str(chance.randint(low, high))


def term(chance: random.Random, low: int, high: int) -> str:
    """One term of a field: a number, a range or a step."""
    first, last = sorted(chance.sample(range(low, high + 1), 2))
    step = chance.randint(1, max(1, (high - low) // 2))
    return chance.choice(
        [number(chance, low, high), f"{first}-{last}", f"{first}-{last}/{step}", f"*/{step}"]
    )


def field(chance: random.Random, low: int, high: int) -> str:
    """`*`, or a list of terms."""
    if chance.random() < 0.3:
        return "*"
    return ",".join(term(chance, low, high) for _ in range(chance.choice([1, 1, 1, 2, 3])))


def day(chance: random.Random) -> str:
    return chance.choice(["L", "*", "*", "*", "?", field(chance, 1, 28)])


def month(chance: random.Random) -> str:
    first, last = sorted(chance.sample(range(12), 2))
    return chance.choice(["*", "*", field(chance, 1, 12), f"{MONTHS[first]}-{MONTHS[last]}", MONTHS[first]])


def weekday(chance: random.Random) -> str:
    """`5L` is ours, croniter writes it `L5`; `rewritten` translates."""
    first, last = sorted(chance.sample(range(7), 2))
    return chance.choice(
        [
            "*",
            "*",
            "*",
            "7",
            field(chance, 0, 6),
            f"{WEEKDAYS[first]}-{WEEKDAYS[last]}",
            f"{first}#{chance.randint(1, 4)}",
            f"{first}L",
        ]
    )


def rewritten(expression: str) -> str:
    """The expression as croniter spells it."""
    *others, weekdays = expression.split(" ")
    last = weekdays.removesuffix("L")
    return " ".join([*others, f"L{last}" if last != weekdays else weekdays])


def both_days_begin_with_a_star(expression: str) -> bool:
    """`*/2` restricts its field for croniter: either day suffices. In Debian's cron both must match."""
    _, _, days, _, weekdays = expression.split(" ")
    plain = {"*", "?"}
    return (days not in plain and weekdays not in plain) and (days[0] == "*" or weekdays[0] == "*")


def a_day_beside_a_certain_weekday(expression: str) -> bool:
    """Beside `1#2` or `5L` croniter wants a day of the month to match too, beside `1` it does not."""
    _, _, days, _, weekdays = expression.split(" ")
    return days not in {"*", "?"} and ("#" in weekdays or "L" in weekdays)


KNOWN: list[Callable[[str], bool]] = [both_days_begin_with_a_star, a_day_beside_a_certain_weekday]


def expressions() -> list[str]:
    chance = random.Random(8)
    made = [
        " ".join([field(chance, 0, 59), field(chance, 0, 23), day(chance), month(chance), weekday(chance)])
        for _ in range(EXPRESSIONS)
    ]
    return [one for one in [*made, *(NICKNAMES.values())] if not any(known(one) for known in KNOWN)]


def test_croniter_names_the_same_instants() -> None:
    compared = 0
    chance = random.Random(9)
    for expression in expressions():
        schedule = parse_schedule({"type": "cron", "expression": expression, "timezone": "UTC"})
        after = START + timedelta(minutes=chance.randrange(3 * 366 * 1440))
        other = croniter(rewritten(expression), after)
        for _ in range(ASKED):
            ours = get_next_run_time(schedule, after)
            assert ours is not None
            assert other.get_next(datetime) == ours, f"{expression} after {after}"
            after = ours
            compared += 1
    assert compared > 5_000


@pytest.mark.parametrize("nickname", [name for name in NICKNAMES if name != "@annually"])
def test_croniter_knows_the_nicknames(nickname: str) -> None:
    ours = get_next_run_time(parse_schedule({"type": "cron", "expression": nickname}), START)
    assert croniter(nickname, START).get_next(datetime) == ours


@pytest.mark.parametrize("expression", ["0 0 LW * *", "0 0 * * 5L"])
def test_what_we_read_and_croniter_does_not(expression: str) -> None:
    parse_schedule({"type": "cron", "expression": expression})
    with pytest.raises(CroniterError):
        croniter(expression, START)


@pytest.mark.parametrize("expression", ["* * * * * *", "R R * * *", "0 22-2 * * *", "0 0 * * 6-1"])
def test_what_croniter_reads_and_we_refuse(expression: str) -> None:
    croniter(expression, START)
    with pytest.raises(ScheduleError):
        parse_schedule({"type": "cron", "expression": expression})
