"""An alert from its configuration to its message and its memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.automation_config.alert import AlertConfig
from common.errors import Consequence, PlatformError
from executor.handlers.alert import Alert
from executor.handlers.base import Outcome
from executor.settings import ExecutorSettings
from platforms.advertising.figures import AdAccount
from platforms.advertising.metrics import Level
from platforms.calls.periods import Days
from tests.support.fake_ads import FakeAds, FakeSources, FakeTikTok, Values, ad_account, refusal
from tests.support.run_contexts import run_context

SLOT = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPEND = {"thresholds": {"max_daily_spend": 100}}


@dataclass
class Watched:
    """An automation that runs again and again, and what it remembers."""

    alert: Alert
    config: Mapping[str, Any]
    state: Mapping[str, Any] = field(default_factory=dict)
    slot: datetime = SLOT

    async def run(self, *, after: timedelta = timedelta(), **context: Any) -> Outcome:
        """One run that is recorded."""
        self.slot += after
        async with httpx.AsyncClient() as http:
            outcome = await self.alert.run(
                run_context(http, slot=self.slot, state=self.state, **context),
                AlertConfig.model_validate(self.config),
            )
        if outcome.state is not None:
            self.state = json.loads(json.dumps(outcome.state))
        return outcome


@dataclass
class Shop(FakeAds):
    """An account whose spend the test sets."""

    spend: float = 50

    def __post_init__(self) -> None:
        self.account_values = self._values

    def _values(self, account: AdAccount, days: Days) -> Values:
        return {"spend": self.spend, "impressions": 10, "ctr": 1}


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def watched(settings: ExecutorSettings, shop: Shop) -> Watched:
    return Watched(Alert(settings, sources=FakeSources(shop)), SPEND)


async def test_nothing_is_sent_while_nothing_changes(watched: Watched) -> None:
    outcome = await watched.run()
    assert (outcome.messages, outcome.summary) == ((), "nothing changed: everything is within its limits")
    assert (outcome.result["accounts"], outcome.result["judged"], outcome.result["breached"]) == (1, 1, 0)


async def test_a_breach_is_notified_then_reminded_then_resolved(watched: Watched, shop: Shop) -> None:
    watched.config = {**SPEND, "remind_after_hours": 6}
    shop.spend = 152.31
    outcome = await watched.run()
    (message,) = outcome.messages
    assert message.type == "alert.changed"
    assert message.title == "Morning numbers: 1 limit passed"
    assert "Spend 152.31 EUR is over the limit of 100.00 EUR" in message.text
    assert message.html is not None
    assert '<a href="https://ads.example/act_1">' in message.html
    (change,) = message.data["changes"]
    assert (change["value"], change["limit"], change["unit"], change["currency"], change["days"]) == (
        "152.31",
        "100",
        "money",
        "EUR",
        {"since": "2026-11-21", "until": "2026-11-21"},
    )
    shop.spend = 160
    assert (await watched.run(after=HOUR)).summary == "nothing changed: 1 known already"
    (message,) = (await watched.run(after=5 * HOUR)).messages
    assert "since 21 Nov 09:00" in message.text
    shop.spend = 20
    (message,) = (await watched.run(after=HOUR)).messages
    assert "back within the limit of 100.00 EUR; at its worst it was 160.00 EUR" in message.text
    assert (await watched.run(after=HOUR)).messages == ()


async def test_all_changes_of_a_run_are_one_message(settings: ExecutorSettings) -> None:
    ads = FakeAds(
        accounts=[ad_account("act_1", name="Shop"), ad_account("act_2", name="Outdoor", currency="USD")],
        account_values=lambda account, _days: {"spend": 500, "ctr": 0.1},
    )
    watched = Watched(
        Alert(settings, sources=FakeSources(ads)), {"thresholds": {"max_spend": 100, "min_ctr": 0.5}}
    )
    (message,) = (await watched.run()).messages
    assert message.title.endswith("4 limits passed")
    assert "500.00 EUR" in message.text
    assert "500.00 USD" in message.text


async def test_a_campaign_is_shown_by_name(settings: ExecutorSettings) -> None:
    ads = FakeAds(campaign_values=lambda _account, _days: {"7": {"cpc": 3}, "8": {"cpc": 1}})
    rule = {"metric": "cpc", "max": 2, "level": "campaign"}
    watched = Watched(Alert(settings, sources=FakeSources(ads)), {"rules": [rule]})
    (message,) = (await watched.run()).messages
    assert "Campaign 7: CPC 3.00 EUR is over" in message.text
    assert "Campaign 8" not in message.text
    assert [asked[3:] for asked in ads.asked] == [(Level.CAMPAIGN, False)]


async def test_days_are_those_of_the_account(settings: ExecutorSettings) -> None:
    ads = FakeAds(accounts=[ad_account(zone="America/Los_Angeles")])
    watched = Watched(
        Alert(settings, sources=FakeSources(ads)),
        {"thresholds": {"max_spend": 1}},
        slot=datetime(2026, 11, 21, 4, tzinfo=UTC),
    )
    await watched.run()
    assert ads.asked[0][2] == (Days(date(2026, 11, 20), date(2026, 11, 20)),)


class TestWhatIsNotAskedFor:
    async def test_a_selection_is_kept_to_on_its_platform(self, settings: ExecutorSettings) -> None:
        facebook = FakeAds(accounts=[ad_account("act_1"), ad_account("act_2")])
        tiktok = FakeTikTok(accounts=[ad_account("71"), ad_account("72")])
        watched = Watched(
            Alert(settings, sources=FakeSources(facebook, tiktok)), {**SPEND, "accounts": ["act_2"]}
        )
        outcome = await watched.run()
        assert [asked[0] for asked in facebook.asked] == ["act_2"]
        assert [asked[0] for asked in tiktok.asked] == ["71", "72"]
        assert outcome.result["accounts"] == 3

    async def test_a_platform_is_asked_only_for_metrics_it_has(self, settings: ExecutorSettings) -> None:
        tiktok = FakeTikTok(account_values=lambda _account, _days: {"likes": 1})
        watched = Watched(
            Alert(settings, sources=FakeSources(tiktok)),
            {"rules": [{"metric": "roas", "no_data": True}, {"metric": "likes", "min": 5}]},
        )
        outcome = await watched.run()
        assert [asked[1] for asked in tiktok.asked] == [("likes",)]
        assert [change["metric"] for change in outcome.result["changes"]] == ["likes"]
        assert outcome.result["not_known"] == 1

    async def test_a_metric_no_platform_has_is_rejected(self, settings: ExecutorSettings) -> None:
        watched = Watched(Alert(settings, sources=FakeSources(FakeTikTok())), {"thresholds": {"min_roas": 2}})
        with pytest.raises(PlatformError, match="none of the connected platforms tells roas") as refused:
            await watched.run()
        assert refused.value.permanent

    async def test_state_of_removed_rules_is_dropped(self, watched: Watched, shop: Shop) -> None:
        shop.spend = 152
        await watched.run()
        watched.config = {"thresholds": {"max_daily_spend": 200}}
        outcome = await watched.run(after=HOUR)
        assert outcome.messages == ()
        assert outcome.state is not None
        assert outcome.state["breaches"] == {}


class TestRefusals:
    async def test_a_transient_read_error_fails_the_attempt(self, watched: Watched, shop: Shop) -> None:
        shop.accounts = [ad_account("act_1"), ad_account("act_2")]
        shop.refusals = {"act_2": refusal(Consequence.TRANSIENT)}
        with pytest.raises(PlatformError) as failed:
            await watched.run()
        assert not failed.value.permanent

    async def test_the_last_attempt_reports_transient_errors_with_the_rest(
        self, watched: Watched, shop: Shop
    ) -> None:
        shop.accounts = [ad_account("act_1"), ad_account("act_2", name="Outdoor")]
        shop.refusals = {"act_2": refusal(Consequence.TRANSIENT, code=None)}
        shop.spend = 500
        outcome = await watched.run(last_attempt=True)
        (message,) = outcome.messages
        assert message.title.endswith("1 limit passed, 1 account cannot be watched")
        assert "Outdoor · Facebook" in message.text
        assert "cannot be watched: got no answer from the platform" in message.text
        assert [fault.consequence for fault in outcome.faults] == [Consequence.TRANSIENT]
        assert outcome.result["unreadable"][0]["name"] == "Outdoor"

    async def test_a_refused_account_is_notified_once_and_does_not_count_as_recovered(
        self, watched: Watched, shop: Shop
    ) -> None:
        shop.accounts = [ad_account("act_1"), ad_account("act_2")]
        shop.spend = 500
        await watched.run()
        shop.refusals = {"act_2": refusal(Consequence.PERM)}
        (message,) = (await watched.run(after=HOUR)).messages
        assert message.title.endswith(": 1 account cannot be watched")
        outcome = await watched.run(after=HOUR)
        assert outcome.messages == ()
        assert [fault.connection_id for fault in outcome.faults] == ["c"]
        shop.refusals = {}
        (message,) = (await watched.run(after=HOUR)).messages
        assert message.title.endswith(": 1 account can be watched again")
        # Neither of the two breaches was forgotten meanwhile.
        assert outcome.state is not None
        assert len(watched.state["breaches"]) == 2

    async def test_a_connection_that_shows_nothing_forgets_nothing(self, settings: ExecutorSettings) -> None:
        one, other = Shop(accounts=[ad_account("act_1")]), Shop(accounts=[ad_account("act_2")])
        one.spend = other.spend = 500
        watched = Watched(Alert(settings, sources=FakeSources(one, other)), SPEND)
        await watched.run()
        other.refusals = {"": refusal(Consequence.REAUTH)}
        (message,) = (await watched.run(after=HOUR)).messages
        assert "Connection 2 · Facebook" in message.text
        assert "must be connected again" in message.text
        other.refusals = {}
        (message,) = (await watched.run(after=HOUR)).messages
        assert "limit" not in message.title

    async def test_a_missing_account_is_reported(self, watched: Watched, shop: Shop) -> None:
        watched.config = {**SPEND, "accounts": ["act_1", "act_404"]}
        (message,) = (await watched.run()).messages
        assert "act_404" in message.text
        assert "is gone, or hidden" in message.text

    async def test_with_nothing_to_read_the_run_fails(self, watched: Watched, shop: Shop) -> None:
        shop.refusals = {"act_1": refusal(Consequence.GONE)}
        with pytest.raises(PlatformError) as failed:
            await watched.run()
        assert failed.value.consequence is Consequence.GONE


async def test_an_earlier_slot_notifies_nothing_and_changes_no_state(watched: Watched, shop: Shop) -> None:
    await watched.run()
    shop.spend = 500
    watched.slot -= 3 * HOUR
    outcome = await watched.run()
    assert (outcome.messages, outcome.state) == ((), None)
    assert outcome.result["breached"] == 1
    (message,) = (await watched.run(after=4 * HOUR)).messages
    assert message.title.endswith("1 limit passed")
