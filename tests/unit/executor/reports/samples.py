"""Reports to render."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from common.automation_config.scheduled_report import ReportPeriod
from executor.platforms.figures import AdFigures, Days
from executor.reports.content import AccountFigures, Omission, PageFigures, Pair, Report, Subject

WEEK = Days(date(2026, 11, 14), date(2026, 11, 20))
YESTERDAY = Days(date(2026, 11, 20), date(2026, 11, 20))


def account(
    name: str,
    spend: str,
    previous: str = "0",
    *,
    currency: str = "EUR",
    zone: str = "Europe/Berlin",
    days: Days = WEEK,
    volume: int = 182_730,
) -> AccountFigures:
    """An ad account that spent `spend`; the rest of its figures follows `volume`."""
    delivered = Decimal(spend) > 0
    return AccountFigures(
        f"act_{sum(name.encode())}",
        name,
        currency,
        zone,
        days,
        AdFigures(Decimal(spend), volume, volume // 58, volume * 2 // 3) if delivered else AdFigures(),
        AdFigures(Decimal(previous), volume * 9 // 10, volume // 60, volume // 2)
        if Decimal(previous)
        else AdFigures(),
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
    )


def report(
    accounts: Sequence[AccountFigures] = (),
    pages: Sequence[PageFigures] = (),
    omissions: Sequence[Omission] = (),
    *,
    name: str = "Monday numbers",
    period: ReportPeriod = ReportPeriod.WEEKLY,
) -> Report:
    """A report named as an automation would be."""
    return Report(name, period, accounts, pages, omissions)


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
)
