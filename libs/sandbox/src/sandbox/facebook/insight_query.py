"""What an insights call asks for, checked."""

from dataclasses import dataclass
from datetime import date

from sandbox.facebook import insight_fields
from sandbox.facebook.date_ranges import DateRange, requested_ranges
from sandbox.facebook.errors import invalid_parameter, not_one_of
from sandbox.facebook.filtering import Filters, parse_filters
from sandbox.facebook.insight_fields import LEVELS
from sandbox.facebook.request import GraphRequest
from sandbox.world.ads import Ad, AdAccount, AdSet, Campaign

AdNode = AdAccount | Campaign | AdSet | Ad
_UNSUPPORTED = ("breakdowns", "sort", "summary", "default_summary")
"""What Facebook does with a query and the sandbox does not, because no client asks for it."""
_OWN_LEVEL = {AdAccount: "account", Campaign: "campaign", AdSet: "adset", Ad: "ad"}


@dataclass(frozen=True, slots=True)
class Query:
    """A checked insights query."""

    node: AdNode
    account: AdAccount
    level: str
    fields: tuple[str, ...]
    ranges: tuple[DateRange, ...]
    filters: Filters
    windows: tuple[str, ...]

    def size(self) -> int:
        """How many rows have to be looked at, delivered or not."""
        objects = {owner_of(ad, self.level) for ad in ads_of(self.node)}
        return len(objects) * len(self.ranges)


def account_of(node: AdNode) -> AdAccount:
    """The account an ad object belongs to."""
    if isinstance(node, Ad):
        return node.adset.campaign.account
    if isinstance(node, AdSet):
        return node.campaign.account
    return node.account if isinstance(node, Campaign) else node


def ads_of(node: AdNode) -> tuple[Ad, ...]:
    """Every ad at or below ``node``."""
    return (node,) if isinstance(node, Ad) else tuple(node.ads)


def owner_of(ad: Ad, level: str) -> str:
    """The id of what an ad's numbers are reported under; nothing at account level."""
    if level == "ad":
        return ad.id
    if level == "adset":
        return ad.adset.id
    return ad.adset.campaign.id if level == "campaign" else ""


def parse_query(request: GraphRequest, node: AdNode, today: date) -> Query:
    """Check every parameter as of the account's ``today``; raises `GraphError`."""
    if unsupported := [name for name in _UNSUPPORTED if request.params.get(name)]:
        raise invalid_parameter(f"{unsupported[0]} is not supported in the sandbox")
    level = request.params.get("level", _OWN_LEVEL[type(node)]).lower()
    if level not in LEVELS:
        raise not_one_of("level", LEVELS)
    windows = tuple(name for name in request.names("action_attribution_windows") if name != "default")
    for index, window in enumerate(windows):
        if window not in insight_fields.WINDOWS:
            raise not_one_of(f"action_attribution_windows[{index}]", list(insight_fields.WINDOWS))
    return Query(
        node=node,
        account=account_of(node),
        level=level,
        fields=insight_fields.check_fields(request.fields()),
        ranges=tuple(requested_ranges(request, today)),
        filters=parse_filters(request.json("filtering", list) if "filtering" in request.params else []),
        windows=windows,
    )
