"""Whatever the platforms and their users come up with, a report is one that Telegram takes."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

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
from executor.reports.model.record import record
from executor.reports.render.blocks import PAGE_LABELS, PROFILE_LABELS
from executor.reports.render.table import COLUMNS, table
from executor.reports.render.text import LONGEST, ReportRenderer
from tests.unit.executor.reports.samples import WEEK, report
from tests.unit.executor.reports.telegram_markup import shown

T = TypeVar("T")
_RENDERER = ReportRenderer()
_METRICS = ("spend", "impressions", "clicks", "reach", "conversions", "video_views")


class _Maker:
    """Makes reports of some names; drawing every figure by itself would take Hypothesis minutes."""

    def __init__(self, names: list[str], seed: int) -> None:
        self._names = names
        self._random = random.Random(seed)

    def report(self) -> Report:
        """As large as it comes."""
        return report(
            self._some(self._account, 1, 12),
            self._some(self._page, 0, 8),
            self._some(self._omission, 0, 6),
            name=self._name(),
            campaigns=self._some(self._campaign, 0, 30),
            profiles=self._some(self._profile, 0, 8),
            videos=self._some(self._video_list, 0, 8),
            compares=self._flip(),
            tells_accounts=self._flip(),
            asks_campaigns=self._flip(),
            top_campaigns=self._random.randint(1, 20),
        )

    def _some(self, make: Callable[[], T], fewest: int, most: int) -> list[T]:
        return [make() for _ in range(self._random.randint(fewest, most))]

    def _name(self) -> str:
        return self._random.choice(self._names)

    def _flip(self) -> bool:
        return self._random.random() < 0.5

    def _count(self) -> int:
        return self._random.choice((0, 1, self._random.randrange(10**4), self._random.randrange(10**15)))

    def _pair(self) -> Pair:
        return Pair(self._count(), self._count() if self._flip() else None)

    def _figures(self) -> Figures:
        known = self._random.sample(_METRICS, self._random.randint(0, len(_METRICS)))
        return Figures({name: Decimal(self._count()) / self._random.choice((1, 100)) for name in known})

    def _pairs(self, names: Iterable[str]) -> dict[str, Pair]:
        known = sorted(names)
        return {
            name: self._pair() for name in self._random.sample(known, self._random.randint(1, len(known)))
        }

    def _account(self) -> AccountFigures:
        return AccountFigures(
            self._name(),
            self._name(),
            self._random.choice(("facebook", "tiktok")),
            self._random.choice(("EUR", "JPY", "KWD", "")),
            "Europe/Berlin",
            WEEK,
            self._figures(),
            self._figures() if self._flip() else None,
            {WEEK.since: self._figures()},
        )

    def _campaign(self) -> CampaignFigures:
        return CampaignFigures(
            self._name(),
            self._name(),
            self._name(),
            self._name(),
            self._random.choice(("facebook", "tiktok")),
            self._random.choice(("EUR", "JPY")),
            "Europe/Berlin",
            WEEK,
            self._figures(),
            self._figures() if self._flip() else None,
            {WEEK.until: self._figures()},
        )

    def _page(self) -> PageFigures:
        return PageFigures(self._name(), self._name(), WEEK, self._pairs(PAGE_LABELS))

    def _profile(self) -> ProfileFigures:
        before = date(2026, 11, 14) if self._flip() else None
        return ProfileFigures(self._name(), self._name(), WEEK.until, self._pairs(PROFILE_LABELS), before)

    def _video(self) -> VideoFigures:
        counts = self._count(), self._count(), self._count(), self._count()
        return VideoFigures(self._name(), self._name(), self._name(), WEEK.since, *counts)

    def _video_list(self) -> VideoList:
        return VideoList(self._name(), self._name(), WEEK, self._pair(), self._some(self._video, 0, 8))

    def _omission(self) -> Omission:
        return Omission(self._random.choice(list(Subject)), self._name(), self._name(), self._name(), None)


_reports = st.builds(
    lambda names, seed: _Maker(names, seed).report(),
    st.lists(st.text(max_size=120), min_size=1, max_size=8),
    st.integers(0, 2**32),
)


@settings(max_examples=60, deadline=None)
@given(_reports)
def test_the_markup_is_valid_and_equals_the_text(made: Report) -> None:
    def words(text: str) -> list[str]:
        return "".join(text.split()).replace(":", "").split()

    assert words(shown(_RENDERER.html(made))) == words(_RENDERER.text(made))


@settings(max_examples=60, deadline=None)
@given(_reports)
def test_it_fits_one_message(made: Report) -> None:
    for said in (shown(_RENDERER.html(made)), _RENDERER.text(made)):
        assert len(said.encode("utf-16-le")) // 2 <= LONGEST


@settings(max_examples=60, deadline=None)
@given(_reports)
def test_its_record_survives_json(made: Report) -> None:
    kept = json.loads(json.dumps(record(made)))
    assert len(kept["ad_accounts"]) == (len(made.accounts) if made.tells_accounts else 0)
    assert sum(Decimal(total["spend"]) for total in kept["totals"]) == sum(
        account.current.spend for account in made.accounts
    )


@settings(max_examples=60, deadline=None)
@given(_reports)
def test_its_table_has_the_same_columns_in_every_row_and_no_formula(made: Report) -> None:
    made_table = table(made)
    rows = list(csv.reader(io.StringIO(made_table.content.decode("utf-8-sig"), newline=""), strict=True))
    assert rows[0] == list(COLUMNS)
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert len(rows) - 1 == made_table.rows == made_table.all_rows
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
