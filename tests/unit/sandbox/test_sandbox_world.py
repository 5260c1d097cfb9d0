from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sandbox.world.ads import Deliveries, Delivery, make_accounts
from sandbox.world.pages import make_pages, split_reactions
from sandbox.world.population import World

MONDAY = date(2026, 10, 5)


def test_numbers_do_not_depend_on_the_order_they_are_asked_in() -> None:
    ads = list(make_accounts(7, 2)[0].ads)
    days = [MONDAY + timedelta(days=n) for n in range(20)]
    forwards, backwards = Deliveries(), Deliveries()
    first = {(ad.id, day): forwards.of(ad, day) for ad in ads for day in days}
    second = {(ad.id, day): backwards.of(ad, day) for ad in reversed(ads) for day in reversed(days)}
    assert first == second


def test_another_seed_makes_other_numbers_under_the_same_ids() -> None:
    one, other = make_accounts(1, 1)[0], make_accounts(2, 1)[0]
    assert one.id == other.id
    known = Deliveries()
    elsewhere = Deliveries()
    assert [known.of(ad, MONDAY) for ad in one.ads] != [elsewhere.of(ad, MONDAY) for ad in other.ads]


def test_weekends_are_quieter_than_thursdays() -> None:
    account = make_accounts(1, 1)[0]
    deliveries = Deliveries()

    def impressions(weekday: int) -> int:
        days = [MONDAY + timedelta(days=weekday + 7 * week) for week in range(20)]
        return sum(deliveries.of(ad, day).impressions for ad in account.ads for day in days)

    assert impressions(6) < 0.9 * impressions(3)


def test_a_disabled_account_delivers_nothing() -> None:
    disabled = make_accounts(1, 4)[3]
    assert disabled.status == 2
    assert all(Deliveries().of(ad, MONDAY) == Delivery() for ad in disabled.ads)


def test_forgetting_old_numbers_changes_none() -> None:
    ads = list(make_accounts(1, 1)[0].ads)
    small = Deliveries(keep=3)
    assert [small.of(ad, MONDAY) for ad in ads] == [Deliveries().of(ad, MONDAY) for ad in ads]


def test_every_object_is_found_by_its_own_id() -> None:
    world = World(1, accounts=8, pages=6)
    known = [account.id for account in world.accounts]
    known += [campaign.id for account in world.accounts for campaign in account.campaigns]
    known += [ad.id for account in world.accounts for ad in account.ads]
    assert len(set(known)) == 8 * (1 + 6 + 36)
    assert all((node := world.find(node_id)) is not None and node.id == node_id for node_id in known)
    assert len({page.id for page in world.pages}) == 6


def test_followers_grow_by_follows_less_unfollows() -> None:
    page = make_pages(3, 1)[0]
    day = MONDAY
    for _ in range(60):
        before = page.followers(day - timedelta(days=1))
        recorded = page.day(day)
        assert page.followers(day) == before + recorded.new_follows - recorded.unfollows >= before
        day += timedelta(days=1)


@given(st.integers(0, 10**6))
def test_reactions_add_up(total: int) -> None:
    split = split_reactions(total)
    assert sum(split.values()) == total
    assert all(split.values())
