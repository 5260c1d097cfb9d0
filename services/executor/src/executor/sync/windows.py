"""Which days of an account are read: what is new, and what its platform may have restated. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from common.automation_config.data_sync import MAX_BACKFILL_DAYS, DataSyncConfig
from executor.sources.reading import latest_day
from platforms.advertising.figures import AdAccount
from platforms.calls.periods import Days

_DAY = timedelta(days=1)
_VERSION = 1
_TARGET = (
    "sync_type",
    "destination_id",
    "webhook_url",
    "connection_id",
    "table",
    "level",
    "metrics",
    "start_date",
)


def account_key(platform: str, account_id: str) -> str:
    """Under this an account's watermark is remembered."""
    return f"{platform}/{account_id}"


def fingerprint(config: DataSyncConfig, *, target_only: bool) -> str:
    """Two configurations have the same when they ask for the same, or with `target_only` when they keep the
    same rows in the same place."""
    given = config.model_dump(mode="json", include=set(_TARGET) if target_only else None)
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The last day that was passed on, by account. Of another target nothing was passed on yet."""

    target: str
    days: Mapping[str, date]

    @classmethod
    def read(cls, state: Mapping[str, Any], config: DataSyncConfig) -> Watermarks:
        """From what a run left; what cannot be read is read again."""
        target = fingerprint(config, target_only=True)
        stored = state.get("watermarks")
        if (
            state.get("version") != _VERSION
            or state.get("target") != target
            or not isinstance(stored, Mapping)
        ):
            return cls(target, {})
        return cls(target, {str(key): day for key, text in stored.items() if (day := _date(text))})

    def advanced(self, passed_on: Mapping[str, date]) -> Watermarks:
        """With what was passed on now. A run for an earlier slot takes nothing back."""
        days = dict(self.days)
        for key, day in passed_on.items():
            days[key] = max(day, days.get(key, day))
        return Watermarks(self.target, days)

    def only(self, keys: Collection[str]) -> Watermarks:
        """Without the accounts that are no longer asked for."""
        return Watermarks(self.target, {key: day for key, day in self.days.items() if key in keys})

    def as_state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "version": _VERSION,
            "target": self.target,
            "watermarks": {key: str(day) for key, day in sorted(self.days.items())},
        }


def window(account: AdAccount, config: DataSyncConfig, slot: datetime, watermark: date | None) -> Days | None:
    """The full days of an account to read at `slot`; None when none has come yet.

    From the day after the watermark, or for the first time from `start_date`, and at least the last
    `config.days`, since those may have been restated; never more than a year and a bit back, and never before
    `start_date`.
    """
    zone = ZoneInfo(config.timezone) if config.timezone else None
    until = latest_day(slot, account.zone, zone, full=True)
    restated = until - (config.days - 1) * _DAY
    unread = config.start_date if watermark is None else watermark + _DAY
    since = restated if unread is None else min(unread, restated)
    since = max(since, until - (MAX_BACKFILL_DAYS - 1) * _DAY, config.start_date or date.min)
    return Days(since, until) if since <= until else None


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None
