"""What an insights call asks for, checked."""

from dataclasses import dataclass
from datetime import date

from sandbox.facebook import breakdowns, insight_fields
from sandbox.facebook.date_ranges import DateRange, requested_ranges
from sandbox.facebook.errors import invalid_parameter, not_one_of
from sandbox.facebook.filtering import Filters, parse_filters
from sandbox.facebook.insight_fields import LEVELS
from sandbox.facebook.request import GraphRequest
from sandbox.world.ads import Ad, AdAccount, AdSet, Campaign

AdNode = AdAccount | Campaign | AdSet | Ad
_OWN_LEVEL = {AdAccount: "account", Campaign: "campaign", AdSet: "adset", Ad: "ad"}


@dataclass(frozen=True, slots=True)
class Query:
    """A checked insights query."""

    node: AdNode
    account: AdAccount
    level: str
    fields: tuple[str, ...]
    ranges: tuple[DateRange, ...]
    breakdowns: tuple[str, ...]
    filters: Filters
    windows: tuple[str, ...]
    sort: tuple[tuple[str, bool], ...]
    """Column and whether descending, the most significant first."""

    def size(self) -> int:
        """How many rows have to be looked at, delivered or not."""
        objects = {owner_of(ad, self.level) for ad in ads_of(self.node)}
        return len(objects) * len(breakdowns.cells(self.breakdowns)) * len(self.ranges)


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
        breakdowns=breakdowns.check(request.names("breakdowns")),
        filters=parse_filters(request.json("filtering", list) if "filtering" in request.params else []),
        windows=windows,
        sort=tuple(_sorting(name) for name in request.names("sort")),
    )


def _sorting(name: str) -> tuple[str, bool]:
    column, _, direction = name.rpartition("_")
    if direction not in ("ascending", "descending") or column not in insight_fields.COLUMNS:
        raise invalid_parameter(f"Invalid sort field: {name}")
    return column, direction == "descending"
