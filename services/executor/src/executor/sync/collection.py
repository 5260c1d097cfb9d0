"""Reading what a data sync passes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from common.automation_config.data_sync import DataSyncConfig
from common.errors import Consequence, PlatformError
from executor.sources.ads import AdSource
from executor.sources.reading import (
    Found,
    Refusal,
    list_accounts,
    nothing_read,
    raise_what_may_still_come,
    read_each,
    storable,
)
from executor.sync.chunks import AccountRows, Packer, Row
from executor.sync.windows import Watermarks, account_key, window
from platforms.advertising.metrics import Level, MetricRow
from platforms.calls.periods import Days, pieces
from platforms.facebook import PLATFORM as FACEBOOK
from platforms.tiktok_business import PLATFORM as TIKTOK

_DAYS_AT_A_TIME = 31
"""Days of an account whose rows are held at once."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What was read. `watermarks` is what is remembered once it has all been passed on."""

    accounts: Sequence[AccountRows]
    refusals: Sequence[Refusal]
    watermarks: Watermarks

    @property
    def rows(self) -> int:
        """How many."""
        return sum(account.count for account in self.accounts)


async def collect(
    sources: Sequence[AdSource],
    config: DataSyncConfig,
    slot: datetime,
    known: Watermarks,
    *,
    is_last_chance: bool = False,
) -> Collected:
    """The rows of every selected account.

    Raises:
        PlatformError: nothing can be read; or something cannot be read yet, and there is another chance.
    """
    selection = {FACEBOOK: config.accounts, TIKTOK: config.advertisers}
    listing = await list_accounts(sources, selection)
    if not is_last_chance:
        raise_what_may_still_come(listing.refusals)

    async def work(found: Found) -> tuple[Days | None, AccountRows | None]:
        key = account_key(found.source.platform, found.account.id)
        days = window(found.account, config, slot, known.days.get(key))
        return days, None if days is None else await _read(found, config, days)

    read, refusals = await read_each(listing.found, work)
    if not is_last_chance:
        raise_what_may_still_come(refusals)
    refused = [*listing.refusals, *refusals]
    if not read:
        raise nothing_read(refused)
    passed_on: dict[str, date] = {
        account_key(found.source.platform, found.account.id): days.until
        for found, (days, _rows) in read
        if days is not None
    }
    # A list that could not be read does not say which accounts are gone from it.
    kept = (
        known
        if any(refusal.account_id is None for refusal in refused)
        else known.only({account_key(each.source.platform, each.account.id) for each in listing.found})
    )
    accounts = [rows for _found, (_days, rows) in read if rows is not None]
    return Collected(accounts, refused, kept.advanced(passed_on))


async def _read(found: Found, config: DataSyncConfig, days: Days) -> AccountRows:
    client, account = found.source.client, found.account
    level = Level(config.level.value)
    told = [metric.value for metric in config.metrics if metric.value in client.metrics]
    if not told:
        raise PlatformError(
            "tells none of the metrics asked for",
            Consequence.INVALID,
            platform=found.source.platform,
            code="unknown_metric",
        )
    packer = Packer()
    for piece in pieces(days, _DAYS_AT_A_TIME):
        packer.add(
            _rows(found, config, level, await client.rows(account, told, [piece], level=level, daily=True))
        )
    header = {
        "platform": found.source.platform,
        "account_id": account.id,
        "account_name": storable(account.name),
        "currency": account.currency,
        "timezone": account.zone_name,
        "since": str(days.since),
        "until": str(days.until),
    }
    return packer.packed(header)


def _rows(found: Found, config: DataSyncConfig, level: Level, answered: Sequence[MetricRow]) -> Iterator[Row]:
    account = found.account
    for row in answered:
        yield {
            "platform": found.source.platform,
            "account_id": account.id,
            "account_name": storable(account.name),
            "currency": account.currency,
            "level": level.value,
            # Part of a row's key, where nothing must be missing.
            "campaign_id": row.campaign_id or "",
            "campaign_name": None if row.campaign_name is None else storable(row.campaign_name),
            "day": str(row.days.since),
            **{metric.value: _number(row, metric.value) for metric in config.metrics},
        }


def _number(row: MetricRow, metric: str) -> str | None:
    """As decimal text, so that no digit is lost; None is not known."""
    value = row.metrics.get(metric)
    return None if value is None else f"{value:f}"
