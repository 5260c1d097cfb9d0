"""A delivered message as a page may show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import nh3
from markupsafe import Markup

# What Telegram shows (https://core.telegram.org/bots/api#html-style) and nothing else.
_TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "a", "code", "pre", "blockquote"}
_ATTRIBUTES = {"a": {"href"}}
_SCHEMES = {"http", "https", "mailto"}


def safe_html(message: Mapping[str, Any]) -> Markup:
    """The message's own markup, stripped of everything that could act; its text when it has no markup."""
    html = message.get("html")
    if not isinstance(html, str) or not html:
        return Markup("{}").format(str(message.get("text", "")))
    cleaned = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(cleaned)  # noqa: S704  # nh3 has just cleaned it by an allow-list


def as_json(value: Any) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)
