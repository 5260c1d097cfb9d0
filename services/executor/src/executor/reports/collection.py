"""Fetching a report's figures: every ad account and page of a run's connections.

What one account or page refuses for good is left out, and the report goes out without it. What could still
come (a limit, a time-out) fails the attempt instead, so that the next one brings the whole report; at the
last attempt it is left out too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from common.automation_config.scheduled_report import MetricType, ScheduledReportConfig
from common.errors import Consequence, PlatformError
from executor.platforms.facebook import PLATFORM, DailyValues, FacebookClient, Page, page_insights
from executor.platforms.figures import AdAccount, Days
from executor.reports.content import AccountFigures, PageFigures, Pair, Subject

PAGE_METRICS = {
    "views": "page_media_view",
    "engagements": "page_post_engagements",
    "new_follows": "page_daily_follows_unique",
    "follows": "page_follows",
}
_LEVELS = frozenset({"follows"})
"""Metrics whose latest value counts; of the others the days are added up."""
_LATE_DAYS = 2
"""Days by which Facebook may be late with a page's figures."""
_DAY = timedelta(days=1)
_MOST_TELLING_FIRST = (
    Consequence.REAUTH,
    Consequence.PERM,
    Consequence.GONE,
    Consequence.INVALID,
    Consequence.SPLIT,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """A connection to collect from. `name` is the tenant's for it."""

    id: str
    name: str
    client: FacebookClient


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that could not be read, and the error that says why."""

    subject: Subject
    id: str
    name: str
    error: PlatformError


@dataclass(frozen=True, slots=True)
class Collected:
    """What was found, and what was refused for good."""

    accounts: Sequence[AccountFigures]
    pages: Sequence[PageFigures]
    refusals: Sequence[Refusal]


async def collect(
    sources: Sequence[Source], config: ScheduledReportConfig, slot: datetime, *, is_last_chance: bool = False
) -> Collected:
    """The figures of the `config.days` full days before `slot`, and of as many before those.

    Raises:
        PlatformError: nothing can be read; or something cannot be read yet, and there is another chance.
    """
    return await _Collection(config, slot, is_last_chance).run(sources)


def last_full_day(slot: datetime, zone: tzinfo, wanted_zone: tzinfo | None) -> date:
    """The latest day that was over at `slot` in `zone`, and in `wanted_zone` too when that is given."""
    return min(slot.astimezone(each).date() for each in (zone, wanted_zone or zone)) - _DAY


class _Collection:
    def __init__(self, config: ScheduledReportConfig, slot: datetime, is_last_chance: bool) -> None:
        self._config = config
        self._slot = slot
        self._is_last_chance = is_last_chance
        self._zone = ZoneInfo(config.timezone) if config.timezone else None
        self._refusals: list[Refusal] = []

    async def run(self, sources: Sequence[Source]) -> Collected:
        account_sources, page_sources = await self._list(sources)
        accounts, pages = await _both(
            [
                self._attempt(Subject.AD_ACCOUNT, account.id, account.name, self._account(client, account))
                for client, account in account_sources
            ],
            [
                self._attempt(Subject.PAGE, page.id, page.name, self._page(client, page))
                for client, page in page_sources
            ],
        )
        if not self._is_last_chance:
            self._raise_what_may_still_come()
        found = Collected(
            [account for account in accounts if account is not None],
            [page for page in pages if page is not None],
            self._refusals,
        )
        if not found.accounts and not found.pages:
            raise self._nothing()
        return found

    async def _list(
        self, sources: Sequence[Source]
    ) -> tuple[list[tuple[FacebookClient, AdAccount]], list[tuple[FacebookClient, Page]]]:
        """What there is to report on, each account and page once even if several connections show it."""
        metrics = self._config.metric_types
        account_lists, page_lists = await _both(
            [self._attempt(Subject.CONNECTION, it.id, it.name, it.client.ad_accounts()) for it in sources]
            if MetricType.AD_ACCOUNT in metrics
            else [],
            [self._attempt(Subject.CONNECTION, it.id, it.name, it.client.pages()) for it in sources]
            if MetricType.PAGES in metrics
            else [],
        )
        if not self._is_last_chance:
            self._raise_what_may_still_come()
        accounts = {
            account.id: (source.client, account)
            for source, listed in zip(sources, account_lists, strict=False)
            for account in listed or ()
        }
        pages = {
            page.id: (source.client, page)
            for source, listed in zip(sources, page_lists, strict=False)
            for page in listed or ()
        }
        if not self._refusals:  # a list that could not be read does not say what is missing from it
            if MetricType.AD_ACCOUNT in metrics:
                self._miss(accounts, self._config.accounts, Subject.AD_ACCOUNT)
            if MetricType.PAGES in metrics:
                self._miss(pages, self._config.pages, Subject.PAGE)
        return _selected(accounts, self._config.accounts), _selected(pages, self._config.pages)

    def _miss(self, found: Container[str], wanted: Sequence[str], subject: Subject) -> None:
        error = _error("not among the connected ones", Consequence.GONE)
        self._refusals += [Refusal(subject, each, each, error) for each in wanted if each not in found]

    async def _attempt(self, subject: Subject, id_: str, name: str, work: Coroutine[Any, Any, T]) -> T | None:
        try:
            return await work
        except PlatformError as error:
            if not any(each.id == id_ and each.error.code == error.code for each in self._refusals):
                self._refusals.append(Refusal(subject, id_, name, error))
            return None

    async def _account(self, client: FacebookClient, account: AdAccount) -> AccountFigures:
        days = Days.ending(last_full_day(self._slot, account.zone, self._zone), self._config.days)
        current, previous = await client.account_insights(account.id, days, days.before())
        return AccountFigures(
            account.id, account.name, account.currency, account.zone_name, days, current, previous
        )

    async def _page(self, client: FacebookClient, page: Page) -> PageFigures:
        wanted = Days.ending(last_full_day(self._slot, page_insights.ZONE, self._zone), self._config.days)
        asked = Days(wanted.before().since - _LATE_DAYS * _DAY, wanted.until)
        daily = await client.page_insights(page, tuple(PAGE_METRICS.values()), asked)
        days = _known(daily.values(), wanted)
        values = {} if days is None else dict(_pairs(daily, days))
        if days is None or not values:
            raise _error(
                "no figures for these days; Facebook counts pages of 100 likes or more", Consequence.GONE
            )
        return PageFigures(page.id, page.name, days, values)

    def _raise_what_may_still_come(self) -> None:
        """Of several errors, the one that asks for the longest wait."""
        pending = [refusal.error for refusal in self._refusals if not refusal.error.permanent]
        if pending:
            raise max(pending, key=lambda error: error.retry_after or 0.0)

    def _nothing(self) -> PlatformError:
        self._raise_what_may_still_come()
        errors = [refusal.error for refusal in self._refusals]
        if errors:
            return min(errors, key=lambda error: _MOST_TELLING_FIRST.index(error.consequence))
        kinds = " and no ".join(
            "ad accounts" if kind is MetricType.AD_ACCOUNT else "pages" for kind in self._config.metric_types
        )
        return _error(f"the connected Facebook account shows no {kinds}", Consequence.GONE)


def _selected(found: Mapping[str, T], wanted: Sequence[str]) -> list[T]:
    return [found[each] for each in wanted if each in found] if wanted else list(found.values())


def _known(series: Iterable[DailyValues], wanted: Days) -> Days | None:
    """As many days as wanted, up to the last with figures: a day not counted yet would look like a loss."""
    known = [day for values in series for day in values.by_day if day <= wanted.until]
    if not known or (wanted.until - max(known)).days > _LATE_DAYS:
        return None
    return Days.ending(max(known), wanted.count)


def _pairs(daily: Mapping[str, DailyValues], days: Days) -> Iterator[tuple[str, Pair]]:
    for name, metric in PAGE_METRICS.items():
        values = daily.get(metric)
        if values is None:
            continue
        read = values.last if name in _LEVELS else values.total
        current = read(days)
        if current is not None:
            yield name, Pair(current, read(days.before()))


def _error(detail: str, consequence: Consequence) -> PlatformError:
    return PlatformError(detail, consequence, platform=PLATFORM)


A = TypeVar("A")
B = TypeVar("B")


async def _both(
    ones: Sequence[Coroutine[Any, Any, A]], others: Sequence[Coroutine[Any, Any, B]]
) -> tuple[list[A], list[B]]:
    """The results of all, worked out at the same time."""
    try:
        async with asyncio.TaskGroup() as group:
            first = [group.create_task(work) for work in ones]
            second = [group.create_task(work) for work in others]
    except ExceptionGroup as several:
        # The first is told as itself: what follows from a failure is decided by its type.
        raise several.exceptions[0] from None
    return [task.result() for task in first], [task.result() for task in second]
