"""One attempt of a run: its handler, its time limit, and what became of it."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from common.database import ConnectionPool
from common.errors import CarillonError, RemoteError
from common.models import RunStatus
from common.retry import next_attempt
from common.telemetry import hide_secrets
from executor.claims import ClaimedRun
from executor.completions import CANCELLED, HANDED_BACK, Completion
from executor.handlers.base import Handler, Outcome, RunContext, RunLog
from executor.platforms.usage import UsageLimiter

log = structlog.get_logger()


class RunTimeout(CarillonError):
    """The handler took longer than a run may."""

    permanent = False


class InvalidConfiguration(CarillonError):
    """The automation's configuration is not what its handler takes."""


class UnknownType(CarillonError):
    """No handler of this executor does this kind of automation."""


class Attempts:
    """Makes attempts with the handlers installed here."""

    def __init__(
        self,
        handlers: Mapping[str, Handler[Any]],
        http: httpx.AsyncClient,
        pool: ConnectionPool,
        *,
        run_timeout: float,
        limiter: UsageLimiter | None = None,
    ) -> None:
        self._handlers = handlers
        self._http = http
        self._pool = pool
        self._limiter = limiter or UsageLimiter()
        self._run_timeout = run_timeout

    async def make(
        self, run: ClaimedRun, run_log: RunLog, traceparent: str, *, why_stopped: Callable[[], str | None]
    ) -> Completion:
        """Run the handler once and say what became of it. Never raises.

        `why_stopped` is asked when the attempt is cancelled; `traceparent` is what follows continues from.
        """
        seconds = run.policy.timeout_seconds or self._run_timeout
        try:
            async with asyncio.timeout(seconds) as limit:
                outcome = await self._handle(run, run_log)
            return completed(run, run_log, outcome, traceparent)
        except asyncio.CancelledError:
            return interrupted(run, run_log, why_stopped() or HANDED_BACK, traceparent)
        except Exception as caught:  # whatever a handler raises is that run's failure, not the executor's
            error = caught
            if isinstance(caught, TimeoutError) and limit.expired():
                error = RunTimeout(f"the run took longer than {seconds:g} s")
        return failed(run, run_log, error, traceparent, random=random.random())  # noqa: S311

    async def _handle(self, run: ClaimedRun, run_log: RunLog) -> Outcome:
        handler = self._handlers.get(run.type)
        if handler is None:
            raise UnknownType(f"no handler for automations of type {run.type!r} is installed here")
        try:
            config: BaseModel = handler.config.model_validate(run.config)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)
            )
            raise InvalidConfiguration(f"automation_config: {faults}") from error
        context = RunContext(
            run_id=run.id,
            automation_id=run.automation_id,
            automation_name=run.automation_name,
            tenant_id=run.tenant_id,
            slot=run.slot,
            attempt=run.attempt,
            timezone=run.timezone,
            platforms=run.platforms,
            accounts=run.accounts,
            http=self._http,
            log=run_log,
            limiter=self._limiter,
            pool=self._pool,
            state=run.state,
            last_attempt=run.dry_run or run.attempt >= run.max_attempts,
            dry_run=run.dry_run,
        )
        return await handler.run(context, config)


def completed(run: ClaimedRun, run_log: RunLog, outcome: Outcome, traceparent: str) -> Completion:
    """The handler did its work. What a dry run would deliver is kept with its result instead."""
    result = {**outcome.result, "summary": outcome.summary}
    if run.dry_run:
        result["would_deliver"] = [message.model_dump(mode="json") for message in outcome.messages]
    return Completion(
        run,
        RunStatus.COMPLETED,
        "completed",
        summary=outcome.summary,
        result=result,
        messages=() if run.dry_run else outcome.messages,
        logs=run_log.entries,
        traceparent=traceparent,
        state=outcome.state,
    )


def failed(
    run: ClaimedRun, run_log: RunLog, error: Exception, traceparent: str, *, random: float
) -> Completion:
    """The handler raised `error`."""
    code, message = describe(error, secrets=run.secrets)
    delay = retry_after(run, error, random=random)
    run_log.error(
        "Error executing automation",
        error_code=code,
        error=message,
        retry_in_seconds=None if delay is None else round(delay.total_seconds(), 1),
    )
    if not isinstance(error, CarillonError):
        text = "".join(traceback.format_exception(error))
        log.error(
            "handler raised an unexpected error",
            run_id=str(run.id),
            exception=hide_secrets(text, run.secrets),
        )
    return Completion(
        run,
        RunStatus.FAILED if delay is None else RunStatus.RETRYING,
        "failed",
        error_code=code,
        error_message=message,
        logs=run_log.entries,
        retry_after=delay or timedelta(),
        traceparent=traceparent,
    )


def retry_after(run: ClaimedRun, error: Exception, *, random: float) -> timedelta | None:
    """How long until the next attempt; None when there is none. Somebody waits for a dry run: one try."""
    choice = run.policy.retry
    if run.dry_run or (isinstance(error, RemoteError) and error.consequence in choice.never):
        return None
    policy = choice.as_policy(max_attempts=run.max_attempts)
    return next_attempt(policy, attempt=run.attempt, error=error, random=random)


def interrupted(run: ClaimedRun, run_log: RunLog, reason: str, traceparent: str) -> Completion:
    """The attempt was cancelled for `reason`."""
    if reason == CANCELLED:
        run_log.warning("run cancelled on request")
        status, message = RunStatus.CANCELLED, "cancelled on request"
    else:
        # A superseded run takes this way too: its completion is rejected by the guard.
        run_log.warning("run handed back: the executor is stopping")
        status, message = RunStatus.RETRYING, "the executor stopped before the run was finished"
    return Completion(
        run,
        status,
        reason,
        error_code=reason,
        error_message=message,
        logs=run_log.entries,
        traceparent=traceparent,
    )


def describe(error: Exception, *, secrets: Sequence[str] = ()) -> tuple[str, str]:
    """A stable code and a message fit to be shown, for any error a run may end with.

    `secrets` are those the run was given: a vendor may repeat them in its answer.
    """
    if isinstance(error, RemoteError):
        code = error.consequence.value if error.code is None else f"{error.consequence.value}:{error.code}"
        return code, hide_secrets(error.detail, secrets)
    if isinstance(error, CarillonError):
        return _snake(type(error).__name__), hide_secrets(error.detail, secrets)
    # The text of an unforeseen error may hold anything, secrets included: only its type is shown.
    return "internal_error", f"{type(error).__name__} in the handler; see the executor's log"


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
