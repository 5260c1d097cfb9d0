"""Whatever Facebook and its users come up with, a report is one that Telegram takes."""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from executor.platforms.figures import AdFigures
from executor.reports.content import AccountFigures, Omission, PageFigures, Pair, Report, Subject
from executor.reports.record import record
from executor.reports.rendering import PAGE_LABELS, ReportRenderer
from tests.unit.executor.reports.samples import WEEK, report
from tests.unit.executor.reports.telegram_markup import shown

_RENDERER = ReportRenderer()
_counts = st.integers(0, 10**15)
_names = st.text(max_size=120)
_figures = st.builds(
    AdFigures, st.decimals(0, 10**15, places=2), impressions=_counts, clicks=_counts, reach=_counts
)
_accounts = st.builds(
    AccountFigures,
    id=_names,
    name=_names,
    currency=st.sampled_from(["EUR", "JPY", "KWD", ""]),
    zone_name=st.sampled_from(["Europe/Berlin", "Asia/Tokyo"]),
    days=st.just(WEEK),
    current=_figures,
    previous=_figures,
)
_pages = st.builds(
    PageFigures,
    id=_names,
    name=_names,
    days=st.just(WEEK),
    values=st.dictionaries(
        st.sampled_from(sorted(PAGE_LABELS)), st.builds(Pair, _counts, st.none() | _counts), min_size=1
    ),
)
_omissions = st.builds(Omission, st.sampled_from(Subject), _names, _names, _names, st.none() | _names)
_reports = st.builds(
    report,
    st.lists(_accounts, min_size=1, max_size=12),
    st.lists(_pages, max_size=8),
    st.lists(_omissions, max_size=6),
    name=_names,
)


@settings(max_examples=60, deadline=None)
@given(_reports)
def test_it_is_valid_markup_that_says_what_the_text_says(made: Report) -> None:
    def words(text: str) -> list[str]:
        return "".join(text.split()).replace(":", "").split()

    assert words(shown(_RENDERER.html(made))) == words(_RENDERER.text(made))


@settings(max_examples=60, deadline=None)
@given(_reports)
def test_its_record_survives_json(made: Report) -> None:
    kept = json.loads(json.dumps(record(made)))
    assert len(kept["ad_accounts"]) == len(made.accounts)
    assert sum(Decimal(total["spend"]) for total in kept["totals"]) == sum(
        account.current.spend for account in made.accounts
    )
