"""Ad accounts, campaigns, ad sets and ads, and what each ad delivered on each day."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import NamedTuple

from sandbox.world.dice import between, throw

FIRST_DAY = date(2021, 1, 4)
"""No ad ran before this day."""

_ACCOUNT_TRAITS = (
    ("Brightpath Courses", "EUR", "Europe/Berlin"),
    ("Harbor Outdoor", "USD", "America/New_York"),
    ("Studio Lumen", "GBP", "Europe/London"),
    ("Kitchen & Co", "USD", "America/Los_Angeles"),
    ("Atlas Language School", "PLN", "Europe/Warsaw"),
    ("Mirai Fitness", "JPY", "Asia/Tokyo"),
)
_CAMPAIGN_TRAITS = (
    ("Always on | Prospecting", "OUTCOME_SALES"),
    ("Retargeting | Cart 14d", "OUTCOME_SALES"),
    ("Webinar sign-ups", "OUTCOME_LEADS"),
    ("Brand film", "OUTCOME_AWARENESS"),
    ("Blog traffic", "OUTCOME_TRAFFIC"),
    ("Seasonal offer", "OUTCOME_SALES"),
)
_ADSETS = ("Broad 25-54", "Lookalike 1%", "Interest stack")
_ADS = ("Video 15s", "Carousel")
_WEEKDAYS = (1.0, 1.03, 1.06, 1.08, 1.1, 0.88, 0.82)


class Delivery(NamedTuple):
    """What was delivered and what it led to; money in hundredths of the account's currency."""

    impressions: int = 0
    clicks: int = 0
    spend: int = 0
    reach: int = 0
    link_clicks: int = 0
    landing_page_views: int = 0
    engagements: int = 0
    video_views: int = 0
    leads: int = 0
    add_to_carts: int = 0
    purchases: int = 0
    revenue: int = 0

    @classmethod
    def sum(cls, deliveries: Iterable["Delivery"]) -> "Delivery":
        """All together; reach is summed too, and thinned by who reports it."""
        return cls._make(map(sum, zip(*deliveries, strict=True)))


NOTHING = Delivery()


@dataclass(frozen=True)
class Ad:
    """The smallest thing that delivers."""

    id: str
    name: str
    adset: "AdSet"

    @cached_property
    def traits(self) -> tuple[float, ...]:
        return throw(self.adset.campaign.account.seed, "ad", self.id)


@dataclass(frozen=True)
class AdSet:
    """A group of ads that share an audience."""

    id: str
    name: str
    campaign: "Campaign"

    @cached_property
    def ads(self) -> tuple[Ad, ...]:
        return tuple(Ad(f"{self.id}{n + 1:02d}", name, self) for n, name in enumerate(_ADS))


