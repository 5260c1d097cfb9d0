"""Asynchronous insights: a report run that starts, works for a while and is then read."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sandbox.clock import Clock
from sandbox.facebook.accounts import require_ads
from sandbox.facebook.errors import GraphError
from sandbox.facebook.insight_fields import Row
from sandbox.facebook.insight_query import AdNode, Query, account_of
from sandbox.facebook.insights import Insights
from sandbox.facebook.request import GraphRequest

_KEPT = 2_000
_FIRST_ID = 6_023_920_149_050
_LIFETIME = 30 * 86_400


@dataclass(slots=True)
class Report:
    """One report run; times are Unix seconds by the sandbox's clock."""

    id: str
    query: Query
    created_at: float
    seconds: float
    outcome: str
    rows: list[Row] | None = None

    def progress(self, now: float) -> tuple[str, int]:
        """Status and percent. A failing run stops two thirds of the way."""
        if now - self.created_at > _LIFETIME:
            return "Job Skipped", 0
        share = (now - self.created_at) / self.seconds if self.seconds else 1.0
        if share < 0.1:
            return "Job Not Started", 0
        if share < 0.25:
            return "Job Started", 0
        if self.outcome != "completed" and share >= 0.66:
            return ("Job Failed", 66) if self.outcome == "failed" else ("Job Skipped", 0)
        if share < 1:
            return "Job Running", int(share * 100)
        return "Job Completed", 100


class Reports:
    """The report runs of the last while."""

    def __init__(self, insights: Insights, clock: Clock, seconds: float) -> None:
        self._insights = insights
        self._clock = clock
        self._seconds = seconds
        self._runs: OrderedDict[str, Report] = OrderedDict()
        self._started = 0

    def reset(self) -> None:
        """Forget every run."""
        self._runs.clear()

    def start(self, request: GraphRequest, node: AdNode, outcome: str = "completed") -> dict[str, Any]:
        """POST /{ad object}/insights. ``outcome`` is completed, failed or skipped."""
        require_ads(request)
        query = self._insights.parse(request, node)
        self._started += 1
        report_id = str(_FIRST_ID + self._started * 13)
        self._runs[report_id] = Report(report_id, query, self._clock.now(), self._seconds, outcome)
        if len(self._runs) > _KEPT:
            self._runs.popitem(last=False)
        return {"report_run_id": report_id}

    def find(self, node_id: str) -> Report | None:
        """The run of that id, or None."""
        return self._runs.get(node_id)

    def status(self, report: Report) -> dict[str, Any]:
        """GET /{report run}."""
        status, percent = report.progress(self._clock.now())
        shown: dict[str, Any] = {
            "id": report.id,
            "account_id": account_of(report.query.node).number,
            "time_ref": int(report.created_at),
            "async_status": status,
            "async_percent_completion": percent,
            "date_start": report.query.ranges[0].since.isoformat(),
            "date_stop": report.query.ranges[-1].until.isoformat(),
        }
        if status == "Job Completed":
            shown["time_completed"] = int(report.created_at + report.seconds)
        elif status == "Job Failed":
            shown["error_code"] = -2
            shown["error_subcode"] = 2490547
            shown["error_message"] = "The report could not be generated"
            shown["error_user_title"] = "Report failed"
            shown["error_user_msg"] = "The report could not be generated. Try again later."
        elif status != "Job Skipped":
            shown["is_running"] = True
        return shown

    def read(self, request: GraphRequest, report: Report) -> dict[str, Any]:
        """GET /{report run}/insights; raises code 2601 until it is complete."""
        status, _ = report.progress(self._clock.now())
        if status != "Job Completed":
            raise GraphError(2601, f"(#2601) Loading async report failed: the report is in state '{status}'")
        if report.rows is None:
            report.rows = self._insights.rows(report.query)
        return self._insights.page(request, report.rows)
