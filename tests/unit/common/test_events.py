"""Events round-trip through records, and any malformed record is rejected."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from types import UnionType
from typing import Any, Union, get_args, get_origin
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from common.broker import TOPICS
from common.errors import MalformedEvent
from common.events import (
    EVENT_TYPES,
    MAX_EVENT_BYTES,
    AutomationDue,
    Event,
    RunFailed,
    RunStarted,
    parse,
    to_record,
)
from common.models import Lane, Trigger

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ALL = tuple(EVENT_TYPES.values())
REASONS = {"empty", "too_large", "no_type", "unknown_type", "not_json", "invalid"}

INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5))]))
TEXT = st.text(st.characters(codec="utf-8"), max_size=50)


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Anything a field of this type may hold."""
    simple: dict[Any, st.SearchStrategy[Any]] = {
        UUID: st.uuids(),
        str: TEXT,
        int: st.integers(0, 2**31),
        datetime: INSTANTS,
        Lane: st.sampled_from(Lane),
        Trigger: st.sampled_from(Trigger),
    }
    if annotation in simple:
        return simple[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return st.one_of(*(st.none() if one is type(None) else values(one) for one in arguments))
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    # pydantic keeps AwareDatetime as a class of its own in unions.
    if getattr(annotation, "__name__", "") == "AwareDatetime":
        return INSTANTS
    raise AssertionError(f"no strategy for {annotation!r}")


def field_values(field: FieldInfo) -> st.SearchStrategy[Any]:
    return values(field.annotation)


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(ALL))
    return kind(**{name: draw(field_values(field)) for name, field in kind.model_fields.items()})


@given(events())
def test_every_event_round_trips(event: Event) -> None:
    record = to_record(event, source="scheduler", time=NOW, traceparent=TRACEPARENT)
    headers = {name: value.encode().decode() for name, value in record.headers.items()}
    assert parse(headers, record.value, *ALL) == event
    assert record.key == str(getattr(event, event.key_field))
    assert record.topic in event.topics


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_event_has_a_versioned_type_and_topics_that_exist(kind: type[Event]) -> None:
    assert re.fullmatch(r"carillon\.[a-z.]+\.v[1-9][0-9]*", kind.type)
    assert set(kind.topics) <= {topic.name for topic in TOPICS}
    assert {topic + ".dlq" for topic in kind.topics} <= {topic.name for topic in TOPICS}
    assert kind.key_field in kind.model_fields
    assert set(kind.sources) <= {"scheduler", "executor", "notifier", "api"}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_no_event_has_a_field_for_a_secret(kind: type[Event]) -> None:
    assert not [
        name for name in kind.model_fields if re.search("token|secret|password|config|message_text", name)
    ]


def test_types_are_unique() -> None:
    assert len(EVENT_TYPES) == len({kind.__name__ for kind in ALL}) == len(ALL)


def due(lane: Lane = Lane.NORMAL) -> AutomationDue:
    return AutomationDue(
        run_id=UUID(int=1),
        automation_id=UUID(int=2),
        tenant_id=UUID(int=3),
        lane=lane,
        trigger=Trigger.SCHEDULE,
        scheduled_for=NOW,
    )


def test_a_record_has_the_attributes_of_a_cloudevent() -> None:
    record = to_record(due(), source="scheduler", time=NOW, traceparent=TRACEPARENT)
    identifier = record.headers.pop("ce_id")
    assert UUID(identifier).version == 7
    assert record.headers == {
        "ce_source": "/scheduler",
        "ce_type": "carillon.automation.due.v1",
        "ce_specversion": "1.0",
        "ce_time": "2026-03-02T09:30:00+00:00",
        "ce_subject": str(UUID(int=1)),
        "ce_dataschema": "/schemas/carillon.automation.due.v1.json",
        "content-type": "application/json",
        "traceparent": TRACEPARENT,
    }
    assert json.loads(record.value)["run_id"] == str(UUID(int=1))


def test_each_record_of_an_event_has_its_own_id() -> None:
    ids = {to_record(due(), source="scheduler", time=NOW).headers["ce_id"] for _ in range(100)}
    assert len(ids) == 100


@pytest.mark.parametrize("lane", list(Lane))
def test_a_run_is_announced_on_its_lane(lane: Lane) -> None:
    assert due(lane).topic == f"automation.due.{lane.value}"


