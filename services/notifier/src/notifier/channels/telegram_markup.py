"""Cutting a Telegram message into parts that are each valid on their own.

Pure. Telegram counts a message's length in UTF-16 units after it has parsed the markup, and refuses a part
whose tags do not match. So the markup is parsed here too, the cuts are chosen on the bare text, and every tag
that is open at a cut is closed before it and opened again after it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

MAX_UNITS = 4_096
"""UTF-16 units Telegram takes in one message."""

_TOKEN = re.compile(
    r"<(?P<close>/)?(?P<name>[a-zA-Z][a-zA-Z0-9-]*)"
    r"(?P<attributes>(?:\s+[a-zA-Z][\w-]*(?:\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>=]+))?)*)\s*>"
    r"|&(?P<entity>lt|gt|amp|quot|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});"
    r"|(?P<stray><)"
)
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


class Malformed(ValueError):
    """The markup does not parse; Telegram would refuse it as well."""


@dataclass(frozen=True, slots=True)
class Part:
    """One message of several. `html` is None when there is only plain text."""

    html: str | None
    plain: str


@dataclass(frozen=True, slots=True)
class _Tag:
    """A tag before the character at `offset`. `markup`: a start tag's source, None for an end tag."""

    offset: int
    name: str
    markup: str | None


@dataclass(frozen=True, slots=True)
class _Markup:
    text: str
    tags: Sequence[_Tag]


def units(text: str) -> int:
    """The length of `text` in UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)


def message_parts(html: str | None, plain: str, *, limit: int = MAX_UNITS) -> list[Part]:
    """The messages to send for one text. Parts that would hold only white space are left out.

    Markup that does not parse is sent as it is when it is short, because Telegram's parser has the last word;
    when it would have to be cut, the plain text is sent instead.
    """
    plain_parts = [Part(None, plain[start:end]) for start, end in _cuts(plain, frozenset(), limit)]
    if html is None:
        return plain_parts
    try:
        markup = _parse(html)
    except Malformed:
        if units(html) <= limit and len(plain_parts) == 1:
            return [Part(html, plain_parts[0].plain)]
        return plain_parts
    spans = list(_cuts(markup.text, _preformatted(markup), limit))
    if len(spans) == 1 and len(plain_parts) == 1:
        return [Part(html, plain_parts[0].plain)]
    return [Part(_render(markup, start, end), markup.text[start:end]) for start, end in spans]


def _parse(html: str) -> _Markup:
    text: list[str] = []
    tags: list[_Tag] = []
    open_names: list[str] = []
    length = position = 0
    for match in _TOKEN.finditer(html):
        before = html[position : match.start()]
        position = match.end()
        text.append(before)
        length += len(before)
        if match["stray"]:
            raise Malformed(f"a < at character {match.start()} begins no tag")
        if match["entity"]:
            character = _character(match["entity"]) or match[0]
            text.append(character)
            length += len(character)
            continue
        name = match["name"].lower()
        if match["close"]:
            if not open_names or open_names.pop() != name:
                raise Malformed(f"</{name}> at character {match.start()} closes nothing")
            tags.append(_Tag(length, name, None))
        else:
            open_names.append(name)
            tags.append(_Tag(length, name, match[0]))
    if open_names:
        raise Malformed(f"<{open_names[-1]}> is never closed")
    text.append(html[position:])
    return _Markup("".join(text), tags)


def _character(entity: str) -> str | None:
    if not entity.startswith("#"):
        return _NAMED[entity]
    code = int(entity[2:], 16) if entity[1] == "x" else int(entity[1:])
    return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else None


def _preformatted(markup: _Markup) -> frozenset[int]:
    """The offsets strictly inside a `pre`: a cut there tears a block apart."""
    inside: set[int] = set()
    opened: list[int] = []
    for tag in markup.tags:
        if tag.name != "pre":
            continue
        if tag.markup is not None:
            opened.append(tag.offset)
        else:
            inside.update(range(opened.pop() + 1, tag.offset))
    return frozenset(inside)


def _cuts(text: str, preformatted: frozenset[int], limit: int) -> Iterator[tuple[int, int]]:
    """Where the parts of `text` begin and end; the white space at a cut belongs to neither side."""
    start = 0
    while start < len(text):
        reach = _reach(text, start, limit)
        cut = reach if reach == len(text) else _best_cut(text, preformatted, start, reach)
        end = start + len(text[start:cut].rstrip())
        if end > start:
            yield start, end
        start = cut
        while start < len(text) and text[start] == "\n":
            start += 1


def _reach(text: str, start: int, limit: int) -> int:
    """The furthest end of a part that begins at `start`."""
    end = min(len(text), start + limit)
    excess = units(text[start:end]) - limit
    while excess > 0:
        end -= 1
        excess -= 2 if text[end] > "\uffff" else 1
    return end


def _best_cut(text: str, preformatted: frozenset[int], start: int, reach: int) -> int:
    """The latest cut of the best kind in the second half of what fits.

    Kinds, best first: between paragraphs, between lines, between lines of a preformatted block, between
    words. Without any, between characters as a reader sees them.
    """
    half = start + (reach - start) // 2
    best, best_kind = 0, 4
    for offset in range(reach, half, -1):
        before, after = text[offset - 1], text[offset]
        inside = offset in preformatted
        if before == "\n" or after == "\n":
            paragraph = text[offset - 2 : offset] == "\n\n" or text[offset : offset + 2] == "\n\n"
            kind = 2 if inside else 0 if paragraph else 1
        elif (before.isspace() or after.isspace()) and not inside:
            kind = 3
        else:
            continue
        if kind < best_kind:
            best, best_kind = offset, kind
        if kind == 0:
            break
    if best:
        return best
    return next((offset for offset in range(reach, half, -1) if not _joined(text, offset)), reach)


def _joined(text: str, offset: int) -> bool:
    """Whether the characters around `offset` make one: an accent, a skin tone, an emoji sequence."""
    before, after = text[offset - 1], text[offset]
    return (
        unicodedata.combining(after) != 0
        or unicodedata.category(after) in ("Mn", "Me")
        or after == "\u200d"
        or before == "\u200d"
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    )


def _render(markup: _Markup, start: int, end: int) -> str:
    """The markup of `text[start:end]`, complete in itself."""
    stack: list[_Tag] = []
    pieces: list[str] = []
    position = start
    began = False
    for tag in markup.tags:
        if tag.offset >= end:
            break
        if tag.offset > start:
            if not began:
                pieces.extend(opened.markup or "" for opened in stack)
                began = True
            pieces.append(escape(markup.text[position : tag.offset], quote=False))
            position = tag.offset
        if tag.markup is not None:
            stack.append(tag)
        else:
            stack.pop()
        if began:
            pieces.append(tag.markup or f"</{tag.name}>")
    if not began:
        pieces.extend(opened.markup or "" for opened in stack)
    pieces.append(escape(markup.text[position:end], quote=False))
    pieces.extend(f"</{tag.name}>" for tag in reversed(stack))
    return "".join(pieces)
