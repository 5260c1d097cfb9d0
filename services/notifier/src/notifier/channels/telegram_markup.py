"""Cutting a Telegram message into parts that are each valid on their own.

Pure. Telegram counts a message's length in UTF-16 units after it has parsed the markup, and refuses a part
whose tags do not match. So the markup is parsed here too, the cuts are chosen on the bare text, and every tag
that is open at a cut is closed before it and opened again after it.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

MAX_UNITS = 4_096
"""UTF-16 units Telegram takes in one message."""
MAX_STYLES = 90
"""Tags opened in one part. Telegram silently ignores all entities after the hundredth, links included; the
rest is room for reopened tags."""

# What Telegram's own parser takes: references may lack their semicolon, quoted values may hold anything.
_TOKEN = re.compile(
    r"<(?P<close>/)?(?P<name>[a-zA-Z][a-zA-Z0-9-]*)"
    r"(?:\s+[a-zA-Z][a-zA-Z-]*(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[a-zA-Z0-9._-]+))?)*\s*>"
    r"|&(?:(?P<named>lt|gt|amp|quot)(?![a-zA-Z])|#(?P<decimal>[0-9]{1,7})|#x(?P<hex>[0-9a-fA-F]{1,6}));?"
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
    return len(text) if text.isascii() else len(text) + sum(character > "\uffff" for character in text)


def message_parts(html: str | None, plain: str, *, limit: int = MAX_UNITS) -> list[Part]:
    """The messages to send for one text. Parts of white space only are left out.

    Markup that does not parse is sent as it is when it is short, because Telegram's parser has the last word;
    when it would have to be cut, the plain text is sent instead.
    """
    plain_parts = [Part(None, plain[start:end]) for start, end in _cuts(_Markup(plain, ()), limit)]
    if html is None:
        return plain_parts
    try:
        markup = _parse(html)
    except Malformed:
        if units(html) <= limit and len(plain_parts) == 1:
            return [Part(html, plain_parts[0].plain)]
        return plain_parts
    spans = list(_cuts(markup, limit))
    if len(spans) == 1 and len(plain_parts) == 1:
        return [Part(html, plain_parts[0].plain)]
    return [Part(_render(markup, start, end), markup.text[start:end]) for start, end in spans]


def _parse(html: str) -> _Markup:
    text: list[str] = []
    tags: list[_Tag] = []
    open_names: list[str] = []
    length = position = 0
    for match in _TOKEN.finditer(html):
        read = html[position : match.start()]
        position = match.end()
        name = (match["name"] or "").lower()
        if match["stray"]:
            raise Malformed(f"the < at character {match.start()} begins no tag")
        if not name:
            read += _character(match) or match[0]
        text.append(read)
        length += len(read)
        if match["close"]:
            if not open_names or open_names.pop() != name:
                raise Malformed(f"the end tag at character {match.start()} ends nothing")
            tags.append(_Tag(length, name, None))
        elif name:
            open_names.append(name)
            tags.append(_Tag(length, name, match[0]))
    if open_names:
        raise Malformed(f"<{open_names[-1]}> has no end tag")
    text.append(html[position:])
    return _Markup("".join(text), tags)


def _character(reference: re.Match[str]) -> str | None:
    """The character a reference stands for; None when it stands for itself."""
    if reference["named"]:
        return _NAMED[reference["named"]]
    code = int(reference["decimal"]) if reference["decimal"] else int(reference["hex"], 16)
    return chr(code) if 0 < code < 0x10FFFF and not 0xD800 <= code <= 0xDFFF else None


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


def _cuts(markup: _Markup, limit: int) -> Iterator[tuple[int, int]]:
    """Where the parts begin and end; the white space at a cut belongs to neither side."""
    text = markup.text
    preformatted = _preformatted(markup)
    openings = [tag.offset for tag in markup.tags if tag.markup is not None]
    start = 0
    while start < len(text):
        reach = _reach(text, start, limit)
        last = bisect_left(openings, start) + MAX_STYLES
        if last < len(openings):
            reach = max(start + 1, min(reach, openings[last]))
        cut = reach if reach == len(text) else _best_cut(text, preformatted, start, reach)
        end = start + len(text[start:cut].rstrip())
        if end > start:
            yield start, end
        start = cut
        while start < len(text) and text[start].isspace():
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
