"""TikTok advertisers with their campaigns, ad groups and ads, and what each ad delivered on each day."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from sandbox.world.deletions import Deletions
from sandbox.world.dice import between, throw

FIRST_DAY = date(2023, 1, 2)
"""No ad ran before this day."""
_WEEKDAYS = (0.92, 0.95, 0.98, 1.0, 1.08, 1.16, 1.1)


class _Traits(NamedTuple):
    name: str
    currency: str
    offset: str
    """The fixed zone TikTok calls the account's; its sign is POSIX's, so Etc/GMT+8 is UTC-8."""
    zone: str
    country: str
    industry: str


_ADVERTISERS = (
    _Traits("Kitchen & Co", "USD", "Etc/GMT+8", "America/Los_Angeles", "US", "292604"),
    _Traits("Brightpath Courses", "EUR", "Etc/GMT-1", "Europe/Berlin", "DE", "290801"),
    _Traits("Mirai Fitness", "JPY", "Etc/GMT-9", "Asia/Tokyo", "JP", "291905"),
    _Traits("Harbor Outdoor", "USD", "Etc/GMT+5", "America/New_York", "US", "291403"),
    _Traits("Atlas Language School", "PLN", "Etc/GMT-1", "Europe/Warsaw", "PL", "290802"),
    _Traits("Studio Lumen", "GBP", "Etc/GMT+0", "Europe/London", "GB", "292202"),
)
_CAMPAIGNS = (
    ("Traffic", "TRAFFIC", "LANDING_PAGE"),
    ("Website conversions", "WEB_CONVERSIONS", "CONVERSIONS"),
    ("Video views", "VIDEO_VIEWS", "VIDEO_VIEW"),
    ("Lead form", "LEAD_GENERATION", "LEAD_GENERATION"),
    ("Reach | Spring", "REACH", "REACH"),
)
_PAUSED = 4
_ADGROUPS = ("Broad 18-34", "Lookalike 3%")
_ADS = ("Creator video 15s", "Product image")


class Delivery(NamedTuple):
    """What was delivered and what it led to; money in hundredths of the advertiser's currency."""

    impressions: int = 0
    clicks: int = 0
    spend: int = 0
    reach: int = 0
    conversion: int = 0
    real_time_conversion: int = 0
    result: int = 0
    video_play_actions: int = 0
    video_watched_2s: int = 0
    video_watched_6s: int = 0
    video_views_p25: int = 0
    video_views_p50: int = 0
    video_views_p75: int = 0
    video_views_p100: int = 0
    play_milliseconds: int = 0
    likes: int = 0
    comments: int = 0
    shares: int = 0
    follows: int = 0
    profile_visits: int = 0
    payments: int = 0
    payment_value: int = 0

    @classmethod
    def sum(cls, deliveries: Iterable["Delivery"]) -> "Delivery":
        """All together; reach is summed too, and thinned by who reports it."""
        return cls._make(map(sum, zip(*deliveries, strict=True)))


NOTHING = Delivery()


@dataclass(frozen=True)
class TikTokAd:
    """The smallest thing that delivers."""

    id: str
    name: str
    adgroup: "AdGroup"

    @property
    def is_video(self) -> bool:
        return self.name.startswith("Creator video")

    @cached_property
    def traits(self) -> tuple[float, ...]:
        return throw(self.adgroup.campaign.advertiser.seed, "tiktok-ad", self.id)


@dataclass(frozen=True)
class AdGroup:
    """Ads that share an audience and a budget."""

    id: str
    name: str
    campaign: "TikTokCampaign"

    @cached_property
    def ads(self) -> tuple[TikTokAd, ...]:
        return tuple(TikTokAd(f"{self.id[:-1]}{n + 1}", name, self) for n, name in enumerate(_ADS))


