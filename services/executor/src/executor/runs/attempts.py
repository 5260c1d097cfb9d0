"""One attempt of a run: its handler, its time limit, and what became of it."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from common.clock import utc_now
from common.database.pool import ConnectionPool
from common.errors import CarillonError, PlatformError, RemoteError
from common.models import RunStatus
from common.retry import next_attempt
from common.secrets.redaction import hide_secrets
from common.work.leases import MAX_UNCOUNTED
from common.work.stopping import SET_ASIDE, is_set_aside
from common.work.worker import Stop
from executor.aftermath.table import AFTERMATH, ConnectionFate, Fault, RunFate
from executor.handlers.base import Handler, Outcome, RunContext, RunLog
from executor.runs.claims import ClaimedRun
from executor.runs.results import DELAYED, Completion
from platforms.calls.usage import UsageLimiter

log = structlog.get_logger()

LONGEST_DELAY = timedelta(hours=24)
"""How long a run may wait in all for a platform's limits, counted from its first attempt."""
START_BEFORE_EXPIRY = timedelta(minutes=1)
"""A delayed run is tried for the last time this long before it may no longer start."""


class RunTimeout(CarillonError):
    """The handler took longer than a run may."""

    permanent = False


class InvalidConfiguration(CarillonError):
    """The automation's configuration is not what its handler takes."""


class UnknownType(CarillonError):
    """No handler of this executor does this kind of automation."""


class StoppedWorkers(CarillonError):
    """The run has blocked as many processes as one run may."""


class Attempts:
    """Makes attempts with the handlers installed here."""

    def __init__(
        self,
        handlers: Mapping[str, Handler[Any]],
        http: httpx.AsyncClient,
        pool: ConnectionPool,
        *,
        limiter: UsageLimiter,
        run_timeout: float,
    ) -> None:
        self._handlers = handlers
        self._http = http
        self._pool = pool
        self._limiter = limiter
        self._run_timeout = run_timeout

    async def make(
        self, run: ClaimedRun, run_log: RunLog, traceparent: str, *, why_stopped: Callable[[], Stop | None]
    ) -> Completion:
        """Run the handler once and say what became of it.

        `why_stopped` is asked when the attempt is cancelled; `traceparent` is what follows continues from.
        Raises CancelledError, and nothing else, when the run was superseded: another worker has it.
        """
        seconds = run.policy.timeout_seconds or self._run_timeout
        error: Exception = CarillonError("the attempt was stopped")
        stop: Stop | None = None
        try:
            async with asyncio.timeout(seconds) as limit:
                # A stop that came before the first step is met here, and not in the middle of a handler.
                await asyncio.sleep(0)
                outcome = await self._handle(run, run_log)
            return completed(run, run_log, outcome, traceparent)
        except asyncio.CancelledError:
            stop = why_stopped() or Stop.HANDED_BACK
        except Exception as caught:  # whatever a handler raises is that run's failure, not the executor's
            # A connection that closes at that moment raises its own error in place of CancelledError.
            stop = why_stopped()
            error = caught
            if isinstance(caught, TimeoutError) and limit.expired():
                error = RunTimeout(f"the run took longer than {seconds:g} s")
        if stop is Stop.SUPERSEDED:
            run_log.warning("run superseded: its lease was lost")
            raise asyncio.CancelledError
        if stop is not None:
            return interrupted(run, run_log, stop, traceparent)
        return failed(run, run_log, error, traceparent, random=random.random())  # noqa: S311

    async def _handle(self, run: ClaimedRun, run_log: RunLog) -> Outcome:
        if is_set_aside(run.stopped_workers):
            raise StoppedWorkers(SET_ASIDE)
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
            destination_type=run.destination_type,
            state=run.state,
            last_attempt=run.dry_run
            or run.counted_attempts >= run.max_attempts
            or utc_now() >= last_chance(run),
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
        faults=_faults(run, outcome.faults),
    )


