"""The states of a run: every change there is, and how a run that has ended counts for its automation."""

from __future__ import annotations

from typing import NamedTuple

from common.models import RunStatus


class Transition(NamedTuple):
    """One change of `automation_run.status`. A test holds every statement of every service to this table.

    `before` is None for a new run, `by` the module that makes the change, `event` what announces it (None:
    nothing does), and `counts` whether the run then counts in `run_count`, dry runs excepted.
    """

    before: RunStatus | None
    after: RunStatus
    by: str
    event: str | None
    counts: bool = False


_WAITING, _QUEUED, _RUNNING, _RETRYING = (
    RunStatus.WAITING,
    RunStatus.QUEUED,
    RunStatus.RUNNING,
    RunStatus.RETRYING,
)
TRANSITIONS = (
    Transition(None, _QUEUED, "scheduler.dispatch", "AutomationDue"),
    Transition(None, _WAITING, "scheduler.dispatch", None),
    Transition(None, _QUEUED, "api.manual_runs.queueing", "AutomationDue"),
    Transition(None, _WAITING, "api.manual_runs.queueing", None),
    Transition(None, _WAITING, "api.backfills.service", None),
    Transition(_WAITING, _QUEUED, "scheduler.admission", "AutomationDue"),
    Transition(_RETRYING, _QUEUED, "scheduler.admission", "AutomationDue"),
    Transition(_WAITING, RunStatus.SKIPPED, "scheduler.admission", "RunSkipped"),
    Transition(_QUEUED, RunStatus.SKIPPED, "scheduler.admission", "RunSkipped"),
    Transition(_QUEUED, _RUNNING, "executor.runs.claims", "RunStarted"),
    Transition(_RUNNING, RunStatus.COMPLETED, "executor.runs.completions", "RunCompleted", counts=True),
    Transition(_RUNNING, RunStatus.FAILED, "executor.runs.completions", "RunFailed", counts=True),
    Transition(_RUNNING, RunStatus.CANCELLED, "executor.runs.completions", "RunCancelled", counts=True),
    Transition(_RUNNING, _RETRYING, "executor.runs.completions", "RunFailed"),
    Transition(_RUNNING, _QUEUED, "scheduler.rescue", "AutomationDue"),
    Transition(_RUNNING, RunStatus.FAILED, "scheduler.rescue", "RunFailed", counts=True),
    Transition(_RUNNING, RunStatus.CANCELLED, "scheduler.rescue", "RunCancelled", counts=True),
    *(
        Transition(before, RunStatus.CANCELLED, by, "RunCancelled")
        for by in ("scheduler.dispatch", "api.runs.service", "api.backfills.service")
        for before in (_WAITING, _QUEUED, _RETRYING)
    ),
)

# Parameters: $1 automation ids and $2 the states their runs ended with, dry runs left out. Locked in one
# order first, because two services may end runs of the same automations at the same time.
COUNT = """
WITH changes AS (
    SELECT id, count(*) AS runs, count(*) FILTER (WHERE status = 'failed') AS errors,
           count(*) FILTER (WHERE status = 'completed') AS successes
      FROM unnest($1::uuid[], $2::text[]) AS c (id, status) GROUP BY id
),
locked AS (
    SELECT a.id FROM automation a JOIN changes USING (id) ORDER BY a.id FOR NO KEY UPDATE OF a
)
UPDATE automation a
   SET run_count = a.run_count + c.runs, error_count = a.error_count + c.errors,
       failure_streak = CASE WHEN c.successes > 0 THEN 0 ELSE a.failure_streak + c.errors END
  FROM changes c JOIN locked USING (id) WHERE a.id = c.id
"""
