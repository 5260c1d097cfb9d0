"""The notifier's subscription."""

from __future__ import annotations

from faststream.kafka import KafkaBroker

from common.events import NotificationRequested
from common.work.consumer import ClaimConsumer
from common.work.dead_letters import DeadLetters
from common.work.places import Places
from common.work.waiting import Waiting
from common.work.worker import Worker
from notifier.deliveries.claims import flows
from notifier.deliveries.execution import TOPIC, InTurn
from notifier.settings import NotifierSettings


def subscribe(
    broker: KafkaBroker,
    settings: NotifierSettings,
    dead_letters: DeadLetters,
    deliveries: Worker[InTurn, Places],
) -> ClaimConsumer[NotificationRequested]:
    """The one consumer of requested notifications."""
    return ClaimConsumer(
        broker,
        settings,
        dead_letters,
        topic=TOPIC,
        group="notifier",
        batch_size=settings.notifier_batch_size,
        event=NotificationRequested,
        item=lambda event: Waiting(event.delivery_id, flows(event.tenant_id, event.destination_id)),
        take=deliveries.take,
    )
