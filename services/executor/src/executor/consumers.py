"""The executor's subscriptions: one consumer a lane, each in its own consumer group.

Separate groups keep a rebalance of one lane from pausing the others.
"""

from __future__ import annotations

from functools import partial

from faststream.kafka import KafkaBroker

from common.consumer import ClaimConsumer, DeadLetters
from common.events import AutomationDue
from common.models import Lane
from executor.execution import Execution
from executor.settings import ExecutorSettings


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
