"""The executor's subscriptions: one consumer a lane and one for tokens, each in its own consumer group.

Separate groups keep a rebalance of one lane from pausing the others.
"""

from __future__ import annotations

from functools import partial

from faststream.kafka import KafkaBroker

from common.events import (
    AutomationDue,
    RecordingFailed,
    RecordingProcessed,
    RecordingProcessingRequested,
    TokenReauthRequired,
    TokenRefreshDue,
    TokenRefreshed,
)
from common.models import Lane
from common.work.consumer import ClaimConsumer
from common.work.dead_letters import DeadLetters
from executor.recordings.processing.execution import Processing
from executor.runs.execution import Execution
from executor.settings import ExecutorSettings
from executor.tokens.attention import Attention

TOKEN_BATCH = 20


def subscribe(
    broker: KafkaBroker, settings: ExecutorSettings, dead_letters: DeadLetters, execution: Execution
) -> list[ClaimConsumer[AutomationDue]]:
    """One consumer for each lane."""
    return [
        ClaimConsumer(
            broker,
            settings,
            dead_letters,
            topic=f"automation.due.{lane.value}",
            group=f"executor.{lane.value}",
            batch_size=settings.executor_batch_size,
            event=AutomationDue,
            item=lambda event: event.run_id,
            take=partial(execution.take, lane),
        )
        for lane in Lane
    ]


def subscribe_to_tokens(
    broker: KafkaBroker, settings: ExecutorSettings, dead_letters: DeadLetters, attention: Attention
) -> ClaimConsumer[TokenRefreshDue]:
    """The leader's reminders that tokens are due."""
    return ClaimConsumer(
        broker,
        settings,
        dead_letters,
        topic="connection.token",
        group="executor.token",
        batch_size=TOKEN_BATCH,
        event=TokenRefreshDue,
        item=lambda event: event.connection_id,
        take=attention.take,
        passed_over=(TokenRefreshed, TokenReauthRequired),
    )


def subscribe_to_recordings(
    broker: KafkaBroker, settings: ExecutorSettings, dead_letters: DeadLetters, processing: Processing
) -> ClaimConsumer[RecordingProcessingRequested]:
    """Recordings that wait to be processed."""
    return ClaimConsumer(
        broker,
        settings,
        dead_letters,
        topic="recording.processing",
        group="executor.recording",
        batch_size=settings.executor_batch_size,
        event=RecordingProcessingRequested,
        item=lambda event: event.recording_id,
        take=processing.take,
        passed_over=(RecordingProcessed, RecordingFailed),
    )
