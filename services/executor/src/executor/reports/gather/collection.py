"""Fetching a report's figures: every ad account, page and creator of a run's connections.

What one of them refuses for good is left out, and the report goes out without it; see
`executor.reports.gather.refusals` for what may still come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Container, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Generic, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from common.automation_config.scheduled_report import MetricType, ScheduledReportConfig
from common.errors import Consequence, PlatformError
from executor.reports.gather import advertising, creators, pages
from executor.reports.gather.advertising import AdsReading, AdsRequest
from executor.reports.gather.profile_memory import Memory
from executor.reports.gather.refusals import Refusal, Refusals, together
from executor.reports.model.content import (
    CONTEXT_DAYS,
    AccountFigures,
    CampaignFigures,
    PageFigures,
    ProfileFigures,
    Subject,
    VideoList,
)
from platforms import facebook, tiktok_business
from platforms.advertising.figures import AdAccount
from platforms.advertising.metrics import AdsClient
from platforms.calls.periods import Days
from platforms.facebook import page_insights
from platforms.facebook.client import FacebookClient
from platforms.facebook.figures import Page
from platforms.tiktok_organic.client import Organic

MOST_PLOTTED = 50
"""Ad accounts whose days a chart adds up; the calls for more are worth more than a picture."""
_DAY = timedelta(days=1)

C = TypeVar("C")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source(Generic[C]):
    """A connection to collect from. `name` is the tenant's for it."""

    id: str
    name: str
    client: C


@dataclass(frozen=True, slots=True)
class Sources:
    """The connections by what they are read for; `lost` are those whose token cannot be had."""

    ads: Sequence[Source[AdsClient]] = ()
    pages: Sequence[Source[FacebookClient]] = ()
    creators: Sequence[Source[Organic]] = ()
    lost: Sequence[Refusal] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a report is to say, of which days, and with what.

    `slot` is the instant the report is for, `now` the present one, `zone` the automation's. `with_chart`: the
    destination can show one, and the owner wants it.
    """

    config: ScheduledReportConfig
    metrics: Container[MetricType]
    slot: datetime
    now: datetime
    zone: tzinfo
    with_chart: bool = True

    def days(self, zone: tzinfo) -> Days:
        """The period in a zone."""
        own = ZoneInfo(self.config.timezone) if self.config.timezone else None
        return Days.ending(last_full_day(self.slot, zone, own), self.config.days)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was found, and what was refused for good. `unplotted` are errors that cost only the chart."""

    accounts: Sequence[AccountFigures] = ()
    campaigns: Sequence[CampaignFigures] = ()
    pages: Sequence[PageFigures] = ()
    profiles: Sequence[ProfileFigures] = ()
    videos: Sequence[VideoList] = ()
    refusals: Sequence[Refusal] = ()
    unplotted: Sequence[Refusal] = ()


@dataclass(frozen=True, slots=True)
class _Listed:
    """What there is to report on, with the client to ask: each once, even if several connections show it."""

    accounts: Sequence[tuple[AdsClient, AdAccount]]
    pages: Sequence[tuple[FacebookClient, Page]]


@dataclass(frozen=True, slots=True)
class _Creator:
    profile: ProfileFigures | None
    videos: VideoList | None


_Part: TypeAlias = AdsReading | PageFigures | _Creator


async def collect(
    sources: Sources, wanted: Wanted, memory: Memory, *, is_last_chance: bool = False
) -> Collected:
    """The figures of the full days before the slot, and of as many before those; notes totals in `memory`.

    Raises:
        PlatformError: nothing can be read; or something cannot be read yet, and there is another chance.
    """
    refusals = Refusals(sources.lost, is_last_chance=is_last_chance)
    return await _Collection(wanted, memory, refusals).run(sources)


def last_full_day(slot: datetime, zone: tzinfo, wanted_zone: tzinfo | None) -> date:
    """The latest day that was over at `slot` in `zone`, and in `wanted_zone` too when that is given."""
    return min(slot.astimezone(each).date() for each in (zone, wanted_zone or zone)) - _DAY


