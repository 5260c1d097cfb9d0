"""Every event: its type, its topic, its key and its payload.

CloudEvents 1.0 in binary mode over Kafka: attributes travel as `ce_*` headers, the value is the payload as
JSON, and `ce_id` is the idempotency key. Payloads carry ids and the facts an outside consumer needs, never a
secret. Fields may be added; a change that breaks a consumer gets a new `.v2` type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from common.errors import MalformedEvent
from common.ids import new_id
from common.models import Lane, Trigger

CONTENT_TYPE = "application/json"
MAX_EVENT_BYTES = 64 * 1024
"""Largest payload a consumer reads. Ours are under 2 KiB; anything larger is not one of ours."""


class Event(BaseModel):
    """Base of all payloads. Unknown fields are ignored, so that a producer may be newer than its consumer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    topics: ClassVar[tuple[str, ...]]
    key_field: ClassVar[str]
    sources: ClassVar[tuple[str, ...]]

    @property
    def topic(self) -> str:
        """The topic this event belongs on."""
        return self.topics[0]

    @property
    def key(self) -> str:
        """The record key: events that share it keep their order."""
        return str(getattr(self, self.key_field))


class AutomationDue(Event):
    """A run is waiting to be claimed."""

    type = "carillon.automation.due.v1"
    topics = tuple(f"automation.due.{lane.value}" for lane in Lane)
    key_field = "run_id"
    sources = ("scheduler", "api")

    run_id: UUID
    automation_id: UUID
    tenant_id: UUID
    lane: Lane
    trigger: Trigger
    scheduled_for: AwareDatetime | None

    @property
    def topic(self) -> str:
        """The lane's topic."""
        return f"automation.due.{self.lane.value}"


class RunEvent(Event):
    """What every event about a run says."""

    topics = ("automation.run",)
    key_field = "automation_id"
    sources = ("executor", "scheduler", "api")

    run_id: UUID
    automation_id: UUID
    tenant_id: UUID
    attempt: int
    trace_id: str | None = None


class RunStarted(RunEvent):
    """An executor claimed the run."""

    type = "carillon.automation.run.started.v1"
    scheduled_for: AwareDatetime | None
    started_at: AwareDatetime
    worker: str


class RunCompleted(RunEvent):
    """The run did its work; `deliveries` are on their way."""

    type = "carillon.automation.run.completed.v1"
    scheduled_for: AwareDatetime | None
    completed_at: AwareDatetime
    summary: str
    deliveries: tuple[UUID, ...] = ()


class RunFailed(RunEvent):
    """An attempt failed. `retry_at` is None when there will be no other."""

    type = "carillon.automation.run.failed.v1"
    error_code: str
    error_message: str
    retry_at: AwareDatetime | None


class RunSkipped(Event):
    """Slots that did not become runs, and why."""

    type = "carillon.automation.run.skipped.v1"
    topics = ("automation.run",)
    key_field = "automation_id"
    sources = ("scheduler", "api")

    automation_id: UUID
    tenant_id: UUID
    first_slot: AwareDatetime
    last_slot: AwareDatetime
    slots: int
    reason: str


class RunCancelled(RunEvent):
    """The run was cancelled before it finished."""

    type = "carillon.automation.run.cancelled.v1"
    reason: str


class AutomationChanged(Event):
    """An automation was created, edited, paused, resumed or deleted."""

    type = "carillon.automation.changed.v1"
    topics = ("automation.changed",)
    key_field = "automation_id"
    sources = ("api", "scheduler", "executor")

    automation_id: UUID
    tenant_id: UUID
    change: str
    status: str
    version: int
    next_run: AwareDatetime | None


class NotificationRequested(Event):
    """A delivery is waiting to be claimed."""

    type = "carillon.notification.requested.v1"
    topics = ("notification.requested",)
    key_field = "destination_id"
    sources = ("executor", "scheduler", "api")

    delivery_id: UUID
    destination_id: UUID
    tenant_id: UUID
    run_id: UUID | None


class NotificationOutcome(Event):
    """What both outcomes of a delivery say."""

    topics = ("notification.outcome",)
    key_field = "destination_id"
    sources: ClassVar[tuple[str, ...]] = ("notifier",)

    delivery_id: UUID
    destination_id: UUID
    tenant_id: UUID
    run_id: UUID | None
    attempt: int
    trace_id: str | None = None


class NotificationDelivered(NotificationOutcome):
    """The receiver accepted the delivery."""

    type = "carillon.notification.delivered.v1"
    delivered_at: AwareDatetime


class NotificationFailed(NotificationOutcome):
    """An attempt failed. `retry_at` is None when there will be no other."""

    type = "carillon.notification.failed.v1"
    sources = ("notifier", "scheduler")

    error_message: str
    retry_at: AwareDatetime | None


