"""One attempt at a recording: step after step, and what becomes of it when a step fails."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from opentelemetry.trace import SpanKind

from common import telemetry
from common.clock import utc_now
from common.errors import CarillonError
from common.recordings.artifacts import Retries
from common.recordings.store import NotStored
from common.secrets.redaction import hide_secrets
from common.work.worker import Held, Stop
from executor.recordings.processing import retries as again
from executor.recordings.processing.claims import ClaimedRecording
from executor.recordings.processing.failures import Exhausted, StepFailed, StepTimeout, Unprocessable
from executor.recordings.processing.outcomes import RecordingOutcomes, Superseded
from executor.recordings.processing.pipeline import Step, next_step
from executor.recordings.processing.progress import StepWork, Work

TOPIC = "recording.processing"
NO_STORE = "recordings are not processed here: RECORDING_STORE_URL is not set"

log = structlog.get_logger()


class RecordingAttempts:
    """Makes attempts with the steps of this executor.

    `steps` is None where no file store is configured: recordings then fail with the reason, rather than wait
    for an executor that has one. `step_timeout` is in seconds.
    """

    def __init__(
        self,
        outcomes: RecordingOutcomes,
        steps: Mapping[Step, StepWork] | None,
        *,
        step_timeout: float,
        max_attempts: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._outcomes = outcomes
        self._steps = steps
        self._step_timeout = step_timeout
        self._max_attempts = max_attempts
        self._now = now

    async def make(self, held: Held[ClaimedRecording]) -> None:
        """Go on with a recording from where it is, and record what becomes of it.

        One that is handed back is recorded for another worker to go on with. Whatever else stops it leaves no
        record, because the recording is another worker's by then.
        """
        recording = held.item
        logger = log.bind(
            tenant_id=str(recording.tenant_id),
            recording_id=str(recording.id),
            automation_id=None if recording.automation_id is None else str(recording.automation_id),
            attempt=recording.attempt,
        )
        with telemetry.tracer().start_as_current_span(
            f"process {TOPIC}",
            context=telemetry.context_of(recording.traceparent),
            kind=SpanKind.CONSUMER,
            attributes={
                **telemetry.messaging_attributes(TOPIC, "process"),
                "carillon.tenant.id": str(recording.tenant_id),
                "carillon.recording.id": str(recording.id),
                "carillon.recording.attempt": recording.attempt,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as current:
            work = Work(recording, self._outcomes)
            try:
                failed: StepFailed | None = None
                try:
                    await self._take_steps(work, logger)
                except asyncio.CancelledError:
                    if held.stop is not Stop.HANDED_BACK:
                        raise
                except StepFailed as error:
                    failed = error
                if held.is_superseded:
                    # A connection that closes at that moment raises its own error in place of CancelledError.
                    raise asyncio.CancelledError
                held.settle()
                if held.stop is Stop.HANDED_BACK:
                    await self._hand_back(work, logger)
                elif failed is not None:
                    current.set_attribute("error.type", failed.failure.code)
                    await self._settle(work, failed, logger)
                else:
                    await self._outcomes.finish(recording, work.status, work.artifacts)
                    logger.info("recording processed", status=work.status.value, topic=recording.topic)
            except Superseded:
                logger.warning("late result rejected")

    async def _take_steps(self, work: Work, logger: structlog.stdlib.BoundLogger) -> None:
        recording = work.recording
        steps = self._checked(work)
        while (step := next_step(work.status, recording.processing, work.artifacts)) is not None:
            started = time.monotonic()
            outcome = "failed"
            try:
                await work.begin(step)
                try:
                    with telemetry.span(f"recording {step.value}"):
                        await self._do(work, step, steps[step])
                except StepFailed as failed:
                    if not work.can_go_on_without_missing or self._following(work, failed) is not None:
                        raise
                    logger.warning(
                        "recording goes on without a file",
                        step=step.value,
                        error_code=failed.failure.code,
                        error=failed.failure.message,
                    )
                await work.complete(step)
                outcome = "done"
            except asyncio.CancelledError:
                outcome = "stopped"
                raise
            finally:
                elapsed = time.monotonic() - started
                telemetry.RECORDING_STEPS.labels(step.value, outcome).inc()
                telemetry.RECORDING_STEP_DURATION.labels(step.value).observe(elapsed)
            logger.info("recording step done", step=step.value, seconds=round(elapsed, 3))

    def _checked(self, work: Work) -> Mapping[Step, StepWork]:
        """The steps, if it is worth trying at all."""
        recording = work.recording
        step = next_step(work.status, recording.processing, work.artifacts) or Step.DOWNLOAD
        if recording.unprocessable is not None:
            raise StepFailed(step, Unprocessable(recording.unprocessable), recording.secrets)
        if self._steps is None:
            raise StepFailed(step, Unprocessable(NO_STORE), recording.secrets)
        if work.counted_attempts > self._max_attempts:
            raise StepFailed(step, Exhausted("every attempt ended without an outcome"), recording.secrets)
        return self._steps

    async def _do(self, work: Work, step: Step, doing: StepWork) -> None:
        try:
            async with asyncio.timeout(self._step_timeout) as limit:
                await doing.run(work, now=self._now())
        except Superseded:
            raise
        except Exception as caught:  # whatever a step raises is that recording's failure, not the executor's
            error = caught
            if isinstance(caught, TimeoutError) and limit.expired():
                error = StepTimeout(f"the step took longer than {self._step_timeout:g} s")
            elif not isinstance(caught, CarillonError):
                text = "".join(traceback.format_exception(caught))
                log.error(
                    "recording step raised an unexpected error",
                    recording_id=str(work.recording.id),
                    step=step.value,
                    exception=hide_secrets(text, work.recording.secrets),
                )
            if isinstance(error, NotStored):
                await work.start_over()
            raise StepFailed(step, error, work.recording.secrets) from caught

    def _following(self, work: Work, failed: StepFailed) -> again.Again | None:
        return again.decide(
            failed.error,
            failed.step,
            attempts=work.counted_attempts,
            uncounted=work.uncounted,
            missing_since=work.artifacts.retries.missing_since,
            max_attempts=self._max_attempts,
            now=self._now(),
            random=random.random(),  # noqa: S311
        )

    async def _settle(self, work: Work, failed: StepFailed, logger: structlog.stdlib.BoundLogger) -> None:
        failure = failed.failure
        following = self._following(work, failed)
        known = {"step": failure.step, "error_code": failure.code, "error": failure.message}
        if following is None:
            await self._outcomes.fail(work.recording, failure, dead=work.dead_token)
            logger.error("recording failed", **known)
            return
        until = await self._outcomes.postpone(
            work.recording,
            Retries(missing_since=following.missing_since),
            work.uncounted + int(not following.counted),
            failure,
            following.delay,
        )
        logger.warning("recording step failed", retry_at=until.isoformat(), **known)

    async def _hand_back(self, work: Work, logger: structlog.stdlib.BoundLogger) -> None:
        await self._outcomes.hand_back(work.recording, work.artifacts.retries, work.uncounted + 1)
        logger.info("recording handed back: the executor is stopping", status=work.status.value)
