"""What may change about a published event, and what may not."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from common.documents import breaking_changes, event_schema
from common.events import AutomationDue, RunFailed


@pytest.fixture
def published() -> dict[str, Any]:
    """A schema as it was released."""
    return event_schema(RunFailed)


@pytest.fixture
def current(published: dict[str, Any]) -> dict[str, Any]:
    """The same, for the test to change."""
    return deepcopy(published)


def test_nothing_changed(published: dict[str, Any], current: dict[str, Any]) -> None:
    assert breaking_changes(published, current) == []


def test_an_optional_field_may_be_added(published: dict[str, Any], current: dict[str, Any]) -> None:
    current["properties"]["hint"] = {"type": "string", "default": ""}
    assert breaking_changes(published, current) == []


def test_words_may_change(published: dict[str, Any], current: dict[str, Any]) -> None:
    current["description"] = "Something failed."
    current["properties"]["error_code"] |= {"description": "A short code", "title": "Code"}
    current["properties"]["trace_id"]["default"] = "none"
    assert breaking_changes(published, current) == []


def test_a_field_may_not_go(published: dict[str, Any], current: dict[str, Any]) -> None:
    del current["properties"]["error_code"]
    current["required"].remove("error_code")
    assert breaking_changes(published, current) == ["`error_code` is gone"]


def test_a_field_may_not_become_required(published: dict[str, Any], current: dict[str, Any]) -> None:
    current["required"].append("trace_id")
    assert breaking_changes(published, current) == ["`trace_id` has become required"]


def test_a_new_field_may_not_be_required(published: dict[str, Any], current: dict[str, Any]) -> None:
    """Records that are in the topic already do not have it."""
    current["properties"]["hint"] = {"type": "string"}
    current["required"].append("hint")
    assert breaking_changes(published, current) == ["`hint` has become required"]


def test_a_field_may_not_change_its_type(published: dict[str, Any], current: dict[str, Any]) -> None:
    current["properties"]["attempt"] = {"type": "string"}
    [fault] = breaking_changes(published, current)
    assert fault.startswith("`attempt` has changed")


def test_an_enumeration_may_not_grow_behind_its_reference() -> None:
    """An older consumer would set a record with the new value aside as malformed."""
    published = event_schema(AutomationDue)
    current = deepcopy(published)
    current["$defs"]["Lane"]["enum"].append("urgent")
    [fault] = breaking_changes(published, current)
    assert fault.startswith("`lane` has changed")
    current["$defs"]["Lane"] = {**published["$defs"]["Lane"], "description": "In other words"}
    assert breaking_changes(published, current) == []


def test_an_event_may_not_go(published: dict[str, Any]) -> None:
    assert breaking_changes(published, None) == ["the event is gone"]
