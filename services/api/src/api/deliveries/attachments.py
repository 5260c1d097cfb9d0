"""What clients may see of the pictures and files that come with messages: their names and sizes.

Contents stay in the database: they can be megabytes, and reading a run need not load its files.
Only the chart of a message is shown, by the console.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Text, cast, type_coerce
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped

from common.messages import MAX_FILES, Attachment

_CONTENTS = (["chart", "content"], *(["files", str(index), "content"] for index in range(MAX_FILES)))
SHOWN_TYPE = "image/png"


def without_contents(message: Mapped[dict[str, Any]]) -> ColumnElement[dict[str, Any]]:
    """The message of a column without the contents of what comes with it, which are not even read."""
    bare: ColumnElement[Any] = type_coerce(message, JSONB)
    for path in _CONTENTS:
        bare = bare.op("#-", return_type=JSONB)(cast(path, ARRAY(Text)))
    return bare


def result_without_contents(result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A run's result, where it is a dry run's, without the contents of what would have been delivered."""
    if result is None or "would_deliver" not in result:
        return None if result is None else dict(result)
    return {**result, "would_deliver": [_bare(message) for message in result["would_deliver"]]}


def _bare(message: Mapping[str, Any]) -> dict[str, Any]:
    bare = dict(message)
    if message.get("chart") is not None:
        bare["chart"] = _known(message["chart"])
    if "files" in message:
        bare["files"] = [_known(file) for file in message["files"]]
    return bare


def _known(attachment: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attachment.items() if name != "content"}


def picture(stored: object) -> bytes | None:
    """The bytes of a stored chart; None where there is none that a browser may show."""
    try:
        chart = Attachment.model_validate(stored)
    except ValidationError:
        return None
    return chart.data if chart.media_type == SHOWN_TYPE else None