def failed(
    run: ClaimedRun, run_log: RunLog, error: Exception, traceparent: str, *, random: float
) -> Completion:
    """The handler raised `error`."""
    code, message = describe(error, secrets=run.secrets)
    now = utc_now()
    delay = retry_after(run, error, now=now, random=random)
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
    fate = AFTERMATH[error.consequence].run if isinstance(error, RemoteError) else RunFate.RETRY
    platform_errors = [error] if isinstance(error, PlatformError) else []
    return Completion(
        run,
        RunStatus.FAILED if delay is None else RunStatus.RETRYING,
        DELAYED if fate is RunFate.DELAY and delay is not None else "failed",
        error_code=code,
        error_message=message,
        logs=run_log.entries,
        retry_after=delay or timedelta(),
        traceparent=traceparent,
        faults=_faults(run, platform_errors, ended_the_run=delay is None),
        retry_if_outdated=_if_outdated(run, error, random=random) if delay is None else None,
    )


def retry_after(run: ClaimedRun, error: Exception, *, now: datetime, random: float) -> timedelta | None:
    """How long until the next attempt; None when there is none. A dry run has one attempt, because a user
    waits for it.

    A platform's limit delays the run without using up an attempt, up to its last chance.
    """
    choice = run.policy.retry
    if run.dry_run or (isinstance(error, RemoteError) and error.consequence in choice.never):
        return None
    fate = AFTERMATH[error.consequence].run if isinstance(error, RemoteError) else RunFate.RETRY
    if fate is RunFate.FAIL:
        return None
    if fate is RunFate.RETRY:
        policy = choice.as_policy(max_attempts=run.max_attempts)
        return next_attempt(policy, attempt=run.counted_attempts, error=error, random=random)
    left = last_chance(run) - now
    if left <= timedelta() or run.uncounted >= MAX_UNCOUNTED:
        return None
    policy = choice.as_policy(max_attempts=run.counted_attempts + 1)
    delay = next_attempt(policy, attempt=run.counted_attempts, error=error, random=random)
    return None if delay is None else min(delay, left)


def last_chance(run: ClaimedRun) -> datetime:
    """When a run that waits for a platform's limits is tried for the last time. Pure."""
    latest = run.started_at + LONGEST_DELAY
    return latest if run.expires_at is None else min(latest, run.expires_at - START_BEFORE_EXPIRY)


def _if_outdated(run: ClaimedRun, error: Exception, *, random: float) -> timedelta | None:
    """How long until another attempt, should the token that was found dead have a successor already."""
    if not isinstance(error, PlatformError) or run.dry_run or run.counted_attempts >= run.max_attempts:
        return None
    if AFTERMATH[error.consequence].connection is not ConnectionFate.CONDEMN:
        return None
    choice = run.policy.retry
    return (
        None if error.consequence in choice.never else timedelta(seconds=choice.base_seconds * (0.5 + random))
    )


def _faults(
    run: ClaimedRun, errors: Sequence[PlatformError], *, ended_the_run: bool = False
) -> tuple[Fault, ...]:
    """What others than the run must know of its errors. A dry run changes nothing, so that is nothing."""
    if run.dry_run:
        return ()
    return tuple(
        _fault(run, error, ended_the_run) for error in errors if AFTERMATH[error.consequence].tells_owner
    )


def _fault(run: ClaimedRun, error: PlatformError, ended_the_run: bool) -> Fault:
    connection_id = _uuid(error.connection_id)
    _, detail = describe(error, secrets=run.secrets)
    return Fault(
        error.consequence,
        error.platform,
        _storable(detail),
        run.tenant_id,
        run.automation_id,
        # Only a connection the run was given: the handler may have made up the rest.
        connection_id if connection_id in run.credentials else None,
        None if connection_id is None else run.blamed_version(connection_id),
        ended_the_run,
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None


def _storable(text: str) -> str:
    """What PostgreSQL can hold of a vendor's text."""
    return text.replace("\x00", "").encode(errors="replace").decode()


def interrupted(run: ClaimedRun, run_log: RunLog, reason: Stop, traceparent: str) -> Completion:
    """The attempt was cancelled for `reason`."""
    if reason is Stop.CANCELLED:
        run_log.warning("run cancelled on request")
        status, message = RunStatus.CANCELLED, "cancelled on request"
    else:
        run_log.warning("run handed back: the executor is stopping")
        status, message = RunStatus.RETRYING, "the executor stopped before the run was finished"
    return Completion(
        run,
        status,
        reason.value,
        error_code=reason.value,
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
