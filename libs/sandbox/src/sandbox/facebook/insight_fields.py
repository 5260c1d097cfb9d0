"""The columns of an ads insights row. Every value is text; what is zero or undefined is left out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sandbox.facebook.errors import GraphError
from sandbox.world.ads import Ad, AdAccount, AdSet, Campaign, Delivery

LEVELS = ("ad", "adset", "campaign", "account")
DEFAULT_FIELDS = ("impressions", "spend")
WINDOWS = {
    "1d_click": 0.72,
    "7d_click": 0.88,
    "28d_click": 0.96,
    "1d_view": 0.12,
    "7d_view": 0.19,
    "28d_view": 0.25,
    "1d_ev": 0.05,
    "dda": 0.9,
}


"""Breakdown columns with their values."""


@dataclass(slots=True, eq=False)
class Row:
    """One row of one query. ``reach`` is already free of double counting."""

    fields: tuple[str, ...]
    account: AdAccount
    campaign: Campaign | None
    adset: AdSet | None
    ad: Ad | None
    since: date
    until: date
    delivery: Delivery
    reach: int
    windows: tuple[str, ...]
    shown: dict[str, Any] | None = None
    """The row as JSON, once it was asked for."""


Column = Callable[[Row], Any]


def _decimal(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _ratio(numerator: float, denominator: float, factor: float = 1.0) -> str | None:
    return _decimal(numerator / denominator * factor) if denominator else None


def _money(row: Row, minor: int) -> str:
    return f"{minor / 100:.2f}" if row.account.has_cents() else str(minor // 100)


def _spend(row: Row) -> float:
    return row.delivery.spend / 100


def _action_counts(row: Row) -> list[tuple[str, int]]:
    it = row.delivery
    counts = [
        ("link_click", it.link_clicks),
        ("landing_page_view", it.landing_page_views),
        ("post_engagement", it.engagements),
        ("page_engagement", it.engagements),
        ("video_view", it.video_views),
        ("lead", it.leads),
        ("offsite_conversion.fb_pixel_lead", it.leads),
        ("add_to_cart", it.add_to_carts),
        ("omni_add_to_cart", it.add_to_carts),
        ("offsite_conversion.fb_pixel_add_to_cart", it.add_to_carts),
        ("purchase", it.purchases),
        ("omni_purchase", it.purchases),
        ("offsite_conversion.fb_pixel_purchase", it.purchases),
    ]
    return [(name, number) for name, number in counts if number]


def _items(
    row: Row, values: Iterable[tuple[str, float, Callable[[float], str]]]
) -> list[dict[str, str]] | None:
    items = []
    for name, value, text in values:
        item = {"action_type": name, "value": text(value)}
        for window in row.windows:
            part = value * WINDOWS[window]
            if part >= 1 or not float(value).is_integer():
                item[window] = text(part)
        items.append(item)
    return items or None


def _whole(value: float) -> str:
    return str(int(value))


def _cents(value: float) -> str:
    return f"{value:.2f}"


def _actions(row: Row) -> list[dict[str, str]] | None:
    return _items(row, ((name, number, _whole) for name, number in _action_counts(row)))


def _action_values(row: Row) -> list[dict[str, str]] | None:
    if not row.delivery.purchases:
        return None
    names = ("purchase", "omni_purchase", "offsite_conversion.fb_pixel_purchase")
    return _items(row, ((name, row.delivery.revenue / 100, _cents) for name in names))


def _cost_per_action(row: Row) -> list[dict[str, str]] | None:
    spend = _spend(row)
    return [
        {"action_type": name, "value": _decimal(spend / number)} for name, number in _action_counts(row)
    ] or None


def _roas(name: str) -> Column:
    def column(row: Row) -> list[dict[str, str]] | None:
        if not row.delivery.purchases or not row.delivery.spend:
            return None
        return [{"action_type": name, "value": _decimal(row.delivery.revenue / row.delivery.spend)}]

    return column


def _single(name: str, number: Callable[[Delivery], int]) -> Column:
    def column(row: Row) -> list[dict[str, str]] | None:
        value = number(row.delivery)
        return [{"action_type": name, "value": str(value)}] if value else None

    return column


def _results(row: Row) -> Any:
    """What the campaign's goal counts, which exists below the account only."""
    if row.campaign is None:
        return None
    goals = {
        "OUTCOME_SALES": ("actions:offsite_conversion.fb_pixel_purchase", row.delivery.purchases),
        "OUTCOME_LEADS": ("actions:lead", row.delivery.leads),
        "OUTCOME_TRAFFIC": ("actions:link_click", row.delivery.link_clicks),
    }
    indicator, count = goals.get(row.campaign.objective, ("reach", row.reach))
    return [{"indicator": indicator, "values": [{"value": str(count)}]}]


