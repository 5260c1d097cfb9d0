"""When a token is refreshed, how long to wait after a failure, and what an error of the platform says about
the grant. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from common.errors import Consequence, PlatformError
from common.models import ConnectionKind, RefreshOutcome
from platforms.oauth.base import ANSWER_LOST, NO_TOKEN, Stored
from platforms.platform import Renewal
from platforms.registry import KINDS

LARGEST_MARGIN = 0.2
"""The margin's largest share of a token's life, because a short-lived one would be refreshed at every
call."""
PROLONG_BEFORE = timedelta(days=10)
"""Before the expiry of a token that can only be exchanged while it is valid."""

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=30)
MISCONFIGURED_PAUSE = timedelta(hours=1)
LEAST_PAUSE = timedelta(seconds=60)
"""Between a refresh and the next one due, whatever lifetime the platform states."""
LOOK_AGAIN_AFTER = timedelta(hours=1)
"""Minimum between two checks of a token that cannot be refreshed, and after a check that failed."""
ADOPT_AFTER = timedelta(seconds=60)
"""How old an unfinished refresh must be before its process counts as dead: until then it may still store the
new token."""

CLOCKS_DIFFER = timedelta(seconds=30)
"""Tolerance: due within this time counts as due, because the time may come from another clock."""

_DEAD = frozenset({Consequence.REAUTH, Consequence.REFRESH, Consequence.GONE})


@dataclass(frozen=True, slots=True)
class Token:
    """A connection's `version`th token. `granted_at` is None where it is unknown."""

    value: str = field(repr=False)
    version: int
    expires_at: datetime | None = None
    granted_at: datetime | None = None

    def lives(self, now: datetime) -> bool:
        """Whether it has not expired, going by what the platform said when granting it."""
        return self.expires_at is None or self.expires_at > now


class Why(StrEnum):
    """Why a refresh is wanted: the token expires soon, the platform rejected it, or a reminder came."""

    WORN = "worn"
    REFUSED = "refused"
    DUE = "due"


class Move(StrEnum):
    """What to do with a token that is due."""

    RENEW = "renew"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class Past:
    """Results of the refreshes of the current token so far.

    `answer_lost`: one was sent and its response is unknown. `in_flight`: one has no outcome yet, and its
    process may still be alive. `stopped`: the processes that had to be ended because of one.
    """

    failures: int = 0
    answer_lost: bool = False
    in_flight: bool = False
    stopped: int = 0

    @classmethod
    def of(cls, renewals: Sequence[tuple[str | None, timedelta]], *, stopped: int = 0) -> Past:
        """From the outcomes and ages of the current token's refreshes, the latest first."""
        failures, lost, in_flight = 0, False, False
        for outcome, age in renewals:
            if outcome == RefreshOutcome.REFRESHED:
                break
            failures += 1
            lost = lost or outcome in (None, RefreshOutcome.UNKNOWN)
            in_flight = in_flight or (outcome is None and age < ADOPT_AFTER)
        return cls(failures, lost, in_flight, stopped)


def is_worn(kind: ConnectionKind, token: Token, now: datetime) -> bool:
    """Whether the token ends too soon to be handed out."""
    margin = KINDS[kind].margin if kind in KINDS else None
    if token.expires_at is None or margin is None:
        return False
    if token.granted_at is not None and token.granted_at < token.expires_at:
        margin = min(margin, LARGEST_MARGIN * (token.expires_at - token.granted_at))
    return token.expires_at - now <= margin


def can_renew(kind: ConnectionKind, stored: Stored, *, why: Why) -> bool:
    """Whether there is anything to ask for another token with."""
    match _renewal(kind):
        case Renewal.NOTHING:
            return False
        case Renewal.ITSELF:
            # What the platform refused cannot be exchanged any more.
            return why is Why.DUE and stored.access_token is not None
        case Renewal.REFRESH_TOKEN:
            return stored.refresh_token is not None
        case Renewal.CREDENTIALS:
            return bool(stored.credentials)


def is_due(refresh_at: datetime | None, now: datetime) -> bool:
    """Whether a reminder still applies, or an earlier one was handled."""
    return refresh_at is not None and refresh_at <= now + CLOCKS_DIFFER


def move_when_due(kind: ConnectionKind, stored: Stored, now: datetime) -> Move:
    """Refresh it where possible and when it expires soon; otherwise check whether it is valid."""
    if not can_renew(kind, stored, why=Why.DUE):
        return Move.LOOK
    if _renewal(kind) is Renewal.ITSELF:
        near = stored.expires_at is not None and stored.expires_at - now <= PROLONG_BEFORE
        return Move.RENEW if near else Move.LOOK
    return Move.RENEW


def outcome_of(kind: ConnectionKind, error: PlatformError) -> RefreshOutcome:
    """The outcome of a refresh that failed with `error`.

    Credentials of a server-to-server app are the tenant's own, so the tenant must correct them; those of
    our app are the operator's, and no reason to ask tenants to reconnect.
    """
    if error.code == ANSWER_LOST:
        return RefreshOutcome.UNKNOWN
    if error.consequence in _DEAD:
        return RefreshOutcome.REJECTED
    if _renewal(kind) is Renewal.CREDENTIALS and error.consequence is Consequence.INVALID:
        return RefreshOutcome.REJECTED
    return RefreshOutcome.FAILED


def pause_after(error: PlatformError, *, failures: int, random: float) -> timedelta:
    """How long to wait after the `failures`th failure in a row; `random` is in [0, 1)."""
    if error.permanent:
        return MISCONFIGURED_PAUSE
    doubled = min(FIRST_PAUSE * (1 << min(max(failures - 1, 0), 16)), LONGEST_PAUSE)
    asked = timedelta(seconds=min(error.retry_after or 0.0, LONGEST_PAUSE.total_seconds()))
    return max(doubled * (0.75 + 0.25 * random), asked)


def reason_for(error: PlatformError, *, answer_lost: bool, rotates: bool) -> str:
    """Why the account must be connected again, for its owner; `error` has no secrets in it."""
    if error.code == NO_TOKEN:
        return f"{error.detail}, so that its token cannot be renewed"
    if answer_lost and rotates:
        return (
            "the answer to an earlier renewal was lost, and with it perhaps the new refresh token; "
            f"the old one is no longer accepted ({error.detail})"
        )
    return f"its token is no longer accepted and cannot be renewed ({error.detail})"


def _renewal(kind: ConnectionKind) -> Renewal:
    return KINDS[kind].renewal if kind in KINDS else Renewal.NOTHING
