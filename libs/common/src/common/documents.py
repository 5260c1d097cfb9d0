"""The events in standard formats: JSON Schemas, an AsyncAPI document, and the breaking changes between
versions.

Everything is derived from `common.events` and `common.broker`; nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from common.broker import DEAD_LETTER_SUFFIX, TOPICS, Topic
from common.events import CONTENT_TYPE, EVENT_TYPES, Event

Document = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KAFKA_BINDING = "0.5.0"
_SCHEMA_PATH = "/schemas/{}.json"
"""What `ce_dataschema` says, see `common.events.to_record`."""

_DESCRIPTION = """\
CloudEvents 1.0 in binary mode over Kafka: the attributes are `ce_*` headers, the value is the payload as
JSON, and `ce_id` is the idempotency key. Delivery is at least once. Fields may be added to a payload at any
time; what would break a reader gets a new type ending in `.v2`.
"""


class _Schema(GenerateJsonSchema):
    """JSON Schema without titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def event_schema(event: type[Event]) -> Document:
    """The JSON Schema of an event's payload.

    A field with a default is not required: records written before it was added lack it.
    """
    schema = event.model_json_schema(schema_generator=_Schema)
    return {"$schema": DIALECT, "$id": _SCHEMA_PATH.format(event.type), **schema}


def event_schemas() -> dict[str, Document]:
    """The JSON Schema of every event by its type."""
    return {name: event_schema(event) for name, event in sorted(EVENT_TYPES.items())}


def breaking_changes(published: Mapping[str, Any], current: Mapping[str, Any] | None) -> list[str]:
    """What in `current` would break readers of `published` records; empty when nothing would.

    Both are JSON Schemas of one event. A field may be added if records without it stay valid. None: the event
    is gone. A value added to an enumeration counts as a break, because an older consumer refuses it.
    """
    if current is None:
        return ["the event is gone"]
    old, new = published.get("properties", {}), current.get("properties", {})
    faults = [f"`{name}` is gone" for name in old if name not in new]
    demanded = set(current.get("required", ())) - set(published.get("required", ()))
    faults += [f"`{name}` has become required" for name in new if name in demanded]
    for name in old:
        if name in new:
            before, after = _meaning(old[name], published), _meaning(new[name], current)
            if before != after:
                faults.append(f"`{name}` has changed from {before} to {after}")
    return faults


def _meaning(schema: Any, root: Mapping[str, Any]) -> Any:
    """A schema with its references resolved and without what validates nothing."""
    if isinstance(schema, Mapping):
        reference = schema.get("$ref")
        if reference is not None:
            return _meaning(root["$defs"][reference.removeprefix("#/$defs/")], root)
        silent = ("title", "description", "default", "examples")
        return {name: _meaning(part, root) for name, part in schema.items() if name not in silent}
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [_meaning(part, root) for part in schema]
    return schema


def asyncapi(*, version: str, schema_folder: str) -> Document:
    """The AsyncAPI 3.0 document of every topic, with the payloads' schemas in `schema_folder`."""
    live = [topic for topic in TOPICS if not topic.name.endswith(DEAD_LETTER_SUFFIX)]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Carillon's events",
            "version": version,
            "description": _DESCRIPTION,
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "kafka": {
                "host": "{bootstrapServers}",
                "protocol": "kafka",
                "description": "KAFKA_BOOTSTRAP_SERVERS; KAFKA_TOPIC_PREFIX may stand before every topic",
                "variables": {"bootstrapServers": {"default": "localhost:9092"}},
            }
        },
        "channels": {topic.name: _channel(topic) for topic in live} | {"deadLetters": _dead_letters(live)},
        "operations": dict(_operations(live)),
        "components": {
            "messages": {event.__name__: _message(event, schema_folder) for event in EVENT_TYPES.values()}
            | {"DeadLetter": _dead_letter()},
        },
    }


def _events_on(topic: str) -> list[type[Event]]:
    return [event for event in EVENT_TYPES.values() if topic in event.topics]


