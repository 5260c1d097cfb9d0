"""How long the Business API's limits last. It has no header that tells."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum

MAINTENANCE = "60001"
MAINTENANCE_WAIT = 300.0
APP_WIDE = frozenset({"40016", "40100"})
"""The Business API's codes of limits that the whole app has reached, not one advertiser."""

_NAMED = re.compile(r"\bQP[SMD]\b")
_UNNAMED_WAIT = 60.0


class Limit(StrEnum):
    """The Business API's limits: per second, per minute (with a penalty), per day (until 00:00 UTC)."""

    SECOND = "QPS"
    MINUTE = "QPM"
    DAY = "QPD"


def limit_in(message: str) -> Limit | None:
    """The limit a refusal is about, which only its words say."""
    named = _NAMED.search(message)
    return Limit(named.group()) if named else None


def seconds_to_wait(limit: Limit | None, now: datetime) -> float:
    """How long a reached limit lasts from `now`; a minute where it was not named."""
    if limit is Limit.SECOND:
        return 1.0
    if limit is Limit.MINUTE:
        return 300.0
    if limit is Limit.DAY:
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return (today + timedelta(days=1) - now).total_seconds()
    return _UNNAMED_WAIT
