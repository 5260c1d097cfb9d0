"""What a report asks for, checked."""

from dataclasses import dataclass
from datetime import date, timedelta

from sandbox.tiktok_business.errors import BusinessError, invalid, missing, not_one_of, unsupported
from sandbox.tiktok_business.report_filters import Filters, parse_filters
from sandbox.tiktok_business.report_metrics import (
    LEVELS,
    NUMBERS,
    OF_EVERY_ADVERTISER,
    check_metrics,
)
from sandbox.tiktok_business.request import BusinessRequest
from sandbox.world.tiktok_ads import Advertiser

_REPORT_TYPES = ("BASIC", "AUDIENCE", "PLAYABLE_MATERIAL", "CATALOG", "BC", "TT_SHOP")
_RESERVATIONS = tuple(level.replace("AUCTION", "RESERVATION") for level in LEVELS)
_ID_OF_LEVEL = dict(zip(LEVELS, ("advertiser_id", "campaign_id", "adgroup_id", "ad_id"), strict=True))
MOST_ADVERTISERS = 5
_TIME = "stat_time_day"
_LONGEST = {_TIME: 30, "": 365}
"""Days, both ends included, by time dimension."""


@dataclass(frozen=True, slots=True)
class Query:
    """A checked report query."""

    advertisers: tuple[Advertiser, ...]
    several: bool
    """Whether advertiser_ids was used, which changes how rows look."""
    level: str
    id_dimension: str
    time_dimension: str
    dimensions: tuple[str, ...]
    metrics: tuple[str, ...]
    since: date
    until: date
    filters: Filters
    order_field: str
    descending: bool
    with_totals: bool
    reservation: bool
    """Reservation ads are asked for, of which there are none."""


def advertiser_ids(request: BusinessRequest) -> list[str]:
    """Whose report is wanted; advertiser_ids wins. Raises code 40002 or 40011."""
    several = request.strings("advertiser_ids")
    if len(several) > MOST_ADVERTISERS:
        raise BusinessError(40011, f"advertiser_ids: at most {MOST_ADVERTISERS} ids are allowed.")
    if several:
        return list(dict.fromkeys(several))
    if not request.has("advertiser_id"):
        raise missing("advertiser_id")
    return [request.text("advertiser_id")]


def parse_query(request: BusinessRequest, advertisers: list[Advertiser]) -> Query:
    """Check every parameter; raises `BusinessError`."""
    _check_report_type(request)
    level = request.text("data_level")
    if not level:
        raise missing("data_level")
    if level not in LEVELS + _RESERVATIONS:
        raise not_one_of("data_level", LEVELS + _RESERVATIONS)
    service = request.choice("service_type", "AUCTION", ("AUCTION", "RESERVATION"))
    for flag in ("multi_adv_report_in_utc_time", "query_lifetime"):
        if request.flag(flag):
            raise unsupported(flag)
    request.choice("query_mode", "REGULAR", ("REGULAR", "CHUNK"))
    auction_level = level.replace("RESERVATION", "AUCTION")
    id_dimension, time_dimension, dimensions = _dimensions(request, auction_level)
    since, until = _range(request, time_dimension)
    several = bool(request.strings("advertiser_ids"))
    metrics = check_metrics(request.strings("metrics"))
    if several:
        metrics = tuple(dict.fromkeys((*metrics, *OF_EVERY_ADVERTISER)))
    order_field = request.text("order_field")
    if order_field and order_field not in NUMBERS:
        raise invalid("order_field", f"Sorting by {order_field} is not supported.")
    return Query(
        advertisers=tuple(advertisers),
        several=several,
        level=auction_level,
        id_dimension=id_dimension,
        time_dimension=time_dimension,
        dimensions=dimensions,
        metrics=metrics,
        since=since,
        until=until,
        filters=parse_filters(request.objects("filtering")),
        order_field=order_field,
        descending=request.choice("order_type", "DESC", ("ASC", "DESC")) == "DESC",
        with_totals=request.flag("enable_total_metrics"),
        reservation=service == "RESERVATION" or level in _RESERVATIONS,
    )


def _check_report_type(request: BusinessRequest) -> None:
    (report_type,) = request.need("report_type")
    if report_type not in _REPORT_TYPES:
        raise not_one_of("report_type", _REPORT_TYPES)
    if report_type != "BASIC":
        raise unsupported(f"report_type {report_type}")


def _dimensions(request: BusinessRequest, level: str) -> tuple[str, str, tuple[str, ...]]:
    names = tuple(dict.fromkeys(request.strings("dimensions")))
    if not names:
        raise missing("dimensions")
    ids = [name for name in names if name in _ID_OF_LEVEL.values()]
    if unknown := [name for name in names if name not in (*ids, _TIME)]:
        raise invalid("dimensions", f"Invalid dimensions: {unknown}.")
    if len(ids) > 1:
        raise invalid("dimensions", "Only one ID dimension is allowed.")
    if ids and ids[0] != _ID_OF_LEVEL[level]:
        raise invalid("dimensions", f"{ids[0]} does not match data_level {level}.")
    return (*ids, "")[0], _TIME if _TIME in names else "", names


def _range(request: BusinessRequest, time_dimension: str) -> tuple[date, date]:
    request.need("start_date", "end_date")
    since, until = request.day("start_date"), request.day("end_date")
    if since > until:
        raise invalid("start_date", "The start_date must not be later than the end_date.")
    longest = _LONGEST[time_dimension]
    if (until - since) >= timedelta(days=longest):
        raise invalid("start_date", f"The time range cannot exceed {longest} days for these dimensions.")
    return since, until
