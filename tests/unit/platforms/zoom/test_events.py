"""Zoom's signatures, by vectors that were computed elsewhere, and what its events say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.errors import Unprocessable
from platforms.zoom.events import ZoomEvent, read_event
from platforms.zoom.signature import Claim, encrypted_token, sign

SECRET, TIMESTAMP = "zoomsecret", "1762300000"
BODY = b'{"event":"endpoint.url_validation"}'
SIGNATURE = "v0=33c1256160e593c3fac69c723bee1460be1bd4b90b36161e1d9c3b1b81a758c1"
SENT = datetime.fromtimestamp(int(TIMESTAMP), UTC)
TOLERATED = timedelta(minutes=5)


def test_the_signature_of_a_body() -> None:
    assert sign(SECRET, TIMESTAMP, BODY) == SIGNATURE


def test_the_proof_that_the_secret_is_known() -> None:
    assert encrypted_token(SECRET, "q9ibPhGeRZ6ayx5WTrXjRw") == (
        "9be468661fbe97b448005da1d96db96de73be61f65ba136ee8f6ec78cded814c"
    )


def test_a_claim_holds_for_its_secret_time_and_body_alone() -> None:
    claim = Claim.read(TIMESTAMP, SIGNATURE, now=SENT)
    later = Claim.read(str(int(TIMESTAMP) + 1), SIGNATURE, now=SENT)

    assert claim is not None
    assert later is not None
    assert claim.holds(SECRET, BODY)
    assert not claim.holds("Zoomsecret", BODY)
    assert not claim.holds(SECRET, BODY + b" ")
    assert not later.holds(SECRET, BODY)


@pytest.mark.parametrize("now", [SENT - TOLERATED, SENT + TOLERATED])
def test_five_minutes_are_tolerated_either_way(now: datetime) -> None:
    assert Claim.read(TIMESTAMP, SIGNATURE, now=now) is not None
    beyond = timedelta(seconds=1) if now > SENT else -timedelta(seconds=1)
    assert Claim.read(TIMESTAMP, SIGNATURE, now=now + beyond) is None


@pytest.mark.parametrize(
    ("timestamp", "signature"),
    [
        (None, SIGNATURE),
        (TIMESTAMP, None),
        ("", SIGNATURE),
        (TIMESTAMP, SIGNATURE.removeprefix("v0=")),
        (TIMESTAMP, SIGNATURE.replace("v0", "v1")),
        (TIMESTAMP, SIGNATURE.upper()),
        (TIMESTAMP, SIGNATURE[:-1]),
        (TIMESTAMP, SIGNATURE + "\n"),
        (f" {TIMESTAMP}", SIGNATURE),
        ("1762300000.0", SIGNATURE),
        ("1" * 5_000, SIGNATURE),
        ("١٧٦٢٣٠٠٠٠٠", SIGNATURE),
    ],
)
def test_what_cannot_be_a_claim(timestamp: str | None, signature: str | None) -> None:
    assert Claim.read(timestamp, signature, now=SENT) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"payload": {}}',
        b'{"event": 1}',
        b'{"event": "e", "event_ts": NaN}',
        b'{"event": "e", "payload": {"object": []}}',
        b'{"event": "e", "payload": {"plainToken": "two words"}}',
        b'{"event": "e", "download_token": "\\ud800"}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_event(body: bytes) -> None:
    with pytest.raises(Unprocessable):
        read_event(body)


def test_a_token_lives_a_day_from_when_the_event_happened() -> None:
    now = datetime(2026, 11, 4, 12, tzinfo=UTC)

    def expires(happened: datetime | None) -> timedelta:
        stamp = None if happened is None else int(happened.timestamp() * 1_000)
        return ZoomEvent(event="e", event_ts=stamp).token_expires_at(now) - now

    assert expires(now - timedelta(minutes=85)) == timedelta(hours=24) - timedelta(minutes=85)
    assert expires(now + timedelta(days=400)) == timedelta(hours=24)
    assert expires(None) == timedelta(hours=24)


def test_hosts_are_compared_without_case_and_only_as_text() -> None:
    def names(**meeting: Any) -> frozenset[str]:
        return ZoomEvent.model_validate({"event": "e", "payload": {"object": meeting}}).host_names

    assert names(host_id="uET9", host_email="Dana@Brightpath.example") == {"uet9", "dana@brightpath.example"}
    assert names(host_id=7, host_email="\ud800") == names(host_email="") == frozenset()