@dataclass(frozen=True)
class Campaign:
    """A goal with its ad sets."""

    id: str
    name: str
    objective: str
    number: int
    account: "AdAccount"

    @cached_property
    def adsets(self) -> tuple[AdSet, ...]:
        return tuple(AdSet(f"{self.id}{n + 1:02d}", name, self) for n, name in enumerate(_ADSETS))

    @property
    def ads(self) -> Iterator[Ad]:
        for adset in self.adsets:
            yield from adset.ads

    @property
    def status(self) -> str:
        """The brand film was paused for good, so that lists hold both kinds."""
        return "PAUSED" if self.number == 3 else "ACTIVE"

    def runs_on(self, day: date) -> bool:
        """Whether the campaign was switched on that day."""
        if day < FIRST_DAY:
            return False
        if self.number == 3:
            return day < date(2025, 7, 1)
        if self.number == 5:
            return day.month in (3, 6, 11)
        return throw(self.account.seed, "pause", self.id, day.toordinal() // 3)[0] > 0.06


@dataclass(frozen=True)
class AdAccount:
    """An advertiser's account; ``status`` uses Facebook's numbers (1 active, 2 disabled)."""

    number: str
    name: str
    currency: str
    timezone: str
    status: int
    seed: int

    @property
    def id(self) -> str:
        return f"act_{self.number}"

    @cached_property
    def campaigns(self) -> tuple[Campaign, ...]:
        return tuple(
            Campaign(f"120{self.number[-9:]}{n + 1:02d}", name, objective, n, self)
            for n, (name, objective) in enumerate(_CAMPAIGN_TRAITS)
        )

    @property
    def ads(self) -> Iterator[Ad]:
        for campaign in self.campaigns:
            yield from campaign.ads

    def has_cents(self) -> bool:
        """Yen has no minor unit."""
        return self.currency != "JPY"


def make_accounts(seed: int, count: int) -> tuple[AdAccount, ...]:
    """The first account ids are the same for every seed; what they delivered is not."""
    accounts = []
    for index in range(count):
        name, currency, timezone = _ACCOUNT_TRAITS[index % len(_ACCOUNT_TRAITS)]
        if index >= len(_ACCOUNT_TRAITS):
            name = f"{name} {index // len(_ACCOUNT_TRAITS) + 1}"
        number = str(402_210_009_450_000 + (index + 1) * 1_117)
        accounts.append(AdAccount(number, name, currency, timezone, 2 if index == 3 else 1, seed))
    return tuple(accounts)


class Deliveries:
    """Answers what an ad delivered on a day, remembering what it has worked out."""

    def __init__(self, keep: int = 200_000) -> None:
        self._keep = keep
        self._known: dict[tuple[str, int], Delivery] = {}

    def of(self, ad: Ad, day: date) -> Delivery:
        """A pure function of the world's seed, the ad and the day."""
        key = (ad.id, day.toordinal())
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self._keep:
                self._known.clear()
            known = self._known[key] = _deliver(ad, day)
        return known


def _deliver(ad: Ad, day: date) -> Delivery:
    campaign = ad.adset.campaign
    account = campaign.account
    if account.status != 1 or not campaign.runs_on(day):
        return NOTHING
    size, ctr_trait, cpm_trait, cvr_trait, value_trait, *_ = ad.traits
    luck = throw(account.seed, ad.id, day.toordinal())
    if luck[7] < 0.02:
        return NOTHING
    base = 300.0 * 12.0**size
    season = _WEEKDAYS[day.weekday()] * (1.12 if day.month in (11, 12) else 1.0)
    impressions = int(base * season * between(0.78, 1.22, luck[0]))
    clicks = int(impressions * between(0.008, 0.03, ctr_trait) * between(0.8, 1.2, luck[1]))
    cpm_cents = between(420.0, 1_350.0, cpm_trait) * between(0.88, 1.12, luck[2])
    spend = int(impressions * cpm_cents / 1000)
    link_clicks = int(clicks * between(0.72, 0.9, luck[3]))
    landing_page_views = int(link_clicks * between(0.6, 0.82, luck[4]))
    sells = campaign.objective == "OUTCOME_SALES"
    leads = (
        int(landing_page_views * between(0.05, 0.16, cvr_trait))
        if campaign.objective == "OUTCOME_LEADS"
        else 0
    )
    add_to_carts = int(landing_page_views * between(0.06, 0.14, cvr_trait)) if sells else 0
    purchases = int(add_to_carts * between(0.2, 0.5, luck[5])) if sells else 0
    return Delivery(
        impressions=impressions,
        clicks=clicks,
        spend=spend,
        reach=int(impressions * between(0.78, 0.93, luck[6])),
        link_clicks=link_clicks,
        landing_page_views=landing_page_views,
        engagements=int(clicks * between(1.2, 2.4, luck[1])),
        video_views=int(impressions * between(0.12, 0.3, luck[5])) if ad.name.startswith("Video") else 0,
        leads=leads,
        add_to_carts=add_to_carts,
        purchases=purchases,
        revenue=int(purchases * between(2_900.0, 9_900.0, value_trait) * between(0.9, 1.1, luck[2])),
    )