def failed(message: str) -> RunFailed:
    return RunFailed(
        run_id=UUID(int=1),
        automation_id=UUID(int=2),
        tenant_id=UUID(int=3),
        attempt=1,
        error_code="x",
        error_message=message,
        retry_at=None,
    )


def test_an_oversized_event_is_rejected_by_the_producer() -> None:
    room = MAX_EVENT_BYTES - len(failed("").model_dump_json())
    assert len(to_record(failed("x" * room), source="executor", time=NOW).value) == MAX_EVENT_BYTES
    with pytest.raises(ValueError, match=r"carillon\.automation\.run\.failed\.v1 has 65537 bytes"):
        to_record(failed("x" * (room + 1)), source="executor", time=NOW)


def test_the_largest_event_that_is_written_can_be_read() -> None:
    room = MAX_EVENT_BYTES - len(failed("").model_dump_json())
    record = to_record(failed("x" * room), source="executor", time=NOW)
    assert parse(record.headers, record.value, RunFailed).error_message == "x" * room


def test_a_newer_producers_field_is_ignored() -> None:
    record = to_record(due(), source="scheduler", time=NOW)
    newer = json.dumps({**json.loads(record.value), "invented_later": {"by": "somebody"}}).encode()
    assert parse(record.headers, newer, AutomationDue) == due()


HEADERS = {"ce_type": AutomationDue.type}
VALUE = to_record(due(), source="scheduler", time=NOW).value


@pytest.mark.parametrize(
    ("headers", "value", "reason"),
    [
        (HEADERS, None, "empty"),
        (HEADERS, b"", "not_json"),
        (HEADERS, b"{", "not_json"),
        (HEADERS, b"\xff\xfe\xfd", "not_json"),
        (HEADERS, b"[" * 20_000, "not_json"),
        (HEADERS, b"9" * 5_000, "not_json"),
        (HEADERS, VALUE + b" " * MAX_EVENT_BYTES, "too_large"),
        ({}, VALUE, "no_type"),
        ({"ce_type": "carillon.automation.due.v2"}, VALUE, "unknown_type"),
        ({"ce_type": RunStarted.type}, VALUE, "unknown_type"),
        ({"ce_type": ""}, VALUE, "unknown_type"),
        (HEADERS, b"null", "invalid"),
        (HEADERS, b"[]", "invalid"),
        (HEADERS, b"{}", "invalid"),
        (HEADERS, VALUE.replace(b'"normal"', b'"urgent"'), "invalid"),
        (HEADERS, VALUE.replace(b"2026-03-02T09:30:00Z", b"2026-03-02T09:30:00"), "invalid"),
        (HEADERS, VALUE.replace(b'"00000000-0000-0000-0000-000000000001"', b'"\\ud800"'), "invalid"),
    ],
)
def test_unreadable_records_are_rejected_with_a_stable_reason(
    headers: dict[str, str], value: bytes | None, reason: str
) -> None:
    with pytest.raises(MalformedEvent) as refused:
        parse(headers, value, AutomationDue)
    assert refused.value.reason == reason
    assert refused.value.permanent


def test_an_invalid_event_names_its_fields_and_repeats_no_value() -> None:
    with pytest.raises(MalformedEvent) as refused:
        parse(HEADERS, b'{"run_id": "car_hunter2hunter2hunter2", "lane": "car_hunter2"}', AutomationDue)
    assert "run_id" in refused.value.detail
    assert "lane" in refused.value.detail
    assert "hunter2" not in refused.value.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = st.sampled_from(sorted({name for kind in ALL for name in kind.model_fields}))


@given(
    headers=st.dictionaries(
        st.sampled_from(["ce_type", "traceparent"]) | TEXT, st.sampled_from(sorted(EVENT_TYPES)) | TEXT
    ),
    value=st.none()
    | st.binary()
    | JSON.map(lambda data: json.dumps(data).encode())
    | st.dictionaries(FIELDS, JSON).map(lambda data: json.dumps(data).encode()),
)
def test_any_record_is_parsed_or_rejected(headers: dict[str, str], value: bytes | None) -> None:
    try:
        event = parse(headers, value, *ALL)
    except MalformedEvent as error:
        refused = error
    else:
        assert event.type == headers["ce_type"]
        return
    assert refused.reason in REASONS
    assert refused.detail.encode(), "it travels in a header of the dead letter"
