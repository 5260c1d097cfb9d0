"""GET /{ad object}/insights: from a checked query to rows, and to one page of them."""

from collections import OrderedDict
from collections.abc import Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.clock import Clock
from sandbox.facebook import insight_fields
from sandbox.facebook.accounts import require_ads
from sandbox.facebook.date_ranges import DateRange
from sandbox.facebook.errors import reduce_data, too_much_data
from sandbox.facebook.insight_fields import LEVELS, Row
from sandbox.facebook.insight_query import AdNode, Query, account_of, ads_of, owner_of, parse_query
from sandbox.facebook.paging import page_limit, paginate
from sandbox.facebook.request import GraphRequest
from sandbox.world.ads import NOTHING, Ad, AdAccount, AdSet, Campaign, Delivery
from sandbox.world.population import World

_PAGE_ROWS = 5_000
_KEPT_ROWS = 100_000
_PAGING_PARAMS = frozenset({"after", "before", "limit", "access_token", "appsecret_proof"})


class Insights:
    """Answers insights queries over the world's deliveries, remembering the latest answers."""

    def __init__(self, world: World, clock: Clock, sync_rows: int) -> None:
        self._world = world
        self._clock = clock
        self._sync_rows = sync_rows
        self._answered: OrderedDict[object, list[Row]] = OrderedDict()
        self._kept_rows = 0

    def read(self, request: GraphRequest, node: AdNode) -> dict[str, Any]:
        """A synchronous query; raises the errors of a query that is wrong or too big."""
        require_ads(request)
        today = self._today(account_of(node))
        key = (node.id, today, self._world.deletions.changes, _signature(request))
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

    def parse(self, request: GraphRequest, node: AdNode) -> Query:
        """The query as of the account's present day; raises `GraphError`."""
        return parse_query(request, node, self._today(account_of(node)))

    def page(self, request: GraphRequest, rows: list[Row]) -> dict[str, Any]:
        """One page of a query's rows."""
        return paginate(request, rows, insight_fields.render)

    def rows(self, query: Query) -> list[Row]:
        """Every row of the query, in order."""
        return list(self._delivered(query))

    def _today(self, account: AdAccount) -> date:
        return self._clock.today(ZoneInfo(account.timezone))

    def _delivered(self, query: Query) -> Iterator[Row]:
        # Without a filter for effective_status only the account's own total has what was deleted.
        counts_deleted = query.level == "account" or query.filters.names_status
        groups: dict[str, list[Ad]] = {}
        for ad in ads_of(query.node):
            if query.filters.takes(self._world, ad) and (
                counts_deleted or not self._is_deleted(ad, query.level)
            ):
                groups.setdefault(owner_of(ad, query.level), []).append(ad)
        today = self._today(query.account)
        for dates in query.ranges:
            for ads in groups.values():
                total, active_days = self._total(ads, dates, today)
                if not total.impressions:
                    continue
                row = _row(query, ads[0], dates, total, _people(total, active_days, len(ads)))
                if query.filters.keeps(row):
                    yield row

    def _is_deleted(self, ad: Ad, level: str) -> bool:
        nodes: dict[str, Campaign | AdSet | Ad] = {
            "campaign": ad.adset.campaign,
            "adset": ad.adset,
            "ad": ad,
        }
        return self._world.status(nodes[level]) == "DELETED"

    def _total(self, ads: list[Ad], dates: DateRange, today: date) -> tuple[Delivery, int]:
        """What the ads delivered together, and on how many days the busiest did."""
        parts: list[Delivery] = []
        active_days = 0
        for ad in ads:
            known = [self._world.deliveries.of(ad, day) for day in dates.days() if day <= today]
            delivered = [delivery for delivery in known if delivery.impressions]
            active_days = max(active_days, len(delivered))
            parts.extend(delivered)
        return (Delivery.sum(parts) if parts else NOTHING), active_days

    def _remember(self, key: object, rows: list[Row]) -> None:
        if len(rows) > _KEPT_ROWS:
            return
        self._answered[key] = rows
        self._kept_rows += len(rows) + 1
        while self._kept_rows > _KEPT_ROWS:
            self._kept_rows -= len(self._answered.popitem(last=False)[1]) + 1


def _signature(request: GraphRequest) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(item for item in request.params.items() if item[0] not in _PAGING_PARAMS))


def _people(total: Delivery, active_days: int, ads: int) -> int:
    """People seen on several days or by several ads count once."""
    people = total.reach * max(active_days, 1) ** -0.3 * ads**-0.1
    return max(1, min(int(people), total.impressions))


def _row(query: Query, ad: Ad, dates: DateRange, total: Delivery, reach: int) -> Row:
    depth = LEVELS.index(query.level)
    return Row(
        fields=query.fields,
        account=query.account,
        campaign=ad.adset.campaign if depth <= 2 else None,
        adset=ad.adset if depth <= 1 else None,
        ad=ad if depth == 0 else None,
        since=dates.since,
        until=dates.until,
        delivery=total,
        reach=reach,
        windows=query.windows,
    )
