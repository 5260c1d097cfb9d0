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
from common.work.consumer import ClaimConsumer
from common.work.dead_letters import DeadLetters
from common.work.places import LanePlaces, Places, team
from common.work.waiting import Waiting
from common.work.worker import Worker
from executor.recordings.processing.claims import ClaimedRecording
from executor.runs.claims import ClaimedRun
from executor.settings import ExecutorSettings
from executor.tokens.reminders import TokenReminders

TOKEN_BATCH = 20


def subscribe(
    broker: KafkaBroker,
    settings: ExecutorSettings,
    dead_letters: DeadLetters,
    runs: Worker[ClaimedRun, LanePlaces],
) -> list[ClaimConsumer[AutomationDue]]:
    """One consumer for each lane."""
    return [
        ClaimConsumer(
            broker,
            settings,
            dead_letters,
            topic=f"automation.due.{places.lane.value}",
            group=f"executor.{places.lane.value}",
            batch_size=settings.executor_batch_size,
            event=AutomationDue,
            item=lambda event: Waiting(event.run_id, (team(event.tenant_id),)),
            take=partial(runs.take, places=places),
        )
        for places in runs.shares
    ]


def subscribe_to_tokens(
    broker: KafkaBroker, settings: ExecutorSettings, dead_letters: DeadLetters, reminders: TokenReminders
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
        item=lambda event: Waiting(event.connection_id),
        take=reminders.take,
        passed_over=(TokenRefreshed, TokenReauthRequired),
    )


def subscribe_to_recordings(
    broker: KafkaBroker,
    settings: ExecutorSettings,
    dead_letters: DeadLetters,
    recordings: Worker[ClaimedRecording, Places],
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
        item=lambda event: Waiting(event.recording_id, (team(event.tenant_id),)),
        take=recordings.take,
        passed_over=(RecordingProcessed, RecordingFailed),
    )
