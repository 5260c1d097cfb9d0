"""What an automation remembers of the profiles it reports on: the platform tells present totals only.

Pure. The memory is `{"profiles": {id: {day: {name: total}}}}`, JSON-serialisable.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

KEPT_DAYS = 200
"""Days after which totals are forgotten; twice the longest period."""
_PROFILES = "profiles"

Totals = Mapping[str, int]


class Memory:
    """The totals of profiles by day. Other content of `state` is dropped."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        profiles = state.get(_PROFILES)
        self._by_profile: dict[str, dict[date, Totals]] = {
            profile: _read(days)
            for profile, days in (profiles.items() if isinstance(profiles, Mapping) else ())
            if isinstance(days, Mapping)
        }

    def before(self, profile: str, today: date, days: int) -> tuple[date, Totals] | None:
        """The day nearest to `days` ago and its totals; None when none is near enough to compare with."""
        wanted = today - timedelta(days=days)
        near = {
            day: totals
            for day, totals in self._by_profile.get(profile, {}).items()
            if day < today and abs((day - wanted).days) <= max(3, days // 4)
        }
        if not near:
            return None
        nearest = min(near, key=lambda day: (abs((day - wanted).days), day))
        return nearest, near[nearest]

    def note(self, profile: str, today: date, totals: Totals) -> None:
        """Remember the totals of today, the latest if there are several."""
        self._by_profile.setdefault(profile, {})[today] = dict(totals)

    def state(self, today: date) -> dict[str, Any]:
        """What to keep of it."""
        oldest = today - timedelta(days=KEPT_DAYS)
        kept = {
            profile: {str(day): dict(totals) for day, totals in sorted(days.items()) if day >= oldest}
            for profile, days in self._by_profile.items()
        }
        return {_PROFILES: {profile: days for profile, days in kept.items() if days}}


def _read(days: Mapping[Any, Any]) -> dict[date, Totals]:
    read: dict[date, Totals] = {}
    for text, totals in days.items():
        try:
            day = date.fromisoformat(text)
        except (TypeError, ValueError):
            continue
        if isinstance(totals, Mapping):
            read[day] = {name: total for name, total in totals.items() if isinstance(total, int)}
    return read
