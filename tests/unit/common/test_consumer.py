"""Sorting a batch record by record, and dead-lettering unreadable records."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from hypothesis import given
from hypothesis import strategies as st

from common.events import MAX_EVENT_BYTES, AutomationDue, to_record
from common.models import Lane, Trigger
from common.work import dead_letters
from common.work.consumer import oldest_poll_age
from common.work.dead_letters import DeadLetters
from common.work.records import headers_of, sort_batch

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
Headers = Sequence[tuple[str, bytes | None]]


def due(number: int = 1) -> AutomationDue:
    return AutomationDue(
        run_id=UUID(int=number),
        automation_id=UUID(int=2),
        tenant_id=UUID(int=3),
        lane=Lane.NORMAL,
        trigger=Trigger.SCHEDULE,
        scheduled_for=None,
    )


def record(
    value: bytes | None, headers: Headers = (), *, offset: int = 7, key: bytes | None = b"k"
) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord(
        topic="t.automation.due.normal",
        partition=3,
        offset=offset,
        timestamp=0,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=headers,
    )


def event_record(number: int = 1, **more: bytes | None) -> ConsumerRecord[bytes, bytes]:
    made = to_record(due(number), source="scheduler", time=datetime.now(UTC))
    headers: dict[str, bytes | None] = {name: text.encode() for name, text in made.headers.items()}
    return record(made.value, tuple((headers | more).items()), offset=number)


def test_a_batch_is_sorted_record_by_record_in_order() -> None:
    poison = [record(b"{", offset=50), record(None, offset=51)]
    events, rejected = sort_batch(
        [event_record(1), poison[0], event_record(2), poison[1], event_record(3)], AutomationDue
    )
    assert [received.event for received in events] == [due(1), due(2), due(3)]
    assert [(one.record.offset, one.error.reason) for one in rejected] == [(50, "no_type"), (51, "empty")]


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (TRACEPARENT.encode(), TRACEPARENT),
        (b"garbage", None),
        (TRACEPARENT.encode() + b"\x00", None),
        (b"\xff" * 55, None),
        (None, None),
    ],
)
def test_malformed_traceparents_are_dropped(header: bytes | None, kept: str | None) -> None:
    [received], _ = sort_batch([event_record(traceparent=header)], AutomationDue)
    assert received.traceparent == kept


def test_undecodable_headers_are_replaced_and_empty_ones_dropped() -> None:
    headers = headers_of(record(b"", [("ce_type", b"\xff\xfe"), ("a", None), ("b", b"text")]))
    assert headers == {"ce_type": "\ufffd\ufffd", "b": "text"}


@given(
    st.lists(
        st.tuples(
            st.none() | st.binary(max_size=50),
            st.lists(
                st.tuples(
                    st.sampled_from(["ce_type", "traceparent", "x"]), st.none() | st.binary(max_size=40)
                ),
                max_size=4,
            ),
        ),
        max_size=5,
    )
)
def test_a_malformed_record_does_not_affect_others(garbage: list[tuple[bytes | None, Headers]]) -> None:
    batch = [event_record(1), *(record(value, headers) for value, headers in garbage), event_record(2)]
    events, rejected = sort_batch(batch, AutomationDue)
    assert [received.event for received in events] == [due(1), due(2)]
    assert len(rejected) == len(garbage)


@dataclass
class Producer:
    """Takes records, or raises what the test put there first."""

    refusals: list[KafkaError] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    limit: int = 10**9

    async def send_and_wait(
        self, topic: str, value: bytes | None, *, key: bytes | None, headers: Headers
    ) -> None:
        assert value is not None or key is not None, "aiokafka asserts the same"
        if len(value or b"") > self.limit:
            raise MessageSizeTooLargeError
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append({"topic": topic, "value": value, "key": key, "headers": list(headers)})


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "RETRY_PAUSE", 0)


async def set_aside(producer: Producer, *records: ConsumerRecord[bytes, bytes]) -> None:
    _, rejected = sort_batch(records, AutomationDue)
    assert len(rejected) == len(records)
    async with asyncio.timeout(2):
        await DeadLetters(producer).send(rejected)


async def test_a_dead_letter_is_the_record_with_the_reason_in_its_headers() -> None:
    producer = Producer()
    await set_aside(producer, record(b"{", [("ce_type", AutomationDue.type.encode()), ("odd", b"\xff")]))
    [letter] = producer.sent
    assert (letter["topic"], letter["value"], letter["key"]) == ("t.automation.due.normal.dlq", b"{", b"k")
    headers = dict(letter["headers"])
    assert headers.pop("error_message").startswith(b"the value is not JSON")
    assert headers == {
        "ce_type": AutomationDue.type.encode(),
        "odd": b"\xff",
        "error_reason": b"not_json",
        "original_topic": b"t.automation.due.normal",
        "original_partition": b"3",
        "original_offset": b"7",
    }


@pytest.mark.parametrize(
    ("value", "key", "kept"), [(None, b"k", b"k"), (b"{", None, None), (None, None, b"")]
)
async def test_tombstones_and_records_without_a_key_are_set_aside_too(
    value: bytes | None, key: bytes | None, kept: bytes | None
) -> None:
    producer = Producer()
    await set_aside(producer, record(value, key=key))
    [letter] = producer.sent
    assert (letter["value"], letter["key"]) == (value, kept)


async def test_an_oversized_dead_letter_is_truncated() -> None:
    producer = Producer(limit=MAX_EVENT_BYTES)
    await set_aside(producer, record(b"x" * (MAX_EVENT_BYTES + 10)))
    [letter] = producer.sent
    assert letter["value"] == b"x" * MAX_EVENT_BYTES
    assert dict(letter["headers"])["truncated_to"] == str(MAX_EVENT_BYTES).encode()


async def test_dead_letters_wait_for_the_broker_and_are_sent_once() -> None:
    producer = Producer([KafkaConnectionError(), KafkaTimeoutError(), KafkaConnectionError()])
    await set_aside(producer, record(b"1", offset=1), record(b"2", offset=2))
    assert sorted(letter["value"] for letter in producer.sent) == [b"1", b"2"]


async def test_a_rejected_dead_letter_does_not_delay_the_others() -> None:
    producer = Producer(limit=1)
    await set_aside(producer, record(b"too large", offset=1), record(b"2", offset=2))
    assert [letter["value"] for letter in producer.sent] == [b"2"]


class Polled:
    """A consumer whose partitions were last polled at these times."""

    def __init__(self, *polls: int | None) -> None:
        self._polls = dict(enumerate(polls))

    def assignment(self) -> list[int]:
        return list(self._polls)

    def last_poll_timestamp(self, partition: int) -> int | None:
        return self._polls[partition]


@pytest.mark.parametrize(
    ("polls", "age"), [((), None), ((0, None), None), ((90_000, 70_000, 0), 30.0), ((100_000,), 0.0)]
)
def test_the_age_of_the_oldest_poll_reveals_a_stuck_consumer(
    polls: tuple[int | None, ...], age: float | None
) -> None:
    stuck: Any = Polled(*polls)
    assert oldest_poll_age(stuck, 100_000) == age


def test_without_a_consumer_there_is_no_age() -> None:
    assert oldest_poll_age(None, 0) is None
