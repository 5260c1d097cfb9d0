"""Pages by cursor: stable while rows arrive, and as fast on the last page as on the first.

A cursor is the (created_at, id) of the last row shown, newest first; it is opaque to clients and checked
when it comes back.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, tuple_

from api.problems import BadParameter
from common.strict import Digits

DEFAULT_LIMIT = 50
MAX_LIMIT = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMAT = struct.Struct(">q16s")

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page of a list, newest first."""

    items: list[T]
    next_cursor: str | None = Field(
        default=None, description="Pass as `cursor` for the next page; absent on the last"
    )
    next: str | None = Field(default=None, description="The next page's address")


class BadCursor(BadParameter):
    """The cursor was not made by this API."""

    def __init__(self) -> None:
        super().__init__("cursor", "not a cursor of this API; leave it out for the first page")


@dataclass(frozen=True, slots=True)
class Position:
    """The row a page ends with."""

    created_at: datetime
    id: UUID

    def encode(self) -> str:
        """As a cursor."""
        microseconds = (self.created_at - _EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(_FORMAT.pack(microseconds, self.id.bytes)).decode()

    @classmethod
    def decode(cls, cursor: str) -> Position:
        """From a cursor; raises BadCursor."""
        try:
            packed = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
            microseconds, identifier = _FORMAT.unpack(packed)
            return cls(_EPOCH + timedelta(microseconds=microseconds), UUID(bytes=identifier))
        except (binascii.Error, struct.error, ValueError, OverflowError) as error:
            raise BadCursor from error


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted."""

    limit: int
    after: Position | None

    def condition(self, created_at: Any, identifier: Any) -> list[ColumnElement[bool]]:
        """WHERE clauses for the rows after the cursor, served by an index on both columns."""
        if self.after is None:
            return []
        return [tuple_(created_at, identifier) < tuple_(self.after.created_at, self.after.id)]


def page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows on a page"), Digits] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before")
    ] = None,
) -> PageRequest:
    """FastAPI dependency for `limit` and `cursor`."""
    return PageRequest(limit, Position.decode(cursor) if cursor else None)


WantedPage = Annotated[PageRequest, Depends(page_request)]


def next_cursor(wanted: PageRequest, rows: Sequence[Any], *, by: str = "created_at") -> str | None:
    """The cursor of the next page; None when `rows`, one more than a page shows, say that there is none."""
    if len(rows) <= wanted.limit:
        return None
    last = rows[wanted.limit - 1]
    return Position(getattr(last, by), last.id).encode()


def page(
    request: Request, wanted: PageRequest, rows: Sequence[Any], shown: Sequence[T], *, by: str = "created_at"
) -> Page[T]:
    """A page of what is `shown` of `rows`, which are ordered by the instants of a column."""
    cursor = next_cursor(wanted, rows, by=by)
    if cursor is None:
        return Page(items=list(shown))
    target = request.url.include_query_params(cursor=cursor, limit=wanted.limit)
    return Page(items=list(shown[: wanted.limit]), next_cursor=cursor, next=f"{target.path}?{target.query}")
