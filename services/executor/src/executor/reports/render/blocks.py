"""The parts of a report as lines of words, for its forms with markup and without. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from executor.reports.model.content import (
    AccountFigures,
    CampaignFigures,
    Figures,
    PageFigures,
    Pair,
    ProfileFigures,
    Report,
    Total,
    VideoFigures,
    VideoList,
)
from executor.wording import numbers
from executor.wording.names import shown
from platforms.advertising.metrics import METRICS, Unit
from platforms.calls.periods import Days
from platforms.registry import title_of

PAGE_LABELS = {
    "views": "Views",
    "engagements": "Engagements",
    "new_follows": "New follows",
    "follows": "Follows",
}
PROFILE_LABELS = {"followers": "Followers", "likes": "Likes", "videos": "Videos"}
_ALWAYS = ("spend", "impressions", "reach", "clicks")
_WHERE_THERE_ARE_ANY = ("video_views", "conversions", "ctr", "cpc")


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of a block."""

    label: str
    value: str
    change: str


@dataclass(frozen=True, slots=True)
class Block:
    """A name with its figures; `aside` stands beside the name."""

    name: str
    aside: str
    lines: Sequence[Line]

    @property
    def aligned(self) -> str:
        """The lines as columns for a fixed-width face."""
        label = max((len(line.label) for line in self.lines), default=0)
        value = max((len(line.value) for line in self.lines), default=0)
        return "\n".join(
            f"{line.label:<{label}}  {line.value:>{value}}  {line.change}".rstrip() for line in self.lines
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One of a ranking: a name, and its figures on a line of their own."""

    rank: int
    name: str
    aside: str
    figures: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """A creator's videos: how many there are, and the first of them."""

    name: str
    aside: str
    entries: Sequence[Entry]
    more: str


def total(total: Total) -> str:
    """`1,783.49 EUR  ▲ 12 %`."""
    spent = numbers.money(total.current, total.currency)
    return f"{spent}  {numbers.arrow(total.current, total.previous)}".rstrip()


def account(account: AccountFigures, report: Report) -> Block:
    """What an ad account delivered."""
    platform = title_of(account.platform) if len(report.platforms) > 1 else ""
    return Block(
        shown(account.name),
        _aside(platform, account.currency, _other_than(report.days, account.days)),
        list(_lines(account.current, account.previous, account.currency)),
    )


def campaign(rank: int, campaign: CampaignFigures, *, names_account: bool) -> Entry:
    """What a campaign cost, and the most telling of what it brought."""
    now, then = campaign.current, campaign.previous
    spent = numbers.money(now.spend, campaign.currency)
    change = "" if then is None else numbers.arrow(now.spend, then.spend)
    conversions, clicks = now.get("conversions"), now.get("clicks")
    brought = _counted(conversions, "conversion") or _counted(clicks, "click")
    account = shown(campaign.account_name) if names_account else ""
    return Entry(rank, shown(campaign.name), account, _aside(f"{spent}  {change}".rstrip(), brought))


def page(page: PageFigures, headline: Days) -> Block:
    """What a page reached."""
    lines = [_pair(PAGE_LABELS[metric], pair) for metric, pair in page.values.items()]
    return Block(shown(page.name), _other_than(headline, page.days), lines)


def profile(profile: ProfileFigures) -> Block:
    """A creator's totals; which days they are of stands beside the name."""
    since = "" if profile.compared_with is None else f"since {numbers.day_and_month(profile.compared_with)}"
    lines = [
        Line(
            PROFILE_LABELS[name],
            numbers.whole(pair.current),
            numbers.difference(pair.current, pair.previous),
        )
        for name, pair in profile.values.items()
    ]
    return Block(shown(profile.name), _aside(numbers.day_and_month(profile.day), since), lines)


def ranking(videos: VideoList, most: int) -> Ranking:
    """The videos of a creator, the most watched first."""
    posted = videos.posted
    count = _counted(Decimal(posted.current), "new video") or "no new videos"
    before = "" if posted.previous is None else f"{numbers.whole(posted.previous)} before"
    return Ranking(
        shown(videos.profile_name),
        _aside(count, before),
        [_video(rank, video) for rank, video in enumerate(videos.videos[:most], 1)],
        more(len(videos.videos) - most, "video"),
    )


def more(count: int, noun: str) -> str:
    """`… and 3 more pages`; empty for none."""
    return f"… and {count} more {noun}{'' if count == 1 else 's'}" if count > 0 else ""


def _video(rank: int, video: VideoFigures) -> Entry:
    title = shown(video.title) if video.title.strip() else "(no title)"
    counts = (video.views, "view"), (video.likes, "like"), (video.comments, "comment")
    told = _aside(*(_counted(Decimal(count), noun) for count, noun in counts)) or "not watched yet"
    return Entry(rank, title, numbers.day_and_month(video.posted), told)


def _lines(now: Figures, then: Figures | None, currency: str) -> Iterator[Line]:
    for name in (*_ALWAYS, *_WHERE_THERE_ARE_ANY):
        current, previous = now.get(name), None if then is None else then.get(name)
        if current is None or (name in _WHERE_THERE_ARE_ANY and not current and not previous):
            continue
        yield Line(METRICS[name].title, _written(name, current, currency), numbers.arrow(current, previous))


def _written(name: str, value: Decimal, currency: str) -> str:
    match METRICS[name].unit:
        case Unit.MONEY:
            return numbers.amount(value, currency)
        case Unit.PERCENT:
            return numbers.percent(value)
        case _:
            return numbers.whole(round(value))


def _pair(label: str, pair: Pair) -> Line:
    return Line(label, numbers.whole(pair.current), numbers.arrow(pair.current, pair.previous))


def _counted(count: Decimal | None, noun: str) -> str:
    """`34 conversions`; empty for none."""
    if not count:
        return ""
    return f"{numbers.whole(round(count))} {noun}{'' if round(count) == 1 else 's'}"


def _other_than(headline: Days, days: Days) -> str:
    """A period that is not the report's."""
    return "" if days == headline else numbers.stretch(days)


def _aside(*parts: str) -> str:
    return " · ".join(filter(None, parts))
