"""Which page metrics exist, which died, and how each is read off a page's days."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sandbox.world.pages import REACTIONS, Page, PageDay, split_reactions

_SPANS = {"day": 1, "week": 7, "days_28": 28}
PERIODS = ("day", "week", "days_28", "month", "lifetime", "total_over_range")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that can be asked for. ``unique`` counts people, who return on other days."""

    title: str
    of_day: Callable[[PageDay], int]
    periods: tuple[str, ...] = ("day", "week", "days_28", "total_over_range")
    unique: bool = False


def _reaction(name: str) -> Metric:
    return Metric(f'"{name.title()}" reactions', lambda it: split_reactions(it.reactions).get(name, 0))


_COUNTED = {
    "page_media_view": Metric("Views", lambda it: it.media_views),
    "page_total_media_view_unique": Metric("Viewers", lambda it: it.media_viewers, unique=True),
    "page_daily_follows": Metric("Follows", lambda it: it.new_follows),
    "page_daily_follows_unique": Metric("New followers", lambda it: it.new_follows),
    "page_daily_unfollows_unique": Metric("Unfollows", lambda it: it.unfollows),
    "page_views_total": Metric("Page views", lambda it: it.page_views),
    "page_post_engagements": Metric("Post engagements", lambda it: it.engagements),
    "page_video_views": Metric("Video views", lambda it: it.video_views),
    "page_total_actions": Metric("Actions on page", lambda it: it.total_actions),
} | {f"page_actions_post_reactions_{name}_total": _reaction(name) for name in REACTIONS}
_STATE = "page_follows"
_OBJECT = "page_actions_post_reactions_total"
VALID = frozenset({*_COUNTED, _STATE, _OBJECT})

DEAD_PREFIXES = (
    "page_impressions",
    "page_posts_impressions",
    "page_fans",
    "page_fan_adds",
    "page_fan_removes",
    "page_engaged_users",
    "page_consumptions",
    "page_content_activity",
    "page_negative_feedback",
    "page_positive_feedback",
    "post_impressions",
)
"""Families withdrawn in March 2024, November 2025 and June 2026; kept to show why a call was refused."""


def is_dead(name: str) -> bool:
    """Whether the metric existed once."""
    return name not in VALID and name.startswith(DEAD_PREFIXES)


def describe(name: str, period: str) -> tuple[str, str]:
    """Title and description as shown beside the values."""
    if name == _STATE:
        title = "Followers"
    elif name == _OBJECT:
        title = "Reactions by type"
    else:
        title = _COUNTED[name].title
    prefix = {"day": "Daily", "week": "Weekly", "days_28": "28 days", "total_over_range": "Total"}.get(
        period, ""
    )
    return f"{prefix} {title}".strip(), f"{prefix}: {title} of the Page".strip(": ")


def offers(name: str, period: str) -> bool:
    """Whether the metric exists for the period."""
    if name == _STATE:
        return period == "day"
    if name == _OBJECT:
        return period in ("day", "week", "days_28")
    return period in _COUNTED[name].periods


def value(name: str, page: Page, period: str, last: date) -> Any:
    """The value of the period that ends with the day ``last``."""
    if name == _STATE:
        return page.followers(last)
    return total(name, page, last - timedelta(days=_SPANS[period] - 1), last)


def total(name: str, page: Page, since: date, until: date) -> Any:
    """The value over all days from ``since`` to ``until``."""
    span = (until - since).days + 1
    recorded = [page.day(since + timedelta(days=offset)) for offset in range(span)]
    if name == _OBJECT:
        return split_reactions(sum(day.reactions for day in recorded))
    metric = _COUNTED[name]
    summed = sum(map(metric.of_day, recorded))
    return int(summed * span**-0.25) if metric.unique else summed
