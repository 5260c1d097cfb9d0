"""Rate-limit accounting: what the usage headers say, and when a limit is reached."""

import json
import math
from collections import deque

from sandbox.clock import Clock
from sandbox.exchange import Headerlist
from sandbox.facebook.errors import GraphError
from sandbox.limits import Limits

_HOUR = 3_600
_SLICE = 60


class RollingHour:
    """Counts calls of the last hour, minute by minute."""

    def __init__(self) -> None:
        self._slices: deque[list[int]] = deque()
        self.total = 0

    def add(self, now: float, number: int = 1) -> int:
        """Count ``number`` calls and answer the total of the last hour."""
        minute = int(now) // _SLICE
        self._forget(minute)
        if self._slices and self._slices[-1][0] == minute:
            self._slices[-1][1] += number
        else:
            self._slices.append([minute, number])
        self.total += number
        return self.total

    def regain_seconds(self, now: float) -> int:
        """Until the oldest counted calls leave the window."""
        if not self._slices:
            return 0
        return max(self._slices[0][0] * _SLICE + _HOUR - int(now), 1)

    def _forget(self, minute: int) -> None:
        while self._slices and self._slices[0][0] <= minute - _HOUR // _SLICE:
            self.total -= self._slices.popleft()[1]


class Usage:
    """The app's and each business object's consumption."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._app = RollingHour()
        self._objects: dict[str, RollingHour] = {}

    def reset(self) -> None:
        """Start counting from zero."""
        self._app = RollingHour()
        self._objects.clear()

    def charge(self, object_id: str, use_case: str) -> Headerlist:
        """Count one call against the app and, with an ``object_id``, against its use case.

        Returns the usage headers; raises `GraphError` 4 or 80000/80001 past the limit.
        """
        now = self._clock.now()
        app_share = _percent(self._app.add(now), self._limits.facebook_app_calls_per_hour)
        headers: Headerlist = [("x-app-usage", _app_usage(app_share))]
        if app_share > 100:
            raise GraphError(
                4, "(#4) Application request limit reached", status=403, transient=True, headers=dict(headers)
            )
        if not object_id:
            return headers
        window = self._objects.get(object_id)
        if window is None:
            window = self._objects[object_id] = RollingHour()
        share = _percent(window.add(now), self._limits.facebook_account_calls_per_hour)
        regain = math.ceil(window.regain_seconds(now) / 60) if share > 100 else 0
        headers += object_headers(object_id, use_case, share, app_share, regain)
        if share > 100:
            raise throttled(use_case, headers)
        return headers


def throttled(use_case: str, headers: Headerlist | None = None) -> GraphError:
    """The business-use-case limit of the object is reached."""
    if use_case == "pages":
        return GraphError(
            80001,
            "(#80001) There have been too many calls to this Page account. Wait a bit and try again.",
            headers=dict(headers or ()),
        )
    if use_case == "ads_management":
        return GraphError(
            80004,
            "(#80004) There have been too many calls to this ad-account. Wait a bit and try again.",
            subcode=2446079,
            headers=dict(headers or ()),
        )
    return GraphError(
        80000,
        "(#80000) There have been too many calls from this ad-account. Wait a bit and try again.",
        headers=dict(headers or ()),
    )


def object_headers(
    object_id: str, use_case: str, share: float, app_share: float, regain_minutes: int
) -> Headerlist:
    """The headers about one ad account or page; shares are percents."""
    entry: dict[str, object] = {
        "type": use_case,
        "call_count": min(int(share), 100),
        "total_cputime": min(int(share * 0.6), 100),
        "total_time": min(int(share * 0.8), 100),
        "estimated_time_to_regain_access": regain_minutes,
    }
    if use_case == "pages":
        return [("x-business-use-case-usage", _dump({object_id: [entry]}))]
    entry["ads_api_access_tier"] = "standard_access"
    account = {
        "acc_id_util_pct": round(min(share, 100.0), 2),
        "reset_time_duration": regain_minutes * 60,
        "ads_api_access_tier": "standard_access",
    }
    headers = [
        ("x-business-use-case-usage", _dump({object_id: [entry]})),
        ("x-ad-account-usage", _dump(account)),
    ]
    if use_case == "ads_insights":
        throttle = {
            "app_id_util_pct": round(min(app_share, 100.0), 2),
            "acc_id_util_pct": round(min(share, 100.0), 2),
            "ads_api_access_tier": "standard_access",
        }
        headers.append(("x-fb-ads-insights-throttle", _dump(throttle)))
    return headers


def _percent(used: float, limit: float) -> float:
    return 100.0 * used / limit if limit else 0.0


def _app_usage(share: float) -> str:
    return _dump(
        {
            "call_count": min(int(share), 100),
            "total_cputime": min(int(share * 0.5), 100),
            "total_time": min(int(share * 0.6), 100),
        }
    )


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
