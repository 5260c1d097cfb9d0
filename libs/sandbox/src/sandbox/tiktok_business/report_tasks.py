"""Asynchronous reports: a task that waits, works for a while and is then downloaded."""

import csv
import io
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Answer
from sandbox.settings import Settings
from sandbox.tiktok_business import report_metrics
from sandbox.tiktok_business.answers import Answers
from sandbox.tiktok_business.errors import BusinessError, unsupported
from sandbox.tiktok_business.report_query import Query
from sandbox.tiktok_business.reports import Reports
from sandbox.tiktok_business.request import BusinessRequest

_KEPT = 2_000
_FIRST_ID = 7_310_000_000_000_000_000
_FORMATS = ("CSV_STRING", "CSV_DOWNLOAD", "XLSX_DOWNLOAD")
_CSV = "text/csv; charset=utf-8"


@dataclass(slots=True)
class Task:
    """One report task; times are Unix seconds by the sandbox's clock."""

    id: str
    app_id: str
    query: Query
    created_at: float
    seconds: float
    outcome: str
    translates_titles: bool
    """Columns have titles for people instead of the API's names, unless that is switched off."""

    def status(self, now: float) -> str:
        """A task that fails does so two thirds of the way."""
        share = (now - self.created_at) / self.seconds if self.seconds else 1.0
        if share < 0.25:
            return "QUEUING"
        if self.outcome != "SUCCESS" and share >= 0.66:
            return self.outcome
        return "PROCESSING" if share < 1 else "SUCCESS"


class ReportTasks:
    """The tasks of the last while."""

    def __init__(self, settings: Settings, clock: Clock, reports: Reports, answers: Answers) -> None:
        self._clock = clock
        self._reports = reports
        self._answers = answers
        self._seconds = settings.tiktok_report_seconds
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._started = 0

    def reset(self) -> None:
        """Forget every task."""
        self._tasks.clear()

    def create(self, request: BusinessRequest) -> dict[str, Any]:
        """POST /report/task/create/."""
        query = self._reports.parse(request)
        output = request.choice("output_format", "CSV_STRING", _FORMATS)
        if output != "CSV_STRING":
            raise unsupported(f"output_format {output}")
        self._started += 1
        task_id = str(_FIRST_ID + self._started * 1_021)
        outcomes = {"report_failed": "FAILED", "report_skipped": "CANCELED"}
        self._tasks[task_id] = Task(
            id=task_id,
            app_id=request.identity.app_id,
            query=query,
            created_at=self._clock.now(),
            seconds=self._seconds,
            translates_titles=request.flag("enable_report_title_translation", default=True),
            outcome=outcomes.get(request.directive, "SUCCESS"),
        )
        if len(self._tasks) > _KEPT:
            self._tasks.popitem(last=False)
        return {"task_id": task_id}

    def check(self, request: BusinessRequest) -> dict[str, Any]:
        """GET /report/task/check/."""
        status = self._find(request).status(self._clock.now())
        return {"status": status, "message": "The report could not be made." if status == "FAILED" else ""}

    def download(self, request: BusinessRequest) -> Answer:
        """GET /report/task/download/: the file itself."""
        task = self._find(request)
        status = task.status(self._clock.now())
        if status in ("QUEUING", "PROCESSING"):
            raise BusinessError(40201, f"The task is not ready: {status}.")
        if status != "SUCCESS":
            raise BusinessError(40200, f"The task is {status}.")
        return self._answers.file(self._csv(task), _CSV)

    def _find(self, request: BusinessRequest) -> Task:
        task_id, advertiser_id = request.need("task_id", "advertiser_id")
        task = self._tasks.get(task_id)
        if task is None or task.app_id != request.identity.app_id:
            raise BusinessError(40200, f"Task {task_id} does not exist.")
        if advertiser_id not in {advertiser.id for advertiser in task.query.advertisers}:
            raise BusinessError(40302, f"Task {task_id} does not belong to advertiser {advertiser_id}.")
        return task

    def _csv(self, task: Task) -> bytes:
        """Dimensions and metrics as columns."""
        query = task.query
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        names = [*query.dimensions, *query.metrics]
        writer.writerow(map(report_metrics.title_of, names) if task.translates_titles else names)
        for row in self._reports.rows(query):
            cells = [report_metrics.METRICS[name](row) for name in query.metrics]
            writer.writerow([*(row.dimensions[name] for name in query.dimensions), *cells])
        return buffer.getvalue().encode()
