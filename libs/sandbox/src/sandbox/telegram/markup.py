"""Formatted text: what is shown, and which stretches of it are styled.

Offsets and lengths are UTF-16 code units, as everywhere in the Bot API.
"""

from dataclasses import dataclass, field
from typing import Any

from sandbox.telegram.errors import bad_request

MAX_ENTITIES = 100
_WHITESPACE = " \t\r\n\v\f\u00a0"


@dataclass(slots=True)
class Entity:
    """One styled stretch."""

    type: str
    offset: int
    length: int
    extra: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"offset": self.offset, "length": self.length, "type": self.type, **self.extra}


@dataclass(slots=True)
class FormattedText:
    """Plain text with its entities."""

    text: str
    entities: list[Entity]

    def trimmed(self) -> "FormattedText":
        """Without surrounding white space, entities moved along; empty entities vanish."""
        body = self.text.lstrip(_WHITESPACE)
        skipped = utf16_length(self.text) - utf16_length(body)
        body = body.rstrip(_WHITESPACE)
        size = utf16_length(body)
        kept = []
        for entity in self.entities:
            start = max(entity.offset - skipped, 0)
            end = min(entity.offset + entity.length - skipped, size)
            if end > start:
                kept.append(Entity(entity.type, start, end - start, entity.extra))
        kept.sort(key=lambda entity: (entity.offset, -entity.length))
        return FormattedText(body, kept[:MAX_ENTITIES])


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units."""
    if text.isascii():
        return len(text)
    return len(text) + sum(char > "\uffff" for char in text)


def given_entities(items: list[Any], text: str) -> FormattedText:
    """Entities the caller computed itself; raises 400 for one that cannot be."""
    entities = []
    size = utf16_length(text)
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("type"), str):
            raise bad_request("can't parse MessageEntity: expected an Object with type")
        offset, length = item.get("offset"), item.get("length")
        if not isinstance(offset, int) or not isinstance(length, int):
            raise bad_request("can't parse MessageEntity: offset and length must be Numbers")
        if offset < 0 or length < 1 or offset + length > size:
            raise bad_request(
                f"entity begins in a middle of a UTF-16 symbol or ends after the end of the text at {offset}"
            )
        extra = {name: value for name, value in item.items() if name not in ("type", "offset", "length")}
        entities.append(Entity(item["type"], offset, length, extra))
    return FormattedText(text, entities)
