"""Reports to render."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from common.automation_config.scheduled_report import ReportPeriod
from executor.reports.model.content import (
    AccountFigures,
    CampaignFigures,
    Figures,
    Omission,
    PageFigures,
    Pair,
    ProfileFigures,
    Report,
    Subject,
    VideoFigures,
    VideoList,
)
from platforms.calls.periods import Days, single_days

WEEK = Days(date(2026, 11, 14), date(2026, 11, 20))
YESTERDAY = Days(date(2026, 11, 20), date(2026, 11, 20))


def figures(
    spend: str | Decimal = "0", impressions: int = 0, clicks: int = 0, reach: int = 0, **more: int
) -> Figures:
    """What ads delivered."""
    counts = {"impressions": impressions, "clicks": clicks, "reach": reach, **more}
    return Figures({"spend": Decimal(spend), **{name: Decimal(count) for name, count in counts.items()}})


def daily(days: Days, figures: Figures) -> dict[date, Figures]:
    """Every day a share of the figures, growing towards the end."""
    each = [day.since for day in single_days([days])]
    whole = sum(range(1, len(each) + 1))
    return {
        day: Figures({name: value * (number + 1) / whole for name, value in figures.metrics.items()})
        for number, day in enumerate(each)
    }


def account(
    name: str,
    spend: str,
    previous: str = "0",
    *,
    currency: str = "EUR",
    zone: str = "Europe/Berlin",
    days: Days = WEEK,
    volume: int = 182_730,
    platform: str = "facebook",
    **more: int,
) -> AccountFigures:
    """An ad account that spent `spend`; the rest of its figures follows `volume`."""
    delivered = Decimal(spend) > 0
    now = figures(spend, volume, volume // 58, volume * 2 // 3, **more) if delivered else figures()
    then = figures(previous, volume * 9 // 10, volume // 60, volume // 2)
    then = then if Decimal(previous) else figures()
    return AccountFigures(
        f"act_{sum(name.encode())}",
        name,
        platform,
        currency,
        zone,
        days,
        now,
        then,
        {**daily(days.before(), then), **daily(days, now)},
    )


def campaign(
    name: str,
    spend: str,
    previous: str = "0",
    *,
    account: str = "Brightpath Courses",
    currency: str = "EUR",
    days: Days = WEEK,
    **more: int,
) -> CampaignFigures:
    """A campaign of an ad account."""
    now = figures(spend, int(Decimal(spend) * 100), int(Decimal(spend) * 2), **more)
    return CampaignFigures(
        f"2385{sum(name.encode())}",
        name,
        f"act_{sum(account.encode())}",
        account,
        "facebook",
        currency,
        "Europe/Berlin",
        days,
        now,
        figures(previous, 1_000, 10),
        daily(days, now),
    )


def page(name: str, *, days: Days = WEEK, views: int = 37_921) -> PageFigures:
    """A page with every metric."""
    return PageFigures(
        str(sum(name.encode())),
        name,
        days,
        {
            "views": Pair(views, views * 7 // 8),
            "engagements": Pair(1_589, 1_280),
            "new_follows": Pair(49, 55),
            "follows": Pair(12_969, 12_920),
        },
        {
            day.since: {"views": views // days.count, "engagements": 227, "follows": 12_900 + number}
            for number, day in enumerate(single_days([days.before(), days]))
        },
    )


def profile(name: str = "Brightpath", *, before: date | None = date(2026, 11, 14)) -> ProfileFigures:
    """A creator's totals."""
    totals = {"followers": (48_210, 47_006), "likes": (1_204_511, 1_190_002), "videos": (312, 312)}
    return ProfileFigures(
        f"creator-{name}",
        name,
        date(2026, 11, 21),
        {key: Pair(now, then if before else None) for key, (now, then) in totals.items()},
        before,
    )


def videos(name: str = "Brightpath", *titles: str, days: Days = WEEK) -> VideoList:
    """The videos of a creator, each less watched than the one before."""
    return VideoList(
        f"creator-{name}",
        name,
        days,
        Pair(len(titles), 2),
        [
            VideoFigures(
                f"72{number}",
                title,
                f"https://www.tiktok.com/@brightpath/video/72{number}",
                days.since,
                12_345 // (number + 1),
                321 - number,
                number,
                number * 2,
            )
            for number, title in enumerate(titles)
        ],
    )


def report(
    accounts: Sequence[AccountFigures] = (),
    pages: Sequence[PageFigures] = (),
    omissions: Sequence[Omission] = (),
    *,
    name: str = "Monday numbers",
    period: ReportPeriod = ReportPeriod.WEEKLY,
    **more: Any,
) -> Report:
    """A report named as an automation would be."""
    return Report(name, period, accounts, pages, omissions, **more)


