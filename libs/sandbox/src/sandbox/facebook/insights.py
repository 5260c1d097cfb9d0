"""GET /{ad object}/insights: from parameters to rows."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.clock import Clock
from sandbox.facebook import breakdowns, insight_fields
from sandbox.facebook.accounts import require_ads
from sandbox.facebook.date_ranges import DateRange, requested_ranges
from sandbox.facebook.errors import invalid_parameter, not_one_of, reduce_data, too_much_data
from sandbox.facebook.filtering import Filters, parse_filters
from sandbox.facebook.insight_fields import LEVELS, Row
from sandbox.facebook.paging import page_limit, paginate
from sandbox.facebook.request import GraphRequest
from sandbox.world.ads import NOTHING, Ad, AdAccount, AdSet, Campaign, Delivery
from sandbox.world.population import World

AdNode = AdAccount | Campaign | AdSet | Ad
_PAGE_ROWS = 5_000
_KEPT_QUERIES = 256
_KEPT_ROWS = 2_000
_PAGING_PARAMS = frozenset({"after", "before", "limit", "access_token", "appsecret_proof"})


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
        objects = {_owner(ad, self.level) for ad in ads_of(self.node)}
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


def _owner(ad: Ad, level: str) -> str:
    if level == "ad":
        return ad.id
    if level == "adset":
        return ad.adset.id
    return ad.adset.campaign.id if level == "campaign" else ""


class Insights:
    """Answers insights queries over the world's deliveries."""

    def __init__(self, world: World, clock: Clock, sync_rows: int) -> None:
        self._world = world
        self._clock = clock
        self._sync_rows = sync_rows
        self._answered: OrderedDict[object, list[dict[str, Any]]] = OrderedDict()

    def today(self, account: AdAccount) -> date:
        """The account's own calendar day."""
        return self._clock.today(ZoneInfo(account.timezone))

    def read(self, request: GraphRequest, node: AdNode) -> dict[str, Any]:
        """A synchronous query; raises the errors of a query that is wrong or too big."""
        require_ads(request)
        key = (node.id, self.today(account_of(node)), _signature(request))
        rows = self._answered.get(key)
        if rows is None:
            query = self.parse(request, node)
            size = query.size()
            if size > self._sync_rows:
                raise too_much_data()
            if min(size, page_limit(request)) >= _PAGE_ROWS:
                raise reduce_data()
            rows = self.rows(query)
            self._remember(key, rows)
        else:
            self._answered.move_to_end(key)
        return self.page(request, rows)

    def page(self, request: GraphRequest, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """One page of finished rows, with a summary when asked for."""
        answer = paginate(request, rows, lambda row: row)
        if request.flag("default_summary") or request.params.get("summary"):
            answer["summary"] = _summary(rows, request.names("summary"))
        return answer

    def parse(self, request: GraphRequest, node: AdNode) -> Query:
        """Check every parameter; raises `GraphError`."""
        account = account_of(node)
        own_level = {AdAccount: "account", Campaign: "campaign", AdSet: "adset", Ad: "ad"}[type(node)]
        level = request.params.get("level", own_level).lower()
        if level not in LEVELS:
            raise not_one_of("level", LEVELS)
        windows = tuple(w for w in request.names("action_attribution_windows") if w != "default")
        for index, window in enumerate(windows):
            if window not in insight_fields.WINDOWS:
                raise not_one_of(f"action_attribution_windows[{index}]", list(insight_fields.WINDOWS))
        fields = insight_fields.check_fields(request.fields())
        return Query(
            node=node,
            account=account,
            level=level,
            fields=fields,
            ranges=tuple(requested_ranges(request, self.today(account))),
            breakdowns=breakdowns.check(request.names("breakdowns")),
            filters=parse_filters(request.json("filtering", list) if "filtering" in request.params else []),
            windows=windows,
            sort=tuple(_sorting(name) for name in request.names("sort")),
        )

    def rows(self, query: Query) -> list[dict[str, Any]]:
        """Every row of the query, rendered."""
        rows = list(self._delivered(query))
        for column, descending in reversed(query.sort):
            rows.sort(key=lambda row: _sort_key(row, column), reverse=descending)
        return [insight_fields.render(row, query.fields) for row in rows]

    def _delivered(self, query: Query) -> Iterator[Row]:
        groups: dict[str, list[Ad]] = {}
        for ad in ads_of(query.node):
            if query.filters.takes(ad):
                groups.setdefault(_owner(ad, query.level), []).append(ad)
        splitter = breakdowns.Splitter(query.breakdowns)
        hourly = breakdowns.is_hourly(query.breakdowns)
        today = self.today(query.account)
        for dates in query.ranges:
            for ads in groups.values():
                totals, active_days = self._totals(ads, dates, today, splitter)
                for cell, total in zip(splitter.cells, totals, strict=True):
                    if not total.impressions:
                        continue
                    row = _row(query, ads[0], dates, total, cell)
                    if not hourly:
                        row = _with_reach(row, active_days, len(ads))
                    if query.filters.keeps(row):
                        yield row

    def _totals(
        self, ads: list[Ad], dates: DateRange, today: date, splitter: breakdowns.Splitter
    ) -> tuple[list[Delivery], int]:
        """One sum per cell, and on how many days the busiest ad delivered."""
        parts: list[list[Delivery]] = []
        active_days = 0
        for ad in ads:
            known = [self._world.deliveries.of(ad, day) for day in dates.days() if day <= today]
            delivered = [delivery for delivery in known if delivery.impressions]
            if delivered:
                active_days = max(active_days, len(delivered))
                parts.append(splitter.split(ad, Delivery.sum(delivered)))
        if not parts:
            return [NOTHING] * len(splitter.cells), 0
        return [Delivery.sum(cell) for cell in zip(*parts, strict=True)], active_days

    def _remember(self, key: object, rows: list[dict[str, Any]]) -> None:
        if len(rows) <= _KEPT_ROWS:
            self._answered[key] = rows
            if len(self._answered) > _KEPT_QUERIES:
                self._answered.popitem(last=False)


def _signature(request: GraphRequest) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(item for item in request.params.items() if item[0] not in _PAGING_PARAMS))


