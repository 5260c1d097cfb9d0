"""Reading the ad accounts of a run's connections, each by itself.

A permanent refusal of one account or connection leaves that one out, and is reported. What another attempt
may still bring (after a limit, after a time-out) fails this one instead, so that the next one brings
everything; at the last attempt it is left out too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Protocol, TypeVar

from common.errors import Consequence, PlatformError
from executor.context import RunContext
from executor.sources.ads import AdSource
from platforms.advertising.figures import AdAccount

CONCURRENCY = 5
"""Accounts one run reads at the same time."""
_MOST_TELLING_FIRST = (
    Consequence.REAUTH,
    Consequence.REFRESH,
    Consequence.PERM,
    Consequence.GONE,
    Consequence.INVALID,
    Consequence.SPLIT,
)
_REASONS = {
    Consequence.REAUTH: "must be connected again",
    Consequence.REFRESH: "must be connected again",
    Consequence.PERM: "a permission is missing",
    Consequence.GONE: "is gone, or hidden from the connected account",
    Consequence.INVALID: "the platform refused the question",
    Consequence.SPLIT: "has more data than can be read",
    Consequence.RATE: "has used up its calls for now",
    Consequence.BLOCKED: "is blocked by the platform for now",
    Consequence.TRANSIENT: "got no answer from the platform",
}
T = TypeVar("T")


class Sources(Protocol):
    """Where a run's advertising is read; `AdSources` outside of tests."""

    async def of(self, context: RunContext) -> Sequence[AdSource]:
        """One source for each connection; raises PlatformError when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """An ad account and the connection it is read by."""

    source: AdSource
    account: AdAccount


@dataclass(frozen=True, slots=True)
class Refusal:
    """An account, or with `account_id` None a whole connection, that could not be read."""

    platform: str
    connection_id: str
    account_id: str | None
    name: str
    error: PlatformError

    @property
    def reason(self) -> str:
        """Why, in words that tell nothing secret, with the platform's own code."""
        reason = _REASONS[self.error.consequence]
        return reason if self.error.code is None else f"{reason} (error {self.error.code})"


@dataclass(frozen=True, slots=True)
class Listing:
    """The selected accounts, and what could not be listed."""

    found: Sequence[Found]
    refusals: Sequence[Refusal]


async def list_accounts(sources: Sequence[AdSource], selection: Mapping[str, Sequence[str]]) -> Listing:
    """The ad accounts of all connections, each once even if several show it.

    `selection` has the ids wanted of a platform; a platform that is not in it, or has none, is wanted whole.
    """
    answers = await all_of(_attempt(source) for source in sources)
    listed: dict[tuple[str, str], Found] = {}
    refusals: list[Refusal] = []
    for source, answer in zip(sources, answers, strict=True):
        if isinstance(answer, PlatformError):
            refusals.append(Refusal(source.platform, source.connection_id, None, source.name, answer))
            continue
        for account in answer:
            listed.setdefault((source.platform, account.id), Found(source, account))
    wanted: list[Found] = []
    for platform in dict.fromkeys(source.platform for source in sources):
        ids = selection.get(platform) or [id_ for of, id_ in listed if of == platform]
        wanted += [listed[platform, id_] for id_ in ids if (platform, id_) in listed]
        if any(refusal.platform == platform for refusal in refusals):
            continue  # a list that could not be read does not say what is missing from it
        missing = PlatformError("not among the connected ones", Consequence.GONE, platform=platform)
        refusals += [Refusal(platform, "", id_, id_, missing) for id_ in ids if (platform, id_) not in listed]
    return Listing(wanted, refusals)


async def read_each(
    found: Sequence[Found], work: Callable[[Found], Awaitable[T]]
) -> tuple[list[tuple[Found, T]], list[Refusal]]:
    """`work` on every account, a few at the same time: what came of it, and what was refused."""
    places = asyncio.Semaphore(CONCURRENCY)

    async def one(each: Found) -> T | PlatformError:
        async with places:
            try:
                return await work(each)
            except PlatformError as error:
                return error

    answers = await all_of(one(each) for each in found)
    read: list[tuple[Found, T]] = []
    refusals: list[Refusal] = []
    for each, answer in zip(found, answers, strict=True):
        if isinstance(answer, PlatformError):
            refusals.append(
                Refusal(
                    each.source.platform,
                    each.source.connection_id,
                    each.account.id,
                    storable(each.account.name),
                    answer,
                )
            )
        else:
            read.append((each, answer))
    return read, refusals


def raise_what_may_still_come(refusals: Iterable[Refusal]) -> None:
    """Of several errors that another attempt may not meet, the one that asks for the longest wait."""
    pending = [refusal.error for refusal in refusals if not refusal.error.permanent]
    if pending:
        raise max(pending, key=lambda error: error.retry_after or 0.0)


def nothing_read(refusals: Sequence[Refusal]) -> PlatformError:
    """Why there is nothing to go on with: the refusal that says most, or that there are no accounts."""
    raise_what_may_still_come(refusals)
    if refusals:
        return min(
            (refusal.error for refusal in refusals),
            key=lambda error: _MOST_TELLING_FIRST.index(error.consequence),
        )
    return PlatformError("the connected accounts show no ad accounts", Consequence.GONE, platform="")


def latest_day(slot: datetime, zone: tzinfo, wanted_zone: tzinfo | None, *, full: bool) -> date:
    """The latest day that had begun at `slot`, or with `full` was over, in `zone` and `wanted_zone` too."""
    today = min(slot.astimezone(each).date() for each in (zone, wanted_zone or zone))
    return today - timedelta(days=1) if full else today


def storable(name: str) -> str:
    """A foreign name, without characters that JSON or PostgreSQL cannot store."""
    return name.replace("\x00", "").encode(errors="replace").decode()


async def all_of(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, worked out at the same time; the first failure as itself, the others cancelled."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]


async def _attempt(source: AdSource) -> Sequence[AdAccount] | PlatformError:
    try:
        return await source.client.ad_accounts()
    except PlatformError as error:
        return error