COLUMNS: dict[str, Column] = {
    "account_id": lambda row: row.account.number,
    "account_name": lambda row: row.account.name,
    "account_currency": lambda row: row.account.currency,
    "campaign_id": lambda row: row.campaign and row.campaign.id,
    "campaign_name": lambda row: row.campaign and row.campaign.name,
    "adset_id": lambda row: row.adset and row.adset.id,
    "adset_name": lambda row: row.adset and row.adset.name,
    "ad_id": lambda row: row.ad and row.ad.id,
    "ad_name": lambda row: row.ad and row.ad.name,
    "objective": lambda row: row.campaign and row.campaign.objective,
    "buying_type": lambda row: row.campaign and "AUCTION",
    "optimization_goal": lambda row: row.adset and "OFFSITE_CONVERSIONS",
    "attribution_setting": lambda _: "7d_click_1d_view",
    "impressions": lambda row: str(row.delivery.impressions),
    "clicks": lambda row: str(row.delivery.clicks),
    "spend": lambda row: _money(row, row.delivery.spend),
    "reach": lambda row: str(row.reach) if row.reach else None,
    "frequency": lambda row: _ratio(row.delivery.impressions, row.reach),
    "ctr": lambda row: _ratio(row.delivery.clicks, row.delivery.impressions, 100),
    "cpc": lambda row: _ratio(_spend(row), row.delivery.clicks),
    "cpm": lambda row: _ratio(_spend(row), row.delivery.impressions, 1000),
    "cpp": lambda row: _ratio(_spend(row), row.reach, 1000),
    "unique_clicks": lambda row: str(int(row.delivery.clicks * 0.93)) if row.delivery.clicks else None,
    "unique_ctr": lambda row: _ratio(int(row.delivery.clicks * 0.93), row.reach, 100),
    "inline_link_clicks": lambda row: str(row.delivery.link_clicks) if row.delivery.link_clicks else None,
    "inline_link_click_ctr": lambda row: _ratio(row.delivery.link_clicks, row.delivery.impressions, 100),
    "cost_per_inline_link_click": lambda row: _ratio(_spend(row), row.delivery.link_clicks),
    "inline_post_engagement": lambda row: str(row.delivery.engagements) if row.delivery.engagements else None,
    "social_spend": lambda row: _money(row, row.delivery.spend // 9),
    "outbound_clicks": _single("outbound_click", lambda it: int(it.link_clicks * 0.96)),
    "video_play_actions": _single("video_view", lambda it: it.video_views),
    "video_p25_watched_actions": _single("video_view", lambda it: int(it.video_views * 0.55)),
    "video_p50_watched_actions": _single("video_view", lambda it: int(it.video_views * 0.34)),
    "video_p75_watched_actions": _single("video_view", lambda it: int(it.video_views * 0.22)),
    "video_p95_watched_actions": _single("video_view", lambda it: int(it.video_views * 0.15)),
    "video_p100_watched_actions": _single("video_view", lambda it: int(it.video_views * 0.13)),
    "video_thruplay_watched_actions": _single("video_view", lambda it: int(it.video_views * 0.19)),
    "actions": _actions,
    "results": _results,
    "action_values": _action_values,
    "cost_per_action_type": _cost_per_action,
    "purchase_roas": _roas("omni_purchase"),
    "website_purchase_roas": _roas("offsite_conversion.fb_pixel_purchase"),
    "date_start": lambda row: row.since.isoformat(),
    "date_stop": lambda row: row.until.isoformat(),
}


def check_fields(fields: list[str]) -> tuple[str, ...]:
    """The wanted columns, or the defaults; raises code 100 for an unknown one."""
    for name in fields:
        if name not in COLUMNS:
            raise GraphError(
                100,
                f"(#100) {name} is not valid for fields param. please check "
                "https://developers.facebook.com/docs/marketing-api/reference/ads-insights/ for all valid "
                "values",
            )
    return tuple(fields) or DEFAULT_FIELDS


def render(row: Row) -> dict[str, Any]:
    """The row as JSON."""
    if row.shown is None:
        shown: dict[str, Any] = {}
        for name in row.fields:
            value = COLUMNS[name](row)
            if value is not None:
                shown[name] = value
        shown["date_start"] = row.since.isoformat()
        shown["date_stop"] = row.until.isoformat()
        row.shown = shown
    return row.shown
