"""parse_mode HTML: which markup the Bot API takes, and how it words its refusals."""

import string
from dataclasses import dataclass, field

from sandbox.telegram.errors import bad_request
from sandbox.telegram.markup import Entity, FormattedText, utf16_length

_STYLES = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
}
_TAGS = frozenset({*_STYLES, "a", "code", "pre", "blockquote"})
_NAMED = {b"lt": "<", b"gt": ">", b"amp": "&", b"quot": '"'}
_SPACE = b" \t\r\n\v\0"
_ENDS_NAME = _SPACE + b"=>/\"'"
_NAME_TOKEN = (string.ascii_letters + string.digits + ".-").encode()
_LONGEST_REFERENCE = 10


@dataclass(slots=True)
class _Open:
    """A start tag that waits for its end tag."""

    tag: str
    attributes: dict[str, str]
    offset: int
    position: int
    """Where its content begins in the list of decoded pieces."""


@dataclass(slots=True)
class _Parser:
    """Walks over the UTF-8 bytes, because errors are reported by byte offset."""

    source: bytes
    at: int = 0
    offset: int = 0
    pieces: list[str] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)

    def run(self) -> FormattedText:
        size = len(self.source)
        if b"\0" in self.source:
            raise _refusal("Text must not contain null bytes")
        while self.at < size:
            special = self._next_special()
            if special > self.at:
                self._emit(self.source[self.at : special].decode("utf-8", "surrogatepass"))
                self.at = special
            elif self.source[self.at] == 0x26:
                self._emit(self._reference() or self._literal_ampersand())
            elif self._peek(1) == b"/":
                self._end_tag()
            else:
                self._start_tag()
        if self.stack:
            raise _refusal(f'Can\'t find end tag corresponding to start tag "{self.stack[-1].tag}"')
        text = "".join(self.pieces)
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise _refusal(
                "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched "
                "surrogate code units"
            )
        for entity in self.entities:
            if entity.type == "code":
                entity.extra = {}
        return FormattedText(text, self.entities)

    def _next_special(self) -> int:
        found = [
            where
            for where in (self.source.find(b"<", self.at), self.source.find(b"&", self.at))
            if where >= 0
        ]
        return min(found, default=len(self.source))

    def _peek(self, ahead: int = 0) -> bytes:
        """One byte, or NUL past the end."""
        where = self.at + ahead
        return self.source[where : where + 1] or b"\0"

    def _emit(self, text: str) -> None:
        self.pieces.append(text)
        self.offset += utf16_length(text)

    def _literal_ampersand(self) -> str:
        self.at += 1
        return "&"

    def _reference(self) -> str:
        """The character a reference stands for; nothing is consumed when it is not one."""
        begin = self.at
        end = begin + 1
        if self.source[end : end + 1] == b"#":
            end += 1
            base, digits = 10, string.digits
            if self.source[end : end + 1] == b"x":
                end += 1
                base, digits = 16, string.hexdigits
            first = end
            while end < len(self.source) and chr(self.source[end]) in digits:
                end += 1
            code = int(self.source[first:end], base) if end > first else 0
            if code == 0 or code >= 0x10FFFF or end - begin >= _LONGEST_REFERENCE:
                return ""
            char = chr(code)
        else:
            while end < len(self.source) and chr(self.source[end]) in string.ascii_letters:
                end += 1
            char = _NAMED.get(self.source[begin + 1 : end], "")
            if not char:
                return ""
        self.at = end + (self.source[end : end + 1] == b";")
        return char

    def _start_tag(self) -> None:
        begin = self.at
        self.at += 1
        while self._peek() not in (b">",) and self._peek() not in _SPACE:
            self.at += 1
        if self._ended():
            raise _refusal(f"Unclosed start tag at byte offset {begin}")
        tag = self.source[begin + 1 : self.at].decode("utf-8", "replace").lower()
        if tag not in _TAGS:
            raise _refusal(f'Unsupported start tag "{tag}" at byte offset {begin}')
        attributes = self._attributes(tag, begin)
        self.at += 1
        self.stack.append(_Open(tag, attributes, self.offset, len(self.pieces)))

    def _attributes(self, tag: str, begin: int) -> dict[str, str]:
        """Everything up to the closing bracket, which is left to be read."""
        attributes: dict[str, str] = {}
        while self._peek() != b">":
            self._skip_space()
            if self._peek() == b">":
                break
            start = self.at
            while not self._ended() and self._peek() not in _ENDS_NAME:
                self.at += 1
            name = self.source[start : self.at].decode("utf-8", "replace")
            if not name:
                raise _refusal(f'Empty attribute name in the tag "{tag}" at byte offset {begin}')
            self._skip_space()
            if self._peek() != b"=":
                if self._ended():
                    raise _refusal(f'Unclosed start tag "{tag}" at byte offset {begin}')
                attributes[name] = ""
                continue
            self.at += 1
            self._skip_space()
            if self._ended():
                raise _refusal(f'Unclosed start tag "{tag}" at byte offset {begin}')
            attributes[name] = self._attribute_value()
            if self._ended():
                raise _refusal(f"Unclosed start tag at byte offset {begin}")
        return attributes

    def _attribute_value(self) -> str:
        quote = self._peek()
        start = self.at
        if quote not in (b'"', b"'"):
            while not self._ended() and self._peek() in _NAME_TOKEN:
                self.at += 1
            if self._peek() != b">" and self._peek() not in _SPACE:
                raise _refusal(f"Unexpected end of name token at byte offset {start}")
            return self.source[start : self.at].decode().lower()
        self.at += 1
        parts: list[bytes] = []
        while not self._ended() and self._peek() != quote:
            char = self._reference() if self._peek() == b"&" else ""
            if char:
                parts.append(char.encode("utf-8", "surrogatepass"))
            else:
                parts.append(self._peek())
                self.at += 1
        if not self._ended():
            self.at += 1
        return b"".join(parts).decode("utf-8", "replace")

    def _end_tag(self) -> None:
        begin = self.at
        self.at += 1
        if not self.stack:
            raise _refusal(f"Unexpected end tag at byte offset {begin}")
        while not self._ended() and self._peek() != b">" and self._peek() not in _SPACE:
            self.at += 1
        found = self.source[begin + 2 : self.at].decode("utf-8", "replace").lower()
        self._skip_space()
        if self._peek() != b">":
            raise _refusal(f"Unclosed end tag at byte offset {begin}")
        self.at += 1
        opened = self.stack.pop()
        if found and found != opened.tag:
            raise _refusal(
                f'Unmatched end tag at byte offset {begin}, expected "</{opened.tag}>", found "</{found}>"'
            )
        if self.offset > opened.offset:
            self._close(opened)

    def _close(self, opened: _Open) -> None:
        offset, length = opened.offset, self.offset - opened.offset
        tag, attributes = opened.tag, opened.attributes
        if tag in _STYLES:
            self.entities.append(Entity(_STYLES[tag], offset, length))
        elif tag == "a":
            url = attributes.get("href") or "".join(self.pieces[opened.position :])
            if checked := _checked_link(url):
                self.entities.append(Entity("text_link", offset, length, {"url": checked}))
        elif tag == "blockquote":
            kind = "expandable_blockquote" if "expandable" in attributes else "blockquote"
            self.entities.append(Entity(kind, offset, length))
        else:
            self._close_code(opened, length)

    def _close_code(self, opened: _Open, length: int) -> None:
        """``pre`` and ``code`` around the same text are one block, with the language of ``code``."""
        language = opened.attributes.get("class", "") if opened.tag == "code" else ""
        language = language.removeprefix("language-") if language.startswith("language-") else ""
        last = self.entities[-1] if self.entities else None
        same = last is not None and (last.offset, last.length) == (opened.offset, length)
        if (
            last is not None
            and same
            and opened.tag == "pre"
            and last.type == "code"
            and "language" in last.extra
        ):
            last.type = "pre"
        elif last is not None and same and opened.tag == "code" and last.type == "pre" and language:
            last.extra = {"language": language}
        else:
            extra = {"language": language} if language else {}
            self.entities.append(Entity(opened.tag, opened.offset, length, extra))

    def _skip_space(self) -> None:
        while not self._ended() and self._peek() in _SPACE:
            self.at += 1

    def _ended(self) -> bool:
        return self.at >= len(self.source)


def parse_html(text: str) -> FormattedText:
    """Decode HTML markup; raises 400 as the Bot API words it."""
    return _Parser(text.encode("utf-8", "surrogatepass")).run()


def _checked_link(url: str) -> str:
    """A link that can be opened, or nothing: then the text stays plain."""
    url = url.strip()
    if not url or any(char.isspace() for char in url):
        return ""
    scheme, separator, rest = url.partition("://")
    if not separator:
        if url.startswith(("mailto:", "tel:")):
            return url
        return f"http://{url}/" if "." in url and "/" not in url else (f"http://{url}" if "." in url else "")
    if scheme.lower() not in ("http", "https", "tg", "ton", "tonsite") or not rest:
        return ""
    return f"{url}/" if scheme.lower() in ("http", "https") and "/" not in rest and "?" not in rest else url


def _refusal(detail: str) -> Exception:
    return bad_request(f"can't parse entities: {detail}")
