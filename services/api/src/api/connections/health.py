"""How a connection is, in a word and a sentence. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from common.models import Connection, ConnectionKind, ConnectionStatus
from platforms.oauth.base import missing_scopes
from platforms.platform import Kind
from platforms.registry import KINDS

SOON = timedelta(days=7)
LATE_AFTER = timedelta(hours=2)
"""How long a renewal may be overdue before it counts as late: the leader reminds hourly by default."""


class HealthState(StrEnum):
    """From well to dead."""

    HEALTHY = "healthy"
    EXPIRES_SOON = "expires_soon"
    RENEWAL_LATE = "renewal_late"
    NEEDS_ATTENTION = "needs_attention"
    RECONNECT = "reconnect"


@dataclass(frozen=True, slots=True)
class Health:
    """How it is, and why; a healthy one needs no reason."""

    state: HealthState
    reason: str | None = None


def missing_of(connection: Connection) -> list[str]:
    """Scopes it would need and was not granted; nothing where those it has are not known."""
    return missing_scopes(kind.needs, connection.scopes) if (kind := _kind(connection)) else []


def health_of(connection: Connection, now: datetime) -> Health:
    """The worst that can be said of it."""
    if connection.status == ConnectionStatus.REAUTH_REQUIRED:
        return Health(HealthState.RECONNECT, connection.status_reason or "its token is no longer accepted")
    if connection.problem:
        return Health(HealthState.NEEDS_ATTENTION, connection.problem)
    end = _end_of(connection)
    if end is not None and end <= now:
        return Health(HealthState.RECONNECT, f"its token ended on {_day(end)}")
    if missing := missing_of(connection):
        return Health(HealthState.NEEDS_ATTENTION, f"it is not allowed to use {', '.join(missing)}")
    if connection.refresh_at is not None and connection.refresh_at + LATE_AFTER <= now:
        return Health(
            HealthState.RENEWAL_LATE, f"its token should have been renewed on {_day(connection.refresh_at)}"
        )
    if end is not None and end <= now + SOON:
        return Health(HealthState.EXPIRES_SOON, f"its token ends on {_day(end)}")
    consent = _consent_end(connection)
    if consent is not None and consent <= now + SOON:
        return Health(
            HealthState.EXPIRES_SOON,
            f"what it may read ends on {_day(consent)}, unless it is connected again",
        )
    return Health(HealthState.HEALTHY)


def _end_of(connection: Connection) -> datetime | None:
    """When it ends for good, as far as is known."""
    kind = _kind(connection)
    if kind is None or kind.margin is None:
        # Its access token lives for weeks; those that end within hours are renewed whenever one is used.
        return connection.expires_at
    if connection.credentials_sealed is not None:
        return None
    if connection.refresh_token_sealed is not None:
        return connection.refresh_expires_at
    return connection.expires_at


def _kind(connection: Connection) -> Kind | None:
    """What the registry says of it; nothing for a store."""
    return KINDS.get(ConnectionKind(connection.kind))


def _consent_end(connection: Connection) -> datetime | None:
    """Until when Facebook lets an app read what a person allowed, whatever becomes of the token."""
    told = connection.settings.get("data_access_expires_at")
    try:
        return datetime.fromisoformat(told).astimezone(UTC) if isinstance(told, str) else None
    except ValueError:
        return None


def _day(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
