"""How a connection is, in a word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.connections.health import HealthState, health_of
from common.ids import new_id
from common.models import S3, Connection, ConnectionKind, platform_of
from platforms.facebook import FACEBOOK_USER
from platforms.zoom import ZOOM_SERVER, ZOOM_USER

NOW = datetime(2026, 11, 4, 10, tzinfo=UTC)
EVERYTHING = [
    "ads_read",
    "pages_show_list",
    "pages_read_engagement",
    "read_insights",
    "business_management",
]
FACEBOOK, ZOOM, SERVER = (
    FACEBOOK_USER,
    ZOOM_USER,
    ZOOM_SERVER,
)


def connection(kind: ConnectionKind, **columns: Any) -> Connection:
    given = {"status": "active", "scopes": [], "settings": {}, "token_sealed": b"x", **columns}
    return Connection(
        id=new_id(), tenant_id=new_id(), platform=platform_of(kind), kind=kind, name="n", **given
    )


@pytest.mark.parametrize(
    ("row", "state", "words"),
    [
        (connection(FACEBOOK, scopes=EVERYTHING), HealthState.HEALTHY, None),
        (connection(FACEBOOK), HealthState.HEALTHY, None),
        (connection(FACEBOOK, expires_at=NOW + timedelta(days=8)), HealthState.HEALTHY, None),
        (
            connection(FACEBOOK, expires_at=NOW + timedelta(days=6)),
            HealthState.EXPIRES_SOON,
            "ends on 2026-11-10 10:00 UTC",
        ),
        (connection(FACEBOOK, expires_at=NOW), HealthState.RECONNECT, "ended on 2026-11-04"),
        (
            connection(FACEBOOK, settings={"data_access_expires_at": "2026-11-07T00:00:00+00:00"}),
            HealthState.EXPIRES_SOON,
            "what it may read ends on 2026-11-07",
        ),
        (connection(FACEBOOK, settings={"data_access_expires_at": "tomorrow"}), HealthState.HEALTHY, None),
        (connection(FACEBOOK, settings={"data_access_expires_at": 7}), HealthState.HEALTHY, None),
        (
            connection(FACEBOOK, scopes=EVERYTHING[:-2]),
            HealthState.NEEDS_ATTENTION,
            "not allowed to use read_insights, business_management",
        ),
        (
            connection(FACEBOOK, problem="(#200) missing", scopes=EVERYTHING[:1]),
            HealthState.NEEDS_ATTENTION,
            "(#200) missing",
        ),
        (
            connection(FACEBOOK, status="reauth_required", status_reason="changed password", problem="x"),
            HealthState.RECONNECT,
            "changed password",
        ),
        (
            connection(FACEBOOK, refresh_at=NOW - timedelta(hours=3)),
            HealthState.RENEWAL_LATE,
            "should have been renewed on 2026-11-04 07:00 UTC",
        ),
        (connection(FACEBOOK, refresh_at=NOW - timedelta(hours=1)), HealthState.HEALTHY, None),
        # What is renewed with every use does not end with its access token.
        (
            connection(ZOOM, refresh_token_sealed=b"x", expires_at=NOW - timedelta(hours=1)),
            HealthState.HEALTHY,
            None,
        ),
        (
            connection(ZOOM, refresh_token_sealed=b"x", refresh_expires_at=NOW + timedelta(days=2)),
            HealthState.EXPIRES_SOON,
            "ends on 2026-11-06",
        ),
        (
            connection(ZOOM, refresh_token_sealed=b"x", refresh_expires_at=NOW - timedelta(days=2)),
            HealthState.RECONNECT,
            "ended on 2026-11-02",
        ),
        (connection(ZOOM, expires_at=NOW - timedelta(hours=1)), HealthState.RECONNECT, "ended on"),
        (
            connection(SERVER, credentials_sealed=b"x", expires_at=NOW - timedelta(hours=1)),
            HealthState.HEALTHY,
            None,
        ),
        (connection(S3, token_sealed=None), HealthState.HEALTHY, None),
    ],
)
def test_the_worst_that_can_be_said_of_it(row: Connection, state: HealthState, words: str | None) -> None:
    health = health_of(row, NOW)
    assert health.state is state
    if words is None:
        assert health.reason is None
    else:
        assert health.reason is not None
        assert words in health.reason
