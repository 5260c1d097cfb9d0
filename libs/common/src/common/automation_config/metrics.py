"""Names of the metrics of advertising, as configurations write them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum


class MetricName(StrEnum):
    """A metric, called the same on every platform. Which of them a platform gives its client says."""

    SPEND = "spend"
    IMPRESSIONS = "impressions"
    CLICKS = "clicks"
    REACH = "reach"
    FREQUENCY = "frequency"
    CTR = "ctr"
    CPC = "cpc"
    CPM = "cpm"
    CONVERSIONS = "conversions"
    COST_PER_CONVERSION = "cost_per_conversion"
    ROAS = "roas"
    VIDEO_VIEWS = "video_views"
    LIKES = "likes"
    COMMENTS = "comments"
    SHARES = "shares"
    FOLLOWS = "follows"


class RowLevel(StrEnum):
    """What a figure is about: an ad account, or each of its campaigns."""

    ACCOUNT = "account"
    CAMPAIGN = "campaign"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The half-sentence that offers those of `known` most like `name`; empty when none is like it."""
    close = get_close_matches(name.lower(), list(known), n=3, cutoff=0.6)
    if not close:
        return ""
    return f"; did you mean {' or '.join(close)}?"