def _channel(topic: Topic) -> Document:
    kafka: Document = {"partitions": topic.partitions, "bindingVersion": KAFKA_BINDING}
    if topic.config and "cleanup.policy" in topic.config:
        kafka["topicConfiguration"] = {"cleanup.policy": [topic.config["cleanup.policy"]]}
    return {
        "address": topic.name,
        "messages": {
            event.__name__: {"$ref": f"#/components/messages/{event.__name__}"}
            for event in _events_on(topic.name)
        },
        "bindings": {"kafka": kafka},
    }


def _dead_letters(live: Sequence[Topic]) -> Document:
    return {
        "address": "{topic}" + DEAD_LETTER_SUFFIX,
        "description": "Records that no consumer could read, each with the reason in its headers",
        "parameters": {"topic": {"enum": [topic.name for topic in live]}},
        "messages": {"DeadLetter": {"$ref": "#/components/messages/DeadLetter"}},
        "bindings": {"kafka": {"partitions": 1, "bindingVersion": KAFKA_BINDING}},
    }


def _operations(live: Sequence[Topic]) -> Iterator[tuple[str, Document]]:
    for topic in live:
        # A channel's name in a reference is a JSON pointer's token; ours have neither `~` nor `/`.
        channel = f"#/channels/{topic.name}"
        events = _events_on(topic.name)
        for service in sorted({source for event in events for source in event.sources}):
            yield (
                f"{service}.sends.{topic.name}",
                {
                    "action": "send",
                    "channel": {"$ref": channel},
                    "tags": [{"name": service}],
                    "messages": [
                        {"$ref": f"{channel}/messages/{event.__name__}"}
                        for event in events
                        if service in event.sources
                    ],
                },
            )


def _message(event: type[Event], schema_folder: str) -> Document:
    key = _key_schema(event)
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": _summary(event),
        "contentType": CONTENT_TYPE,
        "headers": _headers(event),
        "payload": {"$ref": f"{schema_folder}/{event.type}.schema.json"},
        "bindings": {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING}},
    }


def _key_schema(event: type[Event]) -> Document:
    properties = event_schema(event)["properties"]
    return {**properties[event.key_field], "description": f"The payload's `{event.key_field}`"}


def _headers(event: type[Event]) -> Document:
    always: Document = {
        "ce_id": {"type": "string", "format": "uuid", "description": "Idempotency key: one for each event"},
        "ce_source": {"type": "string", "enum": [f"/{source}" for source in event.sources]},
        "ce_type": {"type": "string", "const": event.type},
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_time": {"type": "string", "format": "date-time", "description": "When it happened"},
        "ce_subject": {"type": "string", "description": "The record's key"},
        "ce_dataschema": {"type": "string", "const": _SCHEMA_PATH.format(event.type)},
        "content-type": {"type": "string", "const": CONTENT_TYPE},
    }
    trace = {"traceparent": {"type": "string", "description": "W3C Trace Context of what caused the event"}}
    return {"type": "object", "required": list(always), "properties": always | trace}


def _dead_letter() -> Document:
    reasons = {
        "error_reason": "A short stable code: `not_json`, `unknown_type`, `invalid`, …",
        "error_message": "What was wrong, for a person",
        "original_topic": "Where the record was read",
        "original_partition": "In which partition",
        "original_offset": "At which offset",
    }
    headers = {name: {"type": "string", "description": text} for name, text in reasons.items()}
    cut = {"type": "string", "description": "Bytes that were kept of a value too large to be kept whole"}
    return {
        "name": "dead letter",
        "title": "DeadLetter",
        "summary": "The original record, with its own headers and these besides.",
        "headers": {
            "type": "object",
            "required": list(headers),
            "properties": {**headers, "truncated_to": cut},
        },
        "payload": {"description": "The original value, byte for byte"},
    }


def _summary(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split("\n\n")[0].split())