class TokenEvent(Event):
    """What every event about a connection's token says."""

    topics = ("connection.token",)
    key_field = "connection_id"

    connection_id: UUID
    tenant_id: UUID
    platform: str
    kind: str
    version: int


class TokenRefreshDue(TokenEvent):
    """The token should be renewed: it expires soon, has not been looked at for a while, or was found dead."""

    type = "carillon.connection.token.due.v1"
    sources = ("scheduler", "api")

    expires_at: AwareDatetime | None


class TokenRefreshed(TokenEvent):
    """The connection has a new token, its `version`th, stored before anything used it."""

    type = "carillon.connection.token.refreshed.v1"
    sources = ("executor",)

    expires_at: AwareDatetime | None


class TokenReauthRequired(TokenEvent):
    """The token is dead and cannot be renewed: a person must connect the account again."""

    type = "carillon.connection.token.reauth.v1"
    sources = ("executor",)

    reason: str
    paused_automations: int


class RecordingEvent(Event):
    """What every event about a recording says."""

    topics = ("recording.processing",)
    key_field = "recording_id"

    recording_id: UUID
    source_id: UUID
    tenant_id: UUID
    trace_id: str | None = None


class RecordingProcessingRequested(RecordingEvent):
    """A recording is waiting to be downloaded, transcribed and uploaded."""

    type = "carillon.recording.processing.requested.v1"
    sources = ("executor", "api", "scheduler")

    template_id: UUID | None
    automation_id: UUID | None


class RecordingProcessed(RecordingEvent):
    """Every step its template asks for is done; `status` is the last of them."""

    type = "carillon.recording.processing.processed.v1"
    sources = ("executor",)

    status: str
    attempt: int
    completed_at: AwareDatetime
    uploads: int


class RecordingFailed(RecordingEvent):
    """A step failed. `retry_at` is None when it will not be tried again."""

    type = "carillon.recording.processing.failed.v1"
    sources = ("executor",)

    step: str
    attempt: int
    error_code: str
    error_message: str
    retry_at: AwareDatetime | None


EVENT_TYPES: dict[str, type[Event]] = {
    event.type: event
    for event in (
        AutomationDue,
        RunStarted,
        RunCompleted,
        RunFailed,
        RunSkipped,
        RunCancelled,
        AutomationChanged,
        NotificationRequested,
        NotificationDelivered,
        NotificationFailed,
        TokenRefreshDue,
        TokenRefreshed,
        TokenReauthRequired,
        RecordingProcessingRequested,
        RecordingProcessed,
        RecordingFailed,
    )
}


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as Kafka takes it: what an outbox row holds."""

    topic: str
    key: str
    headers: dict[str, str]
    value: bytes


def to_record(event: Event, *, source: str, time: datetime, traceparent: str | None = None) -> EventRecord:
    """Wrap an event for its topic. `source` is the service's name; `time` is when it happened."""
    headers = {
        "ce_id": str(new_id()),
        "ce_source": f"/{source}",
        "ce_type": event.type,
        "ce_specversion": "1.0",
        "ce_time": time.isoformat(),
        "ce_subject": event.key,
        "ce_dataschema": f"/schemas/{event.type}.json",
        "content-type": CONTENT_TYPE,
    }
    if traceparent:
        headers["traceparent"] = traceparent
    value = event.model_dump_json().encode()
    if len(value) > MAX_EVENT_BYTES:
        # Refused here, in the transaction that would announce it: the relay could never get past it.
        raise ValueError(f"{event.type} has {len(value)} bytes; at most {MAX_EVENT_BYTES} are allowed")
    return EventRecord(event.topic, event.key, headers, value)


E = TypeVar("E", bound=Event)


def parse(headers: Mapping[str, str], value: bytes | None, *expected: type[E]) -> E:
    """Read one record as one of the `expected` events. Raises MalformedEvent, never anything else."""
    if value is None:
        raise MalformedEvent("the record has no value", reason="empty")
    if len(value) > MAX_EVENT_BYTES:
        raise MalformedEvent(
            f"the record has {len(value)} bytes; events have at most {MAX_EVENT_BYTES}", reason="too_large"
        )
    name = headers.get("ce_type")
    if name is None:
        raise MalformedEvent("the record has no ce_type header", reason="no_type")
    event_type = next((event for event in expected if event.type == name), None)
    if event_type is None:
        raise MalformedEvent(
            f"no consumer of this topic knows the type {name[:200]!r}", reason="unknown_type"
        )
    try:
        data: Any = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise MalformedEvent(f"the value is not JSON: {error}", reason="not_json") from error
    try:
        return event_type.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'value'}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)[:5]
        )
        raise MalformedEvent(f"the value is not a {name}: {faults}", reason="invalid") from error
