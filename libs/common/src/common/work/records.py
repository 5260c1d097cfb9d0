"""Records of a topic as events: every record by itself, so that one that is malformed harms no other.

FastStream would discard a whole batch for one malformed record; `raw_values` as its decoder passes the bytes
through untouched instead.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from aiokafka import ConsumerRecord
from faststream.kafka.message import KafkaMessage

from common.errors import MalformedEvent
from common.events import Event, parse

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

E = TypeVar("E", bound=Event)
Record: TypeAlias = "ConsumerRecord[bytes, bytes]"


async def without_headers(
    records: Any, parse_batch: Callable[[Any], Awaitable[KafkaMessage]]
) -> KafkaMessage:
    """A FastStream parser that leaves the headers to `sort_batch`: FastStream's own drops a whole batch for
    one header that is not UTF-8.
    """
    message = await parse_batch(tuple(replace(record, headers=()) for record in records))
    message.raw_message = records
    return message


async def raw_values(message: KafkaMessage) -> list[bytes | None]:
    """A FastStream decoder that leaves the values as they came."""
    records = message.raw_message
    return [record.value for record in (records if isinstance(records, tuple) else (records,))]


@dataclass(frozen=True, slots=True)
class Received(Generic[E]):
    """An event with the trace context of its record."""

    event: E
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be processed, and why."""

    record: Record
    error: MalformedEvent


def headers_of(record: Record) -> dict[str, str]:
    """A record's headers as text; bytes that are not UTF-8 are replaced, never fatal."""
    return {name: value.decode(errors="replace") for name, value in record.headers if value is not None}


def sort_batch(records: Sequence[Record], *expected: type[E]) -> tuple[list[Received[E]], list[Rejected]]:
    """Split a batch into events and records to set aside, keeping the order."""
    events: list[Received[E]] = []
    rejected: list[Rejected] = []
    for record in records:
        headers = headers_of(record)
        try:
            event = parse(headers, record.value, *expected)
        except MalformedEvent as error:
            rejected.append(Rejected(record, error))
        else:
            events.append(Received(event, _trace_context(headers)))
    return events, rejected


def _trace_context(headers: Mapping[str, str]) -> str | None:
    """The record's `traceparent`; a malformed one is dropped, because PostgreSQL may refuse its text."""
    traceparent = headers.get("traceparent", "")
    return traceparent if _TRACEPARENT.fullmatch(traceparent) else None
