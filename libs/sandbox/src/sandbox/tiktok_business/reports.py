"""GET /report/integrated/get/: from a checked query to rows, and to one page of them."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.clock import Clock
from sandbox.tiktok_business import report_metrics
from sandbox.tiktok_business.advertisers import Advertisers
from sandbox.tiktok_business.paging import paginate
from sandbox.tiktok_business.report_filters import has_status
from sandbox.tiktok_business.report_metrics import Row, number_of
from sandbox.tiktok_business.report_query import Query, advertiser_ids, parse_query
from sandbox.tiktok_business.request import BusinessRequest
from sandbox.world.tiktok_ads import NOTHING, Advertiser, Delivery, TikTokAd, TikTokAds


class Reports:
    """Answers report queries over the world's deliveries."""

    def __init__(self, ads: TikTokAds, advertisers: Advertisers, clock: Clock) -> None:
        self._ads = ads
        self._advertisers = advertisers
        self._clock = clock

    def read(self, request: BusinessRequest) -> dict[str, Any]:
        """A synchronous report."""
        query = self.parse(request)
        rows = self.rows(query)
        answer = paginate(request, rows, lambda row: report_metrics.render(row, query.metrics))
        if query.with_totals:
            answer["total_metrics"] = report_metrics.render(_total(query, rows), query.metrics)["metrics"]
        return answer

    def parse(self, request: BusinessRequest) -> Query:
        """The checked query; raises `BusinessError`."""
        found = [self._advertisers.find(request, one) for one in advertiser_ids(request)]
        return parse_query(request, found)

    def rows(self, query: Query) -> list[Row]:
        """Every row of the query, in order."""
        if query.reservation:
            return []
        rows = [row for row in self._delivered(query) if query.filters.keeps(row)]
        if field := query.order_field:
            rows.sort(key=lambda row: number_of(row, field), reverse=query.descending)
        return rows

    def _delivered(self, query: Query) -> Iterator[Row]:
        """A row about an object exists where it delivered."""
        groups: dict[str, list[TikTokAd]] = {}
        for advertiser in query.advertisers:
            for ad in advertiser.ads:
                if query.filters.takes(ad) and self._has_status(query, ad):
                    groups.setdefault(_owner_of(ad, query.id_dimension), []).append(ad)
        if not query.id_dimension:
            groups.setdefault("", [])
        for owner, ads in groups.items():
            for since, until in self._buckets(query):
                total, active_days = self._total(ads, since, until)
                if not total.impressions and query.id_dimension:
                    continue
                values = {query.id_dimension: owner, query.time_dimension: f"{since} 00:00:00"}
                dimensions = {name: values[name] for name in query.dimensions}
                yield _row(query, ads, dimensions, total, _people(total, active_days, len(ads)))

    def _has_status(self, query: Query, ad: TikTokAd) -> bool:
        """Reports about objects leave out those that were deleted, unless their states are asked for."""
        adgroup = ad.adgroup
        campaign = adgroup.campaign
        ids = {
            "campaign_status": (campaign.id,),
            "adgroup_status": (adgroup.id, campaign.id),
            "ad_status": (ad.id, adgroup.id, campaign.id),
        }
        own = f"{query.id_dimension.removesuffix('_id')}_status"
        wanted = {own: ("STATUS_NOT_DELETE",)} if own in ids else {}
        return all(
            any(
                has_status(status, enabled=campaign.enabled, deleted=self._ads.deletions.cover(*ids[name]))
                for status in statuses
            )
            for name, statuses in {**wanted, **query.filters.statuses}.items()
        )

    def _buckets(self, query: Query) -> Iterator[tuple[date, date]]:
        if not query.time_dimension:
            yield query.since, query.until
            return
        last = min(query.until, max(self._today(advertiser) for advertiser in query.advertisers))
        for offset in range((last - query.since).days + 1):
            day = query.since + timedelta(days=offset)
            yield day, day

    def _total(self, ads: list[TikTokAd], since: date, until: date) -> tuple[Delivery, int]:
        """What the ads delivered together, and on how many days the busiest did."""
        parts: list[Delivery] = []
        active_days = 0
        for ad in ads:
            last = min(until, self._today(ad.adgroup.campaign.advertiser))
            days = (since + timedelta(days=offset) for offset in range((last - since).days + 1))
            delivered = [it for it in (self._ads.delivered(ad, day) for day in days) if it.impressions]
            active_days = max(active_days, len(delivered))
            parts.extend(delivered)
        return (Delivery.sum(parts) if parts else NOTHING), active_days

    def _today(self, advertiser: Advertiser) -> date:
        return self._clock.today(ZoneInfo(advertiser.display_timezone))


def _owner_of(ad: TikTokAd, id_dimension: str) -> str:
    adgroup = ad.adgroup
    owners = {
        "advertiser_id": adgroup.campaign.advertiser.id,
        "campaign_id": adgroup.campaign.id,
        "adgroup_id": adgroup.id,
        "ad_id": ad.id,
    }
    return owners.get(id_dimension, "")


def _row(
    query: Query, ads: list[TikTokAd], dimensions: dict[str, str], delivery: Delivery, reach: int
) -> Row:
    depth = ("", "advertiser_id", "campaign_id", "adgroup_id", "ad_id").index(query.id_dimension)
    first = ads[0] if ads else None
    alone = query.advertisers[0] if len(query.advertisers) == 1 and not query.several else None
    return Row(
        dimensions=dimensions,
        delivery=delivery,
        reach=reach,
        advertiser=first.adgroup.campaign.advertiser if first and depth >= 1 else alone,
        campaign=first.adgroup.campaign if first and depth >= 2 else None,
        adgroup=first.adgroup if first and depth >= 3 else None,
        ad=first if first and depth >= 4 else None,
        short_money=query.several,
        mixed=query.several and not query.id_dimension,
    )


def _people(delivery: Delivery, active_days: int, ads: int) -> int:
    """People seen on several days or by several ads count once."""
    if not delivery.reach:
        return 0
    people = delivery.reach * max(active_days, 1) ** -0.3 * max(ads, 1) ** -0.1
    return max(1, min(int(people), delivery.impressions))


def _total(query: Query, rows: list[Row]) -> Row:
    """All rows of all pages together; whatever cannot be added up is missing."""
    return Row(
        dimensions={},
        delivery=Delivery.sum(row.delivery for row in rows) if rows else NOTHING,
        reach=sum(row.reach for row in rows),
        short_money=query.several,
        mixed=len({advertiser.currency for advertiser in query.advertisers}) > 1,
    )
