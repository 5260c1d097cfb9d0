from itertools import count

import pytest

from sandbox.clock import Clock
from sandbox.grants import DeadToken, Grants, Pair
from tests.unit.sandbox.conftest import NOON


def book(*, rotates: bool = True) -> tuple[Grants, Clock]:
    clock = Clock(source=lambda: NOON)
    grants = Grants("any", clock, 1, access_seconds=60, refresh_seconds=600, rotates=rotates)
    return grants, clock


def death(grants: Grants, token: str, client: str = "app") -> str:
    """Why a refresh token is refused."""
    with pytest.raises(DeadToken) as dead:
        grants.refresh(token, client)
    return dead.value.reason


def test_only_the_latest_refresh_token_lives() -> None:
    grants, _ = book()
    pairs = [grants.open("app", "dana", ["read"])]
    for _ in range(5):
        pairs.append(grants.refresh(pairs[-1].refresh_token, "app"))
    assert len({pair.refresh_token for pair in pairs}) == 6
    assert len({pair.access_token for pair in pairs}) == 6
    for former in pairs[:-1]:
        assert death(grants, former.refresh_token) == "rotated"
    assert grants.refresh(pairs[-1].refresh_token, "app").grant.refreshes == 6


def test_reasons_of_death() -> None:
    grants, clock = book()
    pair = grants.open("app", "dana", ["read"])
    assert death(grants, "never-was") == "unknown"
    assert death(grants, pair.refresh_token, "another") == "foreign"
    clock.advance(600)
    assert death(grants, pair.refresh_token) == "expired"
    other = grants.open("app", "dana", ["read"])
    assert grants.revoke(other.access_token)
    assert death(grants, other.refresh_token) == "revoked"
    assert not grants.revoke("never-was")


def test_lifetimes_are_whole_while_time_goes_on() -> None:
    ticks = count(NOON, 0.001)
    clock = Clock(source=lambda: next(ticks))
    grants = Grants("any", clock, 1, access_seconds=60, refresh_seconds=600)
    pair = grants.open("app", "dana", ["read"])
    assert (pair.expires_in, pair.refresh_expires_in) == (60, 600)
    assert grants.refresh(pair.refresh_token, "app").refresh_expires_in == 600


def test_a_token_dies_in_its_last_second() -> None:
    grants, clock = book()
    pair = grants.open("app", "dana", ["read"])
    clock.advance(59.9)
    assert grants.identify(pair.access_token) is pair.grant
    clock.advance(0.1)
    with pytest.raises(DeadToken, match="expired"):
        grants.identify(pair.access_token)


@pytest.mark.parametrize("rotates", [True, False])
def test_a_grant_that_is_refreshed_for_ever_stays_small_and_alive(rotates: bool) -> None:
    grants, _ = book(rotates=rotates)
    pair: Pair = grants.open("app", "dana", ["read"])
    first = pair
    for _ in range(500):
        pair = grants.refresh(pair.refresh_token, "app")
    assert len(pair.grant.tokens) <= 64
    assert grants.identify(pair.access_token) is pair.grant
    assert (death(grants, first.refresh_token) == "unknown") if rotates else pair.refresh_expires_in == 600


def test_what_is_shown_holds_no_token() -> None:
    grants, _ = book()
    pair = grants.refresh(grants.open("app", "dana", ["read"]).refresh_token, "app")
    shown = str(grants.as_json())
    assert pair.access_token not in shown
    assert pair.refresh_token not in shown
