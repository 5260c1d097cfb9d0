"""What a report is about, by configuration, platforms and connections."""

from __future__ import annotations

import pytest

from common.automation_config.scheduled_report import MetricType, ScheduledReportConfig
from common.errors import Consequence, PlatformError
from common.models import ConnectionKind
from executor.reports.gather.scope import reach
from platforms.facebook import FACEBOOK_USER
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.tiktok_organic import TIKTOK_ORGANIC

AD, PAGES, CAMPAIGNS = MetricType.AD_ACCOUNT, MetricType.PAGES, MetricType.CAMPAIGNS
PROFILE, VIDEOS = MetricType.PROFILE, MetricType.VIDEOS
USER, BUSINESS = FACEBOOK_USER, TIKTOK_BUSINESS
ORGANIC = TIKTOK_ORGANIC


def _config(*metrics: MetricType) -> ScheduledReportConfig:
    return ScheduledReportConfig(metric_types=metrics or None)


@pytest.mark.parametrize(
    ("platforms", "connected", "metrics", "kinds"),
    [
        (["facebook"], [], {AD, PAGES}, {USER}),
        (["facebook"], [USER, BUSINESS], {AD, PAGES}, {USER}),
        (["tiktok"], [BUSINESS], {AD}, {BUSINESS}),
        (["tiktok"], [ORGANIC], {PROFILE, VIDEOS}, {ORGANIC}),
        (["tiktok"], [BUSINESS, ORGANIC], {AD, PROFILE, VIDEOS}, {BUSINESS, ORGANIC}),
        (["tiktok"], [], {AD}, {BUSINESS}),
        (["facebook", "tiktok"], [USER, ORGANIC], {AD, PAGES, PROFILE, VIDEOS}, {USER, ORGANIC}),
        (["facebook", "tiktok", "zoom"], [USER], {AD, PAGES}, {USER, BUSINESS}),
    ],
)
def test_the_default_covers_the_connected_platforms(
    platforms: list[str],
    connected: list[ConnectionKind],
    metrics: set[MetricType],
    kinds: set[ConnectionKind],
) -> None:
    found = reach(_config(), platforms, set(connected))
    assert (set(found.metrics), set(found.kinds)) == (metrics, kinds)


@pytest.mark.parametrize(
    ("platforms", "chosen", "kinds"),
    [
        (["facebook"], (CAMPAIGNS,), {USER}),
        (["facebook"], (PAGES,), {USER}),
        (["tiktok"], (AD, CAMPAIGNS), {BUSINESS}),
        (["tiktok"], (VIDEOS,), {ORGANIC}),
        (["facebook", "tiktok"], (AD,), {USER, BUSINESS}),
        (["facebook", "tiktok"], (PAGES, PROFILE), {USER, ORGANIC}),
    ],
)
def test_chosen_metrics_require_their_platforms(
    platforms: list[str], chosen: tuple[MetricType, ...], kinds: set[ConnectionKind]
) -> None:
    found = reach(_config(*chosen), platforms, set())
    assert (set(found.metrics), set(found.kinds)) == (set(chosen), kinds)


@pytest.mark.parametrize(
    ("platforms", "chosen", "told"),
    [
        (["tiktok"], (AD, PAGES), "automation_config.metric_types: pages can only be had of Facebook"),
        (["facebook"], (PROFILE, VIDEOS), "metric_types: profile, videos can only be had of TikTok"),
        ([], (AD,), "platforms: name facebook or tiktok"),
        (["zoom"], (), "platforms: name facebook or tiktok"),
    ],
)
def test_a_metric_type_without_a_platform_is_rejected_by_field(
    platforms: list[str], chosen: tuple[MetricType, ...], told: str
) -> None:
    with pytest.raises(PlatformError) as refused:
        reach(_config(*chosen), platforms, {USER, BUSINESS, ORGANIC})
    assert told in refused.value.detail
    assert refused.value.consequence is Consequence.INVALID
    assert refused.value.connection_id is None
