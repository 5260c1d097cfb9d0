"""How far back the history of runs goes, and which of it another tz database named."""

from __future__ import annotations

from datetime import datetime

KEPT_SINCE = "history_kept_since"
"""Fact: runs and skipped slots from before this instant may have been cleaned up."""
ZONE_RULES = "zone_rules:"
"""Fact, with a zone's name after it: the fingerprint of its rules, and since when they hold here."""


def zone_rules(fingerprint: str, since: datetime | None) -> str:
    """The value of a zone's fact; without `since` no others are known to have held."""
    return fingerprint if since is None else f"{fingerprint} {since.isoformat()}"


def read_zone_rules(value: str) -> tuple[str, datetime | None]:
    """The same, read."""
    fingerprint, _, since = value.partition(" ")
    return fingerprint, datetime.fromisoformat(since) if since else None