WEEKLY = report(
    [
        account("Brightpath Courses", "1783.49", "1592.40"),
        account("Brightpath Retargeting", "412.06", "455.10", volume=31_020),
        account(
            "Harbor Outdoor", "2346.57", "2087.09", currency="USD", zone="America/New_York", volume=267_469
        ),
        account(
            "Mirai Fitness",
            "184230",
            "0",
            currency="JPY",
            zone="Asia/Tokyo",
            days=Days(date(2026, 11, 15), date(2026, 11, 21)),
        ),
        account("Kitchen & Co", "0"),
    ],
    [page("Brightpath Courses"), page("Studio Lumen", days=Days(date(2026, 11, 13), date(2026, 11, 19)))],
    [Omission(Subject.AD_ACCOUNT, "act_9", "Old shop", "a permission is missing (error 200)", "200")],
)
DAILY = report(
    [account("Brightpath Courses", "254.78", "254.78", days=YESTERDAY, volume=27_201)],
    name="Every morning",
    period=ReportPeriod.DAILY,
)
PAGES_ONLY = report(
    pages=[
        PageFigures("1", "Studio Lumen", WEEK, {"views": Pair(76_661, None), "follows": Pair(19_985, 19_985)})
    ],
    name="Pages",
    period=ReportPeriod.WEEKLY,
)
EVERYTHING = report(
    [
        account("Brightpath Courses", "1783.49", "1592.40", conversions=412),
        account(
            "Brightpath on TikTok",
            "412.06",
            "455.10",
            platform="tiktok",
            volume=31_020,
            video_views=28_114,
        ),
    ],
    [page("Brightpath Courses")],
    name="The whole picture",
    campaigns=[
        campaign("Prospecting – spring", "912.40", "700.00", conversions=212),
        campaign("Retargeting", "640.09", "720.10", conversions=1),
        campaign("Brand", "231.00"),
        campaign("Paused", "0", "120.00"),
        campaign("New students", "412.06", "455.10", account="Brightpath on TikTok"),
        *(campaign(f"Test {number}", f"{number}.00") for number in range(1, 4)),
    ],
    profiles=[profile(), profile("Brightpath Studio", before=None)],
    videos=[videos("Brightpath", "How to pass the exam", "Behind the scenes", " "), videos("Studio")],
    asks_campaigns=True,
)
UNCOMPARED = Report(
    "Monthly costs",
    ReportPeriod.MONTHLY,
    [replace(account("Brightpath Courses", "1783.49"), previous=None)],
    campaigns=[replace(campaign("Brand", "231.00"), previous=None)],
    compares=False,
    tells_accounts=False,
    asks_campaigns=True,
)
HOSTILE = report(
    [
        account("<script>alert('x')</script> & \"co\"", "10.00", "5.00"),
        account("N" * 300, "10.00", "5.00", currency="<b>"),
        account("متجر النور\u202e\n</pre><b>", "10.00", "5.00"),
        account("<i>idle</i>", "0"),
    ],
    [page("</pre><a href='javascript:0'>page</a>")],
    [Omission(Subject.PAGE, "1", "<u>", "a reason with <tags> & more", "7")],
    name="<h1>{{ 7 * 7 }}</h1>",
    campaigns=[campaign("<b>=cmd()</b>", "1.00"), campaign("</pre>", "1.00", account="</b>")],
    profiles=[profile("<a href='tg://user?id=1'>me</a>")],
    videos=[videos("<i>", "</i><script>alert(2)</script>")],
    asks_campaigns=True,
)
LARGE = report(
    [
        account(
            f"{'W' * 60} {number}",
            f"{9_876_543 - number}.21",
            "1234567.89",
            currency=("EUR", "USD", "GBP")[number % 3],
        )
        for number in range(40)
    ]
    + [account(f"{'I' * 60} {number}", "0") for number in range(40)],
    [page(f"{'P' * 60} {number}", views=123_456_789, days=YESTERDAY) for number in range(40)],
    [Omission(Subject.AD_ACCOUNT, "act_1", "O" * 80, "R" * 300, "100/33") for _ in range(40)],
    name="L" * 200,
    campaigns=[
        campaign(
            f"{'C' * 60} {number}", f"{9_876_543 - number}.21", "1234567.89", account=f"{'A' * 60}{number}"
        )
        for number in range(60)
    ],
    profiles=[profile(f"{'F' * 60} {number}") for number in range(20)],
    videos=[videos(f"{'V' * 60} {number}", *("T" * 90 for _ in range(30))) for number in range(20)],
    asks_campaigns=True,
    top_campaigns=20,
)
