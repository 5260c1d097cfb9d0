"""GET /{page}/insights: daily values that end at midnight on the Pacific coast."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.clock import Clock
from sandbox.facebook import page_metrics
from sandbox.facebook.date_ranges import months_before, preset_range
from sandbox.facebook.errors import GraphError, invalid_parameter, missing_permission, not_one_of
from sandbox.facebook.paging import page_url
from sandbox.facebook.request import GraphRequest
from sandbox.world.pages import Page

PACIFIC = ZoneInfo("America/Los_Angeles")
_DAY = timedelta(days=1)
_MAX_DAYS = 90
_RETENTION_MONTHS = 24


class PageInsights:
    """Answers page insights queries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def read(self, request: GraphRequest, page: Page, metric: str = "") -> dict[str, Any]:
        """One page of values; one metric that does not exist fails the whole call."""
        self._authorize(request, page)
        names = [metric] if metric else request.names("metric")
        if not names:
            raise GraphError(
                3001,
                "(#3001) An unknown error occurred with the request: at least one metric must be given",
                subcode=1504028,
                title="No metric was specified to be fetched",
                user_message="No metric was specified to be fetched. Please specify one or more "
                "metrics and try again.",
            )
        if any(name not in page_metrics.VALID for name in names):
            raise invalid_parameter("The value must be a valid insights metric")
        periods = self._periods(request)
        since, until = self._dates(request)
        data = []
        for name in dict.fromkeys(names):
            for period in periods:
                if page_metrics.offers(name, period):
                    data.append(self._series(page, name, period, since, until))
        span = until - since
        paging = {
            "previous": page_url(request, _window(since - span, since)),
            "next": page_url(request, _window(until, until + span)),
        }
        return {"data": [series for series in data if series["values"]], "paging": paging}

    def _authorize(self, request: GraphRequest, page: Page) -> None:
        identity = request.identity
        if identity.kind != "PAGE":
            raise GraphError(
                190, "(#190) This method must be called with a Page Access Token", subcode=2069032
            )
        if identity.page_id != page.id or not identity.may("read_insights"):
            raise missing_permission(200, "Provide valid app ID")

    def _periods(self, request: GraphRequest) -> tuple[str, ...]:
        period = request.params.get("period")
        if not period:
            return ("day", "week", "days_28")
        if period not in page_metrics.PERIODS:
            raise not_one_of("period", page_metrics.PERIODS)
        return (period,)

    def _dates(self, request: GraphRequest) -> tuple[date, date]:
        """The first day and the day after the last; without dates, the two days that are complete."""
        today = self._clock.today(PACIFIC)
        if preset := request.params.get("date_preset"):
            whole = preset_range(preset.lower(), today)
            return whole.since, whole.until + _DAY
        until = _date(request, "until", today)
        since = _date(request, "since", until - 2 * _DAY)
        if since >= until:
            raise invalid_parameter("Param until must be later than param since")
        if (until - since).days > _MAX_DAYS + 1:
            raise invalid_parameter("There cannot be more than 90 days (7776000 s) between since and until")
        if since < months_before(today, _RETENTION_MONTHS):
            raise invalid_parameter(
                "since param is not valid. Metrics data is available for the last 2 years"
            )
        return since, until

    def _series(self, page: Page, name: str, period: str, since: date, until: date) -> dict[str, Any]:
        title, description = page_metrics.describe(name, period)
        now = self._clock.instant()
        values: list[dict[str, Any]] = []
        if period == "total_over_range":
            last = min(until - _DAY, now.astimezone(PACIFIC).date() - _DAY)
            if last >= since:
                values.append({"value": page_metrics.total(name, page, since, last)})
        else:
            day = since
            while day < until and (end := midnight(day + _DAY)) <= now:
                values.append({"value": page_metrics.value(name, page, period, day), "end_time": _text(end)})
                day += _DAY
        return {
            "name": name,
            "period": period,
            "values": values,
            "title": title,
            "description": description,
            "id": f"{page.id}/insights/{name}/{period}",
        }


def midnight(day: date) -> datetime:
    """The start of ``day`` on the Pacific coast."""
    return datetime.combine(day, time(), PACIFIC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _window(since: date, until: date) -> dict[str, str | None]:
    return {
        "since": str(int(midnight(since).timestamp())),
        "until": str(int(midnight(until).timestamp())),
        "date_preset": None,
    }


def _date(request: GraphRequest, name: str, default: date) -> date:
    raw = request.params.get(name)
    if not raw:
        return default
    try:
        if raw.isdigit():
            return datetime.fromtimestamp(int(raw), PACIFIC).date()
        return date.fromisoformat(raw)
    except (ValueError, OverflowError, OSError):
        raise invalid_parameter(f"param {name} must be a valid date or unix timestamp") from None