class _Collection:
    def __init__(self, wanted: Wanted, memory: Memory, refusals: Refusals) -> None:
        self._wanted = wanted
        self._config = wanted.config
        self._memory = memory
        self._refusals = refusals

    async def run(self, sources: Sources) -> Collected:
        listed = await self._list(sources)
        plotted = self._plotted([account for _, account in listed.accounts])
        works: list[Coroutine[Any, Any, _Part | None]] = [
            self._ads(client, account, plot=account.currency == plotted)
            for client, account in listed.accounts
        ]
        works += [
            self._refusals.attempt(Subject.PAGE, page.id, page.name, self._page(client, page))
            for client, page in listed.pages
        ]
        works += [self._creator(source) for source in sources.creators]
        parts = await together(works)
        self._refusals.raise_what_may_still_come()
        readings = [part for part in parts if isinstance(part, AdsReading)]
        made = [part for part in parts if isinstance(part, _Creator)]
        found = Collected(
            [reading.account for reading in readings if reading.account is not None],
            [campaign for reading in readings for campaign in reading.campaigns],
            [part for part in parts if isinstance(part, PageFigures)],
            [each.profile for each in made if each.profile is not None],
            [each.videos for each in made if each.videos is not None],
            list(self._refusals),
            [refusal for reading in readings for refusal in reading.unplotted],
        )
        if not (found.accounts or found.campaigns or found.pages or found.profiles or found.videos):
            raise self._refusals.most_telling() or self._nothing(sources)
        return found

    async def _list(self, sources: Sources) -> _Listed:
        ads = [
            self._refusals.attempt(Subject.CONNECTION, it.id, it.name, it.client.ad_accounts())
            for it in sources.ads
        ]
        of_pages = [
            self._refusals.attempt(Subject.CONNECTION, it.id, it.name, it.client.pages())
            for it in sources.pages
        ]
        works: list[Coroutine[Any, Any, Sequence[AdAccount] | Sequence[Page] | None]] = [*ads, *of_pages]
        lists = await together(works)
        self._refusals.raise_what_may_still_come()
        accounts: dict[tuple[str, str], tuple[AdsClient, AdAccount]] = {}
        found_pages: dict[str, tuple[FacebookClient, Page]] = {}
        for source, listed in zip(sources.ads, lists[: len(ads)], strict=True):
            for each in listed or ():
                if isinstance(each, AdAccount):
                    accounts.setdefault((source.client.platform, each.id), (source.client, each))
        for reader, listed in zip(sources.pages, lists[len(ads) :], strict=True):
            for each in listed or ():
                if isinstance(each, Page):
                    found_pages.setdefault(each.id, (reader.client, each))
        chosen = {
            facebook.PLATFORM: self._config.accounts,
            tiktok_business.PLATFORM: self._config.advertisers,
        }
        selected: list[tuple[AdsClient, AdAccount]] = []
        complete = not len(self._refusals)  # a list that could not be read does not say what it lacks
        for platform in dict.fromkeys(source.client.platform for source in sources.ads):
            own = {id_: found for (of, id_), found in accounts.items() if of == platform}
            selected += self._selected(own, chosen.get(platform, ()), Subject.AD_ACCOUNT, complete)
        wanted_pages = self._config.pages if sources.pages else ()
        return _Listed(selected, self._selected(found_pages, wanted_pages, Subject.PAGE, complete))

    def _selected(
        self, found: Mapping[str, T], wanted: Sequence[str], subject: Subject, complete: bool
    ) -> list[T]:
        """Those that are wanted, in the order wanted; all when none are named."""
        if not wanted:
            return list(found.values())
        for each in wanted if complete else ():
            if each not in found:
                missing = _error("not among the connected ones", Consequence.GONE)
                self._refusals.add(Refusal(subject, each, each, missing))
        return [found[each] for each in wanted if each in found]

    def _plotted(self, accounts: Sequence[AdAccount]) -> str | None:
        """The currency a chart is drawn of: that of most ad accounts."""
        counted = Counter(account.currency for account in accounts)
        if not counted or not self._wanted.with_chart:
            return None
        currency, count = min(counted.items(), key=lambda item: (-item[1], item[0]))
        return currency if count <= MOST_PLOTTED else None

    async def _ads(self, client: AdsClient, account: AdAccount, *, plot: bool) -> AdsReading:
        request = AdsRequest(
            self._wanted.days(account.zone),
            compares=self._config.compare,
            with_campaigns=MetricType.CAMPAIGNS in self._wanted.metrics,
            with_chart=plot,
            with_table=self._config.wants_table,
        )
        reading = await advertising.read(client, account, request)
        for refusal in reading.refusals:
            self._refusals.add(refusal)
        return reading

    async def _page(self, client: FacebookClient, page: Page) -> PageFigures:
        wanted = self._wanted.days(page_insights.ZONE)
        asked = pages.asked_days(
            wanted,
            compares=self._config.compare,
            at_least=CONTEXT_DAYS if self._wanted.with_chart else 1,
        )
        daily = await client.page_insights(page, tuple(pages.PAGE_METRICS.values()), asked)
        figures = pages.page_figures(page, daily, wanted, compares=self._config.compare)
        if figures is None:
            raise _error(
                "no figures for these days; Facebook counts pages of 100 likes or more", Consequence.GONE
            )
        return figures

    async def _creator(self, source: Source[Organic]) -> _Creator:
        wanted, config = self._wanted, self._config
        profile = await self._refusals.attempt(
            Subject.CONNECTION, source.id, source.name, source.client.profile()
        )
        if profile is None:
            return _Creator(None, None)
        figures = None
        if MetricType.PROFILE in wanted.metrics:
            today = wanted.now.astimezone(wanted.zone).date()
            figures = creators.profile_figures(
                profile, self._memory, today, config.days, compares=config.compare
            )
            if figures is None:
                lacking = PlatformError(
                    "its totals were not granted: connect it again and allow user.info.stats",
                    Consequence.PERM,
                    platform=tiktok_business.PLATFORM,
                    code="user.info.stats",
                    connection_id=source.id,
                )
                self._refusals.add(Refusal(Subject.PROFILE, profile.open_id, profile.name, lacking))
        if MetricType.VIDEOS not in wanted.metrics:
            return _Creator(figures, None)
        days = wanted.days(wanted.zone)
        since = creators.beginning(days.before() if config.compare else days, wanted.zone)
        videos = await self._refusals.attempt(
            Subject.VIDEOS, profile.open_id, profile.name, _all_of(source.client.videos(since))
        )
        if videos is None:
            return _Creator(figures, None)
        return _Creator(
            figures,
            creators.video_list(
                profile.open_id, profile.name, videos, days, wanted.zone, compares=config.compare
            ),
        )

    def _nothing(self, sources: Sources) -> PlatformError:
        lacking = [name for there, name in ((sources.ads, "ad accounts"), (sources.pages, "pages")) if there]
        return _error(f"the connected account shows no {' and no '.join(lacking)}", Consequence.GONE)


async def _all_of(items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


def _error(detail: str, consequence: Consequence, platform: str = facebook.PLATFORM) -> PlatformError:
    return PlatformError(detail, consequence, platform=platform)
