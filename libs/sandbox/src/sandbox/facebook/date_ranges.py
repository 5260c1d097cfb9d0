"""Which days a query asks for, and how they are cut into rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sandbox.facebook.errors import GraphError, invalid_parameter, not_one_of
from sandbox.facebook.request import GraphRequest

RETENTION_MONTHS = 37
PRESETS = (
    "data_maximum",
    "last_14d",
    "last_28d",
    "last_30d",
    "last_3d",
    "last_7d",
    "last_90d",
    "last_month",
    "last_quarter",
    "last_week_mon_sun",
    "last_week_sun_sat",
    "last_year",
    "maximum",
    "this_month",
    "this_quarter",
    "this_week_mon_today",
    "this_week_sun_today",
    "this_year",
    "today",
    "yesterday",
)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DateRange:
    """Both ends are included."""

    since: date
    until: date

    def days(self) -> Iterator[date]:
        for offset in range((self.until - self.since).days + 1):
            yield self.since + timedelta(days=offset)


def preset_range(preset: str, today: date) -> DateRange:
    """The days of a ``date_preset`` as of ``today``; raises code 100."""
    if preset not in PRESETS:
        raise not_one_of("date_preset", PRESETS)
    yesterday = today - _DAY
    if preset == "today":
        return DateRange(today, today)
    if preset == "yesterday":
        return DateRange(yesterday, yesterday)
    if preset.startswith("last_") and preset.endswith("d"):
        return DateRange(today - timedelta(days=int(preset[5:-1])), yesterday)
    if preset in ("maximum", "data_maximum"):
        return DateRange(months_before(today, RETENTION_MONTHS), today)
    return _calendar_range(preset, today)


def _calendar_range(preset: str, today: date) -> DateRange:
    monday = today - timedelta(days=today.weekday())
    sunday = today - timedelta(days=(today.weekday() + 1) % 7)
    month = today.replace(day=1)
    quarter = date(today.year, today.month - (today.month - 1) % 3, 1)
    year = date(today.year, 1, 1)
    ranges = {
        "this_week_mon_today": DateRange(monday, today),
        "this_week_sun_today": DateRange(sunday, today),
        "last_week_mon_sun": DateRange(monday - timedelta(days=7), monday - _DAY),
        "last_week_sun_sat": DateRange(sunday - timedelta(days=7), sunday - _DAY),
        "this_month": DateRange(month, today),
        "last_month": DateRange((month - _DAY).replace(day=1), month - _DAY),
        "this_quarter": DateRange(quarter, today),
        "last_quarter": DateRange(months_before(quarter, 3), quarter - _DAY),
        "this_year": DateRange(year, today),
        "last_year": DateRange(date(today.year - 1, 1, 1), year - _DAY),
    }
    return ranges[preset]


def months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or that month's last day."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (following - _DAY).day))


def requested_ranges(request: GraphRequest, today: date) -> list[DateRange]:
    """The rows' date ranges, oldest first; raises code 100 or 3018."""
    if "time_ranges" in request.params:
        ranges = [_parse(item, "time_ranges") for item in request.json("time_ranges", list)]
    elif "time_range" in request.params:
        ranges = [_parse(request.json("time_range", dict), "time_range")]
    else:
        ranges = [preset_range(request.params.get("date_preset", "last_30d").lower(), today)]
    earliest = months_before(today, RETENTION_MONTHS)
    if any(wanted.since < earliest for wanted in ranges):
        raise GraphError(
            3018,
            "(#3018) The start date of the time range cannot be beyond 37 months from the current date",
            data={"blame_field_specs": [["time_range"]]},
        )
    if "time_ranges" in request.params:
        return ranges
    return list(_cut(ranges[0], request.params.get("time_increment", "all_days")))


def _parse(item: Any, name: str) -> DateRange:
    try:
        wanted = DateRange(date.fromisoformat(item["since"]), date.fromisoformat(item["until"]))
    except (KeyError, TypeError, ValueError):
        raise invalid_parameter(
            f"Must be a date representation in the format YYYY-MM-DD for param {name}['since'] "
            f"and {name}['until']"
        ) from None
    if wanted.since > wanted.until:
        raise invalid_parameter(f"Param {name}[since] must not be after {name}[until]")
    return wanted


def _cut(whole: DateRange, increment: str) -> Iterator[DateRange]:
    if increment == "all_days":
        yield whole
    elif increment == "monthly":
        start = whole.since
        while start <= whole.until:
            following = months_before(start.replace(day=1), -1)
            yield DateRange(start, min(following - _DAY, whole.until))
            start = following
    elif increment.isdigit() and 1 <= int(increment) <= 90:
        step = timedelta(days=int(increment))
        start = whole.since
        while start <= whole.until:
            yield DateRange(start, min(start + step - _DAY, whole.until))
            start += step
    else:
        raise invalid_parameter(
            "time_increment must be an integer between 1 and 90, or one of the following values: "
            "monthly, all_days"
        )
