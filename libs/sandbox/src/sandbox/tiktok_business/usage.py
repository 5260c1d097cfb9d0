"""The Business API's limits: per app, per advertiser and path, and for starting reports."""

from collections import defaultdict

from sandbox.clock import Clock
from sandbox.limits import Limits
from sandbox.tiktok_business.errors import BusinessError
from sandbox.windows import SlidingWindow

_MINUTE_PENALTY = 300.0
"""Who exceeds the limit per minute is refused for five minutes."""
_DAY = 86_400
REPORT_TASKS = "/report/task/create/"


class _Meter:
    """The three counters of one app, or of one app's calls to one path."""

    def __init__(self) -> None:
        self._second = SlidingWindow(1.0)
        self._minute = SlidingWindow(60.0)
        self._day = (0, 0)
        self._refused_until = 0.0

    def check(self, now: float, per_second: float, per_minute: float, per_day: float) -> None:
        """Raises code 40100 when one more call would be too many; a refused call is not counted."""
        if self._refused_until > now:
            raise too_frequent("QPM")
        if per_day and self._today(now) >= per_day:
            raise too_frequent("QPD")
        if per_minute and self._minute.count(now) >= per_minute:
            self._refused_until = now + _MINUTE_PENALTY
            raise too_frequent("QPM")
        if per_second and self._second.count(now) >= per_second:
            raise too_frequent("QPS")

    def add(self, now: float) -> None:
        self._second.count(now)
        self._minute.count(now)
        self._second.add(now)
        self._minute.add(now)
        self._day = (int(now) // _DAY, self._today(now) + 1)

    def _today(self, now: float) -> int:
        """Calls since 00:00 UTC."""
        day, number = self._day
        return number if day == int(now) // _DAY else 0


class Usage:
    """What every app and advertiser has used up."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Start counting from zero."""
        self._apps: defaultdict[str, _Meter] = defaultdict(_Meter)
        self._report_tasks: defaultdict[str, _Meter] = defaultdict(_Meter)
        self._advertisers: defaultdict[tuple[str, str], SlidingWindow] = defaultdict(
            lambda: SlidingWindow(1.0)
        )

    def charge(self, app_id: str, path: str, advertiser_id: str) -> None:
        """Count one call; raises code 40100 or 40133 when a limit is reached."""
        now = self._clock.now()
        limits = self._limits
        meters = [self._apps[app_id]]
        meters[0].check(
            now, limits.tiktok_app_per_second, limits.tiktok_app_per_minute, limits.tiktok_app_per_day
        )
        if path == REPORT_TASKS:
            meters.append(self._report_tasks[app_id])
            meters[1].check(
                now,
                limits.tiktok_report_tasks_per_second,
                limits.tiktok_report_tasks_per_minute,
                limits.tiktok_report_tasks_per_day,
            )
        if advertiser_id and limits.tiktok_advertiser_per_second:
            self._charge_advertiser(advertiser_id, path, now)
        for meter in meters:
            meter.add(now)

    def _charge_advertiser(self, advertiser_id: str, path: str, now: float) -> None:
        window = self._advertisers[advertiser_id, path]
        limit = self._limits.tiktok_advertiser_per_second
        used = window.count(now)
        if used >= limit:
            raise BusinessError(
                40133,
                f"Advertiser ({advertiser_id})'s QPS ({used + 1}) reaches QPS limit {limit:g} for current "
                "path, request is temporarily restricted.",
            )
        window.add(now)


def too_frequent(which: str) -> BusinessError:
    """Code 40100; ``which`` is QPS, QPM or QPD, and TikTok says only in words which it is."""
    return BusinessError(40100, f"App reaches the {which} limit.")
