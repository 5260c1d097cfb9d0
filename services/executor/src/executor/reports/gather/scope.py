"""What a report is about, by its configuration, its automation's platforms and what is connected. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from common.automation_config.scheduled_report import PLATFORMS_WITH, MetricType, ScheduledReportConfig
from common.errors import Consequence, PlatformError
from common.models import ConnectionKind, Platform
from executor.reports.render.names import PLATFORM_TITLES

FACEBOOK = frozenset({MetricType.AD_ACCOUNT, MetricType.CAMPAIGNS, MetricType.PAGES})
ADVERTISING = frozenset({MetricType.AD_ACCOUNT, MetricType.CAMPAIGNS})
CREATOR = frozenset({MetricType.PROFILE, MetricType.VIDEOS})


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
    named = {Platform(each) for each in platforms if each in PLATFORM_TITLES}
    if not named:
        raise _unsuitable(
            "platforms: name facebook or tiktok; a report is about one of them", Platform.FACEBOOK
        )
    if config.metric_types is None:
        return _whatever_there_is(named, connected)
    strange = [each for each in config.metric_types if not PLATFORMS_WITH[each] & named]
    if strange:
        of = sorted({PLATFORM_TITLES[each] for metric in strange for each in PLATFORMS_WITH[metric]})
        raise _unsuitable(
            f"automation_config.metric_types: {', '.join(strange)} can only be had of {' or '.join(of)}, "
            "which is not among the automation's platforms: leave it out, or add the platform",
            min(named),
        )
    metrics = frozenset(config.metric_types)
    kinds: set[ConnectionKind] = set()
    if Platform.FACEBOOK in named and metrics & FACEBOOK:
        kinds.add(ConnectionKind.FACEBOOK_USER)
    if Platform.TIKTOK in named and metrics & ADVERTISING:
        kinds.add(ConnectionKind.TIKTOK_BUSINESS)
    if Platform.TIKTOK in named and metrics & CREATOR:
        kinds.add(ConnectionKind.TIKTOK_ORGANIC)
    return Reach(metrics, frozenset(kinds))


def _whatever_there_is(named: Collection[Platform], connected: Collection[str]) -> Reach:
    metrics: set[MetricType] = set()
    kinds: set[ConnectionKind] = set()
    if Platform.FACEBOOK in named:
        metrics |= {MetricType.AD_ACCOUNT, MetricType.PAGES}
        kinds.add(ConnectionKind.FACEBOOK_USER)
    if Platform.TIKTOK in named:
        is_creator = ConnectionKind.TIKTOK_ORGANIC in connected
        if is_creator:
            metrics |= CREATOR
            kinds.add(ConnectionKind.TIKTOK_ORGANIC)
        if ConnectionKind.TIKTOK_BUSINESS in connected or not is_creator:
            metrics.add(MetricType.AD_ACCOUNT)
            kinds.add(ConnectionKind.TIKTOK_BUSINESS)
    return Reach(frozenset(metrics), frozenset(kinds))


def _unsuitable(detail: str, platform: str) -> PlatformError:
    return PlatformError(detail, Consequence.INVALID, platform=platform, code="unsuitable")
