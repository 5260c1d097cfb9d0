"""Splitting a message into calls of the Bot API: a picture, texts and files.

Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx

from common.messages import Attachment, Message
from notifier.channels.telegram_markup import Part, message_parts

MAX_CAPTION = 1_024
"""UTF-16 units Telegram takes below a picture."""


class Method(StrEnum):
    """The methods of the Bot API that put something into a chat."""

    TEXT = "sendMessage"
    PHOTO = "sendPhoto"
    DOCUMENT = "sendDocument"


_FILE_FIELD = {Method.PHOTO: "photo", Method.DOCUMENT: "document"}
_WORDS_FIELD = {Method.TEXT: "text", Method.PHOTO: "caption", Method.DOCUMENT: "caption"}


@dataclass(frozen=True, slots=True)
class Post:
    """One call. `words` are its text or caption, `upload` its picture or file."""

    method: Method
    words: Part | None = None
    upload: Attachment | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body and what it is."""

    content: bytes
    content_type: str


def posts_of(message: Message) -> list[Post]:
    """The calls a message takes, in the order in which they are read in the chat.

    A text that fits below the picture is its caption. A longer one follows it, and the files come last.
    """
    files = [Post(Method.DOCUMENT, upload=file) for file in message.files]
    if message.chart is not None:
        captions = message_parts(message.html, message.text, limit=MAX_CAPTION)
        if len(captions) == 1:
            return [Post(Method.PHOTO, captions[0], message.chart), *files]
    texts = [Post(Method.TEXT, part) for part in message_parts(message.html, message.text)]
    pictures = [] if message.chart is None else [Post(Method.PHOTO, upload=message.chart)]
    return [*pictures, *texts, *files]


def body_of(post: Post, html: str | None, address: Mapping[str, Any]) -> Body:
    """The request of one call; `html` is the markup of its words, None for plain text."""
    fields = dict(address)
    if post.words is not None:
        fields[_WORDS_FIELD[post.method]] = post.words.plain if html is None else html
        if html is not None:
            fields["parse_mode"] = "HTML"
    if post.upload is None:
        fields["link_preview_options"] = {"is_disabled": True}
        return Body(json.dumps(fields).encode(), "application/json")
    upload = post.upload
    request = httpx.Request(
        "POST",
        "https://multipart.invalid",
        data={name: str(value) for name, value in fields.items()},
        files={_FILE_FIELD[post.method]: (upload.filename, upload.data, upload.media_type)},
    )
    return Body(request.read(), request.headers["content-type"])
