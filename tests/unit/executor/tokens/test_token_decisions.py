"""When tokens are renewed, and what an error says about a grant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from common.errors import Consequence
from common.models import ConnectionKind, RefreshOutcome
from executor.tokens.decisions import (
    ADOPT_AFTER,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MISCONFIGURED_PAUSE,
    Move,
    Past,
    Token,
    Why,
    can_renew,
    is_due,
    is_worn,
    move_when_due,
    outcome_of,
    pause_after,
    reason_for,
)
from platforms.facebook import FACEBOOK_USER
from platforms.oauth.base import ANSWER_LOST, NO_TOKEN, Stored
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.tiktok_organic import TIKTOK_ORGANIC
from platforms.zoom import ZOOM_SERVER, ZOOM_USER
from tests.support.fake_grants import refusal

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ZOOM, SERVER = ZOOM_USER, ZOOM_SERVER
ORGANIC, BUSINESS = TIKTOK_ORGANIC, TIKTOK_BUSINESS
FACEBOOK = FACEBOOK_USER
OLD, YOUNG = ADOPT_AFTER, timedelta(seconds=1)


@pytest.mark.parametrize(
    ("kind", "left", "worn"),
    [
        (ZOOM, 301, False),
        (ZOOM, 300, True),
        (ZOOM, -5, True),
        (ORGANIC, 301, False),
        (ORGANIC, 299, True),
        (SERVER, 61, False),
        (SERVER, 60, True),
        (FACEBOOK, 10, False),
        (BUSINESS, None, False),
        (ZOOM, None, False),
    ],
)
def test_a_token_is_worn_a_margin_before_its_end(
    kind: ConnectionKind, left: float | None, worn: bool
) -> None:
    ends = None if left is None else NOW + timedelta(seconds=left)
    assert is_worn(kind, Token("t", 1, ends, NOW - timedelta(hours=1)), NOW) is worn


def test_a_token_that_lives_for_minutes_only_is_not_renewed_at_every_call() -> None:
    token = Token("t", 1, NOW + timedelta(minutes=4), NOW)
    assert not is_worn(ZOOM, token, NOW)
    assert is_worn(ZOOM, token, NOW + timedelta(minutes=4) * 0.81)


def test_a_token_does_not_show_itself() -> None:
    assert "secret" not in repr(Token("secret", 1))


@pytest.mark.parametrize(
    ("kind", "stored", "why", "can"),
    [
        (ZOOM, Stored("a", "r"), Why.WORN, True),
        (ZOOM, Stored("a"), Why.REFUSED, False),
        (ORGANIC, Stored("a", "r"), Why.REFUSED, True),
        (SERVER, Stored(credentials={"client_id": "c"}), Why.WORN, True),
        (SERVER, Stored("a"), Why.WORN, False),
        (FACEBOOK, Stored("a"), Why.DUE, True),
        (FACEBOOK, Stored("a"), Why.REFUSED, False),
        (BUSINESS, Stored("a"), Why.DUE, False),
    ],
)
def test_what_can_be_renewed(kind: ConnectionKind, stored: Stored, why: Why, can: bool) -> None:
    assert can_renew(kind, stored, why=why) is can


@pytest.mark.parametrize(
    ("kind", "stored", "move"),
    [
        (ZOOM, Stored("a", "r"), Move.RENEW),
        (ZOOM, Stored("a"), Move.LOOK),
        (BUSINESS, Stored("a"), Move.LOOK),
        (FACEBOOK, Stored("a"), Move.LOOK),
        (FACEBOOK, Stored("a", expires_at=NOW + timedelta(days=10)), Move.RENEW),
        (FACEBOOK, Stored("a", expires_at=NOW + timedelta(days=10, seconds=1)), Move.LOOK),
    ],
)
def test_what_is_done_when_it_is_due(kind: ConnectionKind, stored: Stored, move: Move) -> None:
    assert move_when_due(kind, stored, NOW) is move


@pytest.mark.parametrize(("seconds", "due"), [(-3_600, True), (0, True), (29, True), (31, False)])
def test_due_by_a_clock_that_may_differ(seconds: int, due: bool) -> None:
    assert is_due(NOW + timedelta(seconds=seconds), NOW) is due
    assert not is_due(None, NOW)


@pytest.mark.parametrize(
    ("renewals", "past"),
    [
        ([], Past()),
        ([("refreshed", OLD), ("unknown", OLD)], Past()),
        ([("failed", YOUNG), ("failed", OLD)], Past(failures=2)),
        ([("failed", OLD), ("unknown", OLD), ("refreshed", OLD)], Past(2, answer_lost=True)),
        ([(None, OLD)], Past(1, answer_lost=True)),
        ([(None, YOUNG)], Past(1, answer_lost=True, in_flight=True)),
    ],
    ids=["none", "all is well since", "failures", "lost before", "left behind", "perhaps still going on"],
)
def test_the_past_of_a_token(renewals: list[tuple[str | None, timedelta]], past: Past) -> None:
    assert Past.of(renewals) == past


@pytest.mark.parametrize(
    ("kind", "consequence", "code", "outcome"),
    [
        (ZOOM, Consequence.REAUTH, "invalid_grant", RefreshOutcome.REJECTED),
        (ZOOM, Consequence.REFRESH, "124", RefreshOutcome.REJECTED),
        (ZOOM, Consequence.GONE, "1001", RefreshOutcome.REJECTED),
        (ZOOM, Consequence.INVALID, "invalid_client", RefreshOutcome.FAILED),
        (SERVER, Consequence.INVALID, "invalid_client", RefreshOutcome.REJECTED),
        (ZOOM, Consequence.PERM, "4711", RefreshOutcome.FAILED),
        (ZOOM, Consequence.RATE, "429", RefreshOutcome.FAILED),
        (ZOOM, Consequence.TRANSIENT, "503", RefreshOutcome.FAILED),
        (ZOOM, Consequence.TRANSIENT, ANSWER_LOST, RefreshOutcome.UNKNOWN),
    ],
)
def test_what_an_error_says_about_the_grant(
    kind: ConnectionKind, consequence: Consequence, code: str, outcome: RefreshOutcome
) -> None:
    assert outcome_of(kind, refusal(consequence, code)) is outcome


def test_pauses_grow_to_an_end() -> None:
    error = refusal(Consequence.TRANSIENT)
    pauses = [pause_after(error, failures=number, random=1.0) for number in range(1, 30)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert pause_after(error, failures=1, random=0.0) == FIRST_PAUSE * 0.75


def test_a_wait_the_platform_asks_for_is_kept_to_within_reason() -> None:
    error = refusal(Consequence.RATE)
    error.retry_after = 300
    assert pause_after(error, failures=1, random=0.5) == timedelta(minutes=5)
    error.retry_after = 86_400
    assert pause_after(error, failures=1, random=0.5) == LONGEST_PAUSE


def test_what_only_the_operator_can_correct_is_not_tried_every_minute() -> None:
    assert pause_after(refusal(Consequence.INVALID), failures=1, random=0) == MISCONFIGURED_PAUSE


def test_the_reason_says_when_an_answer_was_lost() -> None:
    dead = refusal(Consequence.REAUTH, "invalid_grant", detail="Zoom: Invalid Token!")
    assert "lost" in reason_for(dead, answer_lost=True, rotates=True)
    assert "Invalid Token!" in reason_for(dead, answer_lost=True, rotates=True)
    assert "lost" not in reason_for(dead, answer_lost=False, rotates=True)
    assert "lost" not in reason_for(dead, answer_lost=True, rotates=False), "the old one still worked"
    missing = refusal(Consequence.REAUTH, NO_TOKEN, detail="Zoom: there is no refresh token")
    assert "no refresh token" in reason_for(missing, answer_lost=True, rotates=True)
