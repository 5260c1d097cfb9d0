"""What a report is about, by its configuration, its automation's platforms and what is connected. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.automation_config.scheduled_report import MetricType, ScheduledReportConfig
from common.errors import Consequence, PlatformError
from common.models import ConnectionKind, platform_of
from platforms.facebook import FACEBOOK_USER
from platforms.facebook import PLATFORM as FACEBOOK
from platforms.registry import AD_KINDS, title_of
from platforms.tiktok_business import PLATFORM as TIKTOK
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.tiktok_organic import TIKTOK_ORGANIC

ADVERTISING: Final = frozenset({MetricType.AD_ACCOUNT, MetricType.CAMPAIGNS})
CREATOR: Final = frozenset({MetricType.PROFILE, MetricType.VIDEOS})

_ADVERTISERS: Final = frozenset(platform_of(kind) for kind in AD_KINDS)
PLATFORMS_WITH: Final[Mapping[MetricType, frozenset[str]]] = {
    **dict.fromkeys(ADVERTISING, _ADVERTISERS),
    MetricType.PAGES: frozenset({FACEBOOK}),
    **dict.fromkeys(CREATOR, frozenset({TIKTOK})),
}
"""The platforms that have each of them."""
_REPORTED: Final = frozenset().union(*PLATFORMS_WITH.values())


@dataclass(frozen=True, slots=True)
class Reach:
    """What is reported on, and the kinds of connections that takes."""

    metrics: frozenset[MetricType]
    kinds: frozenset[ConnectionKind]


def reach(config: ScheduledReportConfig, platforms: Sequence[str], connected: Collection[str]) -> Reach:
    """What to report on; `connected` are the kinds of connections there are.

    Raises:
        PlatformError: INVALID, for metric types that none of the platforms has, or no platform to report on.
    """
    named = _REPORTED.intersection(platforms)
    if not named:
        raise _unsuitable(
            f"platforms: name {' or '.join(sorted(_REPORTED))}; a report is about one of them", min(_REPORTED)
        )
    if config.metric_types is None:
        return _default_reach(named, connected)
    strange = [each for each in config.metric_types if not PLATFORMS_WITH[each] & named]
    if strange:
        of = sorted({title_of(each) for metric in strange for each in PLATFORMS_WITH[metric]})
        raise _unsuitable(
            f"automation_config.metric_types: {', '.join(strange)} can only be had of {' or '.join(of)}, "
            "which is not among the automation's platforms: leave it out, or add the platform",
            min(named),
        )
    metrics = frozenset(config.metric_types)
    kinds = _ad_kinds(named) if metrics & ADVERTISING else set()
    if FACEBOOK in named and MetricType.PAGES in metrics:
        kinds.add(FACEBOOK_USER)
    if TIKTOK in named and metrics & CREATOR:
        kinds.add(TIKTOK_ORGANIC)
    return Reach(metrics, frozenset(kinds))


def _default_reach(named: Collection[str], connected: Collection[str]) -> Reach:
    """The ad accounts of the named platforms, the pages of Facebook, and a connected TikTok creator."""
    metrics: set[MetricType] = set()
    kinds = _ad_kinds(named)
    if FACEBOOK in named:
        metrics.add(MetricType.PAGES)
    if TIKTOK in named and TIKTOK_ORGANIC in connected:
        metrics |= CREATOR
        kinds.add(TIKTOK_ORGANIC)
        if TIKTOK_BUSINESS not in connected:
            kinds.discard(TIKTOK_BUSINESS)
    if kinds.intersection(AD_KINDS):
        metrics.add(MetricType.AD_ACCOUNT)
    return Reach(frozenset(metrics), frozenset(kinds))


def _ad_kinds(named: Collection[str]) -> set[ConnectionKind]:
    return {kind for kind in AD_KINDS if platform_of(kind) in named}


def _unsuitable(detail: str, platform: str) -> PlatformError:
    return PlatformError(detail, Consequence.INVALID, platform=platform, code="unsuitable")
