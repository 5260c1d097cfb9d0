"""What a report can show: counts, money, rates and attributes, all of them text."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.tiktok_business.errors import invalid
from sandbox.world.tiktok_ads import AdGroup, Advertiser, Delivery, TikTokAd, TikTokCampaign

MISSING = "-"
LEVELS = ("AUCTION_ADVERTISER", "AUCTION_CAMPAIGN", "AUCTION_ADGROUP", "AUCTION_AD")
DEFAULT_METRICS = ("spend", "impressions")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report; what it does not belong to is None."""

    dimensions: dict[str, str]
    delivery: Delivery
    reach: int
    advertiser: Advertiser | None = None
    campaign: TikTokCampaign | None = None
    adgroup: AdGroup | None = None
    ad: TikTokAd | None = None
    short_money: bool = False
    """Reports over several advertisers show money without trailing zeros."""
    mixed: bool = False
    """Several currencies are added up, so that money means nothing."""


Render = Callable[[Row], str]


def _count(name: str) -> Render:
    return lambda row: str(getattr(row.delivery, name))


def _money(hundredths: float, row: Row) -> str:
    if row.mixed:
        return MISSING
    text = f"{hundredths / 100:.3f}"
    return text.rstrip("0").rstrip(".") if row.short_money else text


def _cost_per(name: str, per: int = 1) -> Render:
    def render(row: Row) -> str:
        number = getattr(row.delivery, name)
        return _money(row.delivery.spend * per / number if number else 0.0, row)

    return render


def _rate(name: str, of: str) -> Render:
    """A percentage with two decimals."""

    def render(row: Row) -> str:
        whole = getattr(row.delivery, of)
        return f"{100.0 * getattr(row.delivery, name) / whole if whole else 0.0:.2f}"

    return render


def _per_goal(render: Render) -> Render:
    """Results exist where all ads have one goal, which is not so for a whole advertiser."""
    return lambda row: render(row) if row.campaign is not None else MISSING


def _per_person(row: Row) -> str:
    return f"{row.delivery.impressions / row.reach if row.reach else 0.0:.2f}"


def _average_play(row: Row) -> str:
    plays = row.delivery.video_play_actions
    return f"{row.delivery.play_milliseconds / plays / 1000:.2f}" if plays else MISSING


_COUNTS = (
    "impressions",
    "clicks",
    "conversion",
    "real_time_conversion",
    "video_play_actions",
    "video_watched_2s",
    "video_watched_6s",
    "video_views_p25",
    "video_views_p50",
    "video_views_p75",
    "video_views_p100",
    "likes",
    "comments",
    "shares",
    "follows",
    "profile_visits",
)
NUMBERS: dict[str, Render] = {
    **{name: _count(name) for name in _COUNTS},
    "spend": lambda row: _money(row.delivery.spend, row),
    "reach": lambda row: str(row.reach),
    "frequency": _per_person,
    "ctr": _rate("clicks", "impressions"),
    "cpc": _cost_per("clicks"),
    "cpm": _cost_per("impressions", 1_000),
    "cost_per_1000_reached": lambda row: _money(
        row.delivery.spend * 1_000 / row.reach if row.reach else 0.0, row
    ),
    "cost_per_conversion": _cost_per("conversion"),
    "conversion_rate": _rate("conversion", "clicks"),
    "real_time_cost_per_conversion": _cost_per("real_time_conversion"),
    "real_time_conversion_rate": _rate("real_time_conversion", "clicks"),
    "result": _per_goal(_count("result")),
    "cost_per_result": _per_goal(_cost_per("result")),
    "result_rate": _per_goal(_rate("result", "impressions")),
    "real_time_result": _per_goal(_count("result")),
    "real_time_cost_per_result": _per_goal(_cost_per("result")),
    "real_time_result_rate": _per_goal(_rate("result", "impressions")),
    "average_video_play": _average_play,
    "complete_payment": _count("payments"),
    "complete_payment_roas": lambda row: (
        f"{row.delivery.payment_value / row.delivery.spend if row.delivery.spend else 0.0:.2f}"
    ),
    "total_complete_payment_rate": lambda row: _money(row.delivery.payment_value, row),
    "value_per_complete_payment": lambda row: _money(
        row.delivery.payment_value / row.delivery.payments if row.delivery.payments else 0.0, row
    ),
    "cost_per_complete_payment": _cost_per("payments"),
    "complete_payment_rate": _rate("payments", "clicks"),
    "secondary_goal_result": lambda _: MISSING,
    "engaged_view": _count("video_watched_6s"),
}
ATTRIBUTES: dict[str, Render] = {
    "advertiser_id": lambda row: row.advertiser.id if row.advertiser else MISSING,
    "advertiser_name": lambda row: row.advertiser.name if row.advertiser else MISSING,
    "currency": lambda row: row.advertiser.currency if row.advertiser else MISSING,
    "timezone": lambda row: row.advertiser.timezone if row.advertiser else MISSING,
    "campaign_id": lambda row: row.campaign.id if row.campaign else MISSING,
    "campaign_name": lambda row: row.campaign.name if row.campaign else MISSING,
    "objective_type": lambda row: row.campaign.objective_type if row.campaign else MISSING,
    "adgroup_id": lambda row: row.adgroup.id if row.adgroup else MISSING,
    "adgroup_name": lambda row: row.adgroup.name if row.adgroup else MISSING,
    "ad_id": lambda row: row.ad.id if row.ad else MISSING,
    "ad_name": lambda row: row.ad.name if row.ad else MISSING,
}
METRICS = {**NUMBERS, **ATTRIBUTES}
OF_EVERY_ADVERTISER = ("currency", "timezone", "advertiser_id")
"""What a report over several advertisers shows unasked."""


_TITLES = {
    "advertiser_id": "Account ID",
    "campaign_id": "Campaign ID",
    "adgroup_id": "Ad group ID",
    "ad_id": "Ad ID",
    "stat_time_day": "By Day",
    "campaign_name": "Campaign name",
    "spend": "Cost",
    "impressions": "Impressions",
    "clicks": "Clicks (destination)",
    "conversion": "Conversions",
    "reach": "Reach",
    "frequency": "Frequency",
    "ctr": "CTR (destination)",
    "cpc": "CPC (destination)",
    "cpm": "CPM",
}


def title_of(name: str) -> str:
    """What a column of a downloaded report is called unless titles are left untranslated."""
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def check_metrics(names: list[str]) -> tuple[str, ...]:
    """The metrics asked for, or the default ones; raises code 40002 for any that does not exist."""
    if unknown := [name for name in names if name not in METRICS]:
        raise invalid("metrics", f"Invalid metric fields: {unknown}.")
    return tuple(dict.fromkeys(names)) or DEFAULT_METRICS


def number_of(row: Row, name: str) -> float:
    """A metric as a number, to sort and filter by; what is missing counts as nothing."""
    text = NUMBERS[name](row)
    return 0.0 if text == MISSING else float(text)


def render(row: Row, metrics: tuple[str, ...]) -> dict[str, object]:
    """The row as a report lists it."""
    return {
        "dimensions": row.dimensions,
        "metrics": {name: METRICS[name](row) for name in metrics},
    }