def _row(query: Query, ad: Ad, dates: DateRange, total: Delivery, cell: breakdowns.Cell) -> Row:
    depth = LEVELS.index(query.level)
    return Row(
        account=query.account,
        campaign=ad.adset.campaign if depth <= 2 else None,
        adset=ad.adset if depth <= 1 else None,
        ad=ad if depth == 0 else None,
        since=dates.since,
        until=dates.until,
        delivery=total,
        reach=0,
        cell=tuple(zip(query.breakdowns, cell, strict=True)),
        windows=query.windows,
    )


def _with_reach(row: Row, active_days: int, ads: int) -> Row:
    """People seen on several days or by several ads count once."""
    people = row.delivery.reach * max(active_days, 1) ** -0.3 * ads**-0.1
    return replace(row, reach=max(1, min(int(people), row.delivery.impressions)))


def _sorting(name: str) -> tuple[str, bool]:
    column, _, direction = name.rpartition("_")
    if direction not in ("ascending", "descending") or column not in insight_fields.COLUMNS:
        raise invalid_parameter(f"Invalid sort field: {name}")
    return column, direction == "descending"


def _sort_key(row: Row, column: str) -> tuple[float, str]:
    value = insight_fields.COLUMNS[column](row)
    if isinstance(value, list):
        value = value[0]["value"]
    try:
        return (float(value or 0), "")
    except ValueError:
        return (0.0, str(value))


def _summary(rows: list[dict[str, Any]], wanted: list[str]) -> dict[str, Any]:
    """Sums of the columns that can be summed."""
    summable = (
        "impressions",
        "clicks",
        "spend",
        "inline_link_clicks",
        "inline_post_engagement",
        "unique_clicks",
    )
    summary: dict[str, Any] = {}
    for name in summable:
        values = [row[name] for row in rows if name in row]
        if values and (not wanted or name in wanted or wanted == ["true"]):
            total = sum(map(float, values))
            summary[name] = f"{total:.2f}" if "." in values[0] else str(int(total))
    if rows:
        summary["date_start"] = min(row["date_start"] for row in rows)
        summary["date_stop"] = max(row["date_stop"] for row in rows)
    return summary
