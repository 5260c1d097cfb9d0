"""What Facebook's usage headers say. Their values are percents of a limit, not counts of calls."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from platforms.calls.usage import MAX_WAIT, MIN_WAIT, Usage

_APP = "x-app-usage"
_PAGE = "x-page-usage"
_ACCOUNT = "x-ad-account-usage"
_USE_CASE = "x-business-use-case-usage"
_INSIGHTS = "x-fb-ads-insights-throttle"
_PERCENTS = ("call_count", "total_cputime", "total_time")


def app_usage(headers: Mapping[str, str]) -> Usage | None:
    """How much of the app's limits is used; None when no header tells."""
    return _fullest(
        [
            *_usages(_object(headers, _APP), _PERCENTS),
            *_usages(_object(headers, _INSIGHTS), ("app_id_util_pct",)),
        ]
    )


def object_usage(headers: Mapping[str, str]) -> Usage | None:
    """How much of the limits of the asked ad account or page is used; None when no header tells."""
    account = _object(headers, _ACCOUNT)
    found = [
        *_usages(account, ("acc_id_util_pct",), _number(account.get("reset_time_duration"))),
        *_usages(_object(headers, _INSIGHTS), ("acc_id_util_pct",)),
        *_usages(_object(headers, _PAGE), _PERCENTS),
    ]
    for entry in _use_cases(headers):
        found += _usages(entry, _PERCENTS, _number(entry.get("estimated_time_to_regain_access")) * 60)
    return _fullest(found)


def seconds_to_wait(headers: Mapping[str, str]) -> float:
    """How long to leave a throttled account alone: from one minute to an hour."""
    regain = [_number(entry.get("estimated_time_to_regain_access")) * 60 for entry in _use_cases(headers)]
    return min(max([*regain, MIN_WAIT]), MAX_WAIT)


def _use_cases(headers: Mapping[str, str]) -> Iterable[Mapping[str, Any]]:
    for entries in _object(headers, _USE_CASE).values():
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                yield entry


def _object(headers: Mapping[str, str], name: str) -> Mapping[str, Any]:
    raw = headers.get(name)
    if raw is None:
        return {}
    try:
        parsed = json.loads(raw)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _usages(entry: Mapping[str, Any], names: tuple[str, ...], regain: float = 0.0) -> list[Usage]:
    return [Usage(_number(entry[name]), regain) for name in names if name in entry]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _fullest(found: list[Usage]) -> Usage | None:
    return max(found, key=lambda usage: (usage.percent, usage.regain_seconds), default=None)
