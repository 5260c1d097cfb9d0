"""Markup as Telegram reads it."""

from __future__ import annotations

import html
from html.parser import HTMLParser

_TAGS = {"b", "i", "u", "s", "a", "code", "pre", "blockquote"}


class TelegramParser(HTMLParser):
    """Accepts what Telegram accepts and fails at anything else."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.open: list[str] = []
        self.shown = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS, f"unsupported tag {tag}"
        assert [name for name, _value in attrs] == (["href"] if tag == "a" else [])
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert "<" not in data
        assert "&" not in data
        self.shown += data

    def handle_entityref(self, name: str) -> None:
        assert name in ("lt", "gt", "amp", "quot")
        self.shown += html.unescape(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.shown += html.unescape(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")


def shown(markup: str) -> str:
    """What a reader sees of `markup`; AssertionError when Telegram would refuse it."""
    parser = TelegramParser()
    parser.feed(markup)
    parser.close()
    assert parser.open == []
    return parser.shown
