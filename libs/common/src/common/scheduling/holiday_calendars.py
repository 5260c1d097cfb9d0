"""Public holidays by country, from the `holidays` library, which follows the laws of some 250 countries.

It is imported when the first calendar is asked for: most automations name none.
"""

from __future__ import annotations

import difflib
from datetime import date
from functools import lru_cache

MAX_NAME_LENGTH = 16

_NAMES_IN = "en_US"


class UnknownCalendar(ValueError):
    """No such country or subdivision; the message proposes one."""


@lru_cache(maxsize=1)
def _countries() -> dict[str, list[str]]:
    import holidays

    return holidays.list_supported_countries()


def check_calendar(name: str) -> str:
    """The same name, when it is a known ISO 3166 country, alone or with a subdivision: DE, DE-BY, US-CA.

    Raises:
        UnknownCalendar: it is not; the message says what to write.
    """
    country, _, subdivision = name.partition("-")
    if len(name) > MAX_NAME_LENGTH or country not in _countries():
        near = difflib.get_close_matches(name[:2].upper(), _countries(), n=1)
        country = near[0] if near else "DE"
        raise UnknownCalendar(f"there is no such calendar; write an ISO country code, {country} or US-CA")
    subdivisions = _countries()[country]
    if "-" in name and subdivision not in subdivisions:
        instead = f"{country} or {country}-{subdivisions[0]}" if subdivisions else country
        raise UnknownCalendar(f"{country} has no calendar for {subdivision!r}; write {instead}")
    return name


@lru_cache(maxsize=1024)
def holidays_of(calendar: str, year: int) -> dict[date, str]:
    """The public holidays of a year, with their English names."""
    import holidays

    country, _, subdivision = calendar.partition("-")
    days = holidays.country_holidays(country, subdiv=subdivision or None, years=year, language=_NAMES_IN)
    return {day: name for day, name in days.items() if day.year == year}


@lru_cache(maxsize=512)
def weekend_of(calendar: str) -> frozenset[int]:
    """The weekdays (0 is Monday) on which the country does not work."""
    import holidays

    country, _, subdivision = calendar.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None).weekend)