@dataclass(frozen=True)
class TikTokCampaign:
    """A goal with its ad groups."""

    id: str
    name: str
    objective_type: str
    objective: str
    number: int
    advertiser: "Advertiser"

    @cached_property
    def adgroups(self) -> tuple[AdGroup, ...]:
        return tuple(AdGroup(f"{self.id[:-3]}{n + 1}00", name, self) for n, name in enumerate(_ADGROUPS))

    @property
    def enabled(self) -> bool:
        """One campaign was paused for good, so that lists hold both kinds."""
        return self.number != _PAUSED

    @property
    def created_at(self) -> datetime:
        """In UTC, as TikTok's lists have it."""
        chances = throw(self.advertiser.seed, "created", self.id)
        start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, 7, tzinfo=UTC)
        return start + timedelta(days=self.number * 40, seconds=int(chances[0] * 28_800))

    @property
    def budget(self) -> float:
        """Per day, in the advertiser's currency."""
        return (50.0 + 25.0 * self.number) * (1.0 if self.advertiser.currency != "JPY" else 150.0)

    def runs_on(self, day: date) -> bool:
        """Whether the campaign was switched on that day."""
        if day < self.created_at.date():
            return False
        if self.number == _PAUSED:
            return day < date(2026, 6, 1)
        return throw(self.advertiser.seed, "tiktok-pause", self.id, day.toordinal() // 4)[0] > 0.06


@dataclass(frozen=True)
class Advertiser:
    """An ad account; ``timezone`` has a fixed offset, ``display_timezone`` is the one its days follow."""

    id: str
    name: str
    currency: str
    timezone: str
    display_timezone: str
    country: str
    industry: str
    status: str
    seed: int

    @cached_property
    def campaigns(self) -> tuple[TikTokCampaign, ...]:
        return tuple(
            TikTokCampaign(f"17{self.id[2:15]}{n + 1}000", name, objective_type, objective, n, self)
            for n, (name, objective_type, objective) in enumerate(_CAMPAIGNS)
        )

    @property
    def ads(self) -> Iterator[TikTokAd]:
        for campaign in self.campaigns:
            for adgroup in campaign.adgroups:
                yield from adgroup.ads


def make_advertisers(seed: int, count: int) -> tuple[Advertiser, ...]:
    """The ids are the same for every seed; the fourth advertiser is disabled and delivers nothing."""
    advertisers = []
    for index in range(count):
        traits = _ADVERTISERS[index % len(_ADVERTISERS)]
        name = traits.name
        if index >= len(_ADVERTISERS):
            name = f"{name} {index // len(_ADVERTISERS) + 1}"
        advertisers.append(
            Advertiser(
                id=str(7_001_402_210_000_000_000 + (index + 1) * 91_117_000_000),
                name=name,
                currency=traits.currency,
                timezone=traits.offset,
                display_timezone=traits.zone,
                country=traits.country,
                industry=traits.industry,
                status="STATUS_DISABLE" if index == 3 else "STATUS_ENABLE",
                seed=seed,
            )
        )
    return tuple(advertisers)


class TikTokAds:
    """Every advertiser of one seed, and what their ads delivered."""

    def __init__(
        self, seed: int, count: int, deletions: Deletions | None = None, *, keep: int = 200_000
    ) -> None:
        self.deletions = deletions or Deletions()
        self.advertisers = make_advertisers(seed, count)
        self._by_id = {advertiser.id: advertiser for advertiser in self.advertisers}
        self._keep = keep
        self._known: dict[tuple[str, int], Delivery] = {}

    def find(self, advertiser_id: str) -> Advertiser | None:
        """The advertiser of that id, or None."""
        return self._by_id.get(advertiser_id)

    def delivered(self, ad: TikTokAd, day: date) -> Delivery:
        """A pure function of the seed, the ad and the day."""
        key = (ad.id, day.toordinal())
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self._keep:
                self._known.clear()
            known = self._known[key] = _deliver(ad, day)
        return known


def _deliver(ad: TikTokAd, day: date) -> Delivery:
    campaign = ad.adgroup.campaign
    advertiser = campaign.advertiser
    if advertiser.status != "STATUS_ENABLE" or not campaign.runs_on(day):
        return NOTHING
    size, ctr_trait, cpm_trait, cvr_trait, love, *_ = ad.traits
    luck = throw(advertiser.seed, "tiktok", ad.id, day.toordinal())
    if luck[7] < 0.02:
        return NOTHING
    season = _WEEKDAYS[day.weekday()] * (1.15 if day.month in (11, 12) else 1.0)
    impressions = int(500.0 * 14.0**size * season * between(0.75, 1.25, luck[0]))
    clicks = int(impressions * between(0.006, 0.022, ctr_trait) * between(0.8, 1.2, luck[1]))
    cpm = between(280.0, 980.0, cpm_trait) * between(0.88, 1.12, luck[2])
    converts = campaign.objective_type in ("WEB_CONVERSIONS", "LEAD_GENERATION")
    conversion = int(clicks * between(0.02, 0.09, cvr_trait) * between(0.7, 1.3, luck[3])) if converts else 0
    payments = conversion if campaign.objective_type == "WEB_CONVERSIONS" else 0
    plays = int(impressions * between(0.82, 0.95, luck[4])) if ad.is_video else 0
    watched = int(plays * between(0.28, 0.45, love))
    reach = int(impressions * between(0.74, 0.9, luck[6]))
    results = {
        "TRAFFIC": clicks,
        "VIDEO_VIEWS": int(watched * 0.55),
        "REACH": reach,
    }
    loved = int(impressions * between(0.002, 0.012, love) * between(0.7, 1.3, luck[5]))
    return Delivery(
        impressions=impressions,
        clicks=clicks,
        spend=_money(impressions * cpm / 1000, advertiser.currency),
        reach=reach,
        conversion=conversion,
        real_time_conversion=int(conversion * 0.9),
        result=results.get(campaign.objective_type, conversion),
        video_play_actions=plays,
        video_watched_2s=watched,
        video_watched_6s=int(watched * 0.55),
        video_views_p25=int(plays * 0.31),
        video_views_p50=int(plays * 0.17),
        video_views_p75=int(plays * 0.09),
        video_views_p100=int(plays * 0.05),
        play_milliseconds=int(plays * between(2_200.0, 5_400.0, love)),
        likes=loved,
        comments=int(loved * 0.06),
        shares=int(loved * 0.04),
        follows=int(loved * 0.05),
        profile_visits=int(clicks * 0.11),
        payments=payments,
        payment_value=payments * _money(between(2_400.0, 7_200.0, cvr_trait), advertiser.currency),
    )


def _money(hundredths: float, currency: str) -> int:
    """Yen has no minor unit, and a hundred and fifty of them make about a dollar."""
    return int(hundredths * 1.5) * 100 if currency == "JPY" else int(hundredths)
