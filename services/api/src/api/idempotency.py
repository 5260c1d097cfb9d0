"""`Idempotency-Key`: a POST that is sent again is answered as it was the first time, and does nothing more.

The key, a hash of the request and the answer are stored in the request's own transaction: there is an answer
to repeat exactly when the change was made. A refused request stores nothing. Answers are sealed, because some
hold a secret that is shown once.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.commits import transaction
from api.context import Collaborators
from api.problems import BadHeader
from common.errors import Conflict
from common.ids import new_id
from common.models import IdempotencyKey

HEADER = "Idempotency-Key"
REPEATED = "Idempotency-Replayed"
KEPT = timedelta(hours=24)
"""How long an answer is repeated; after that the key may be used for another request."""
ABANDONED = timedelta(minutes=1)
"""A request that committed before it was answered, as a dry run does, is given up as lost after this long."""
_LONGEST = 255
_COLUMN = "idempotency_body"
_KEPT_HEADERS = frozenset({"content-type", "etag", "link", "location"})


class Repeated(Exception):
    """The request was answered before; `response` is the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered before")
        self.response = response


@dataclass(frozen=True, slots=True)
class Pending:
    """A request under a key, to be answered."""

    id: UUID
    tenant_id: UUID
    session: AsyncSession
    wired: Collaborators

    async def keep(self, response: Response) -> None:
        """Store the answer, in the request's transaction unless that has ended before it was known."""
        headers = {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS}
        body = self.wired.keys.seal(
            bytes(response.body).decode(), tenant_id=self.tenant_id, row_id=self.id, column=_COLUMN
        )
        statement = (
            update(IdempotencyKey)
            .where(col(IdempotencyKey.id) == self.id)
            .values(status=response.status_code, headers=headers, body_sealed=body)
        )
        if self.session.in_transaction():
            await self.session.execute(statement)
        else:
            async with transaction(self.wired.sessions, self.wired.engine) as later:
                await later.execute(statement)


async def begin(
    request: Request,
    session: AsyncSession,
    wired: Collaborators,
    *,
    tenant_id: UUID,
    user_id: UUID,
    now: datetime,
) -> None:
    """Note the request's key, if it has one.

    Raises Repeated; BadHeader when the key was used for another request; Conflict while this one goes on.
    """
    key = request.headers.get(HEADER)
    if key is None or request.method != "POST":
        return
    if not 1 <= len(key) <= _LONGEST or not key.isprintable():
        raise BadHeader(HEADER, f"write 1 to {_LONGEST} characters, such as a UUID")
    digest = await _digest(request)
    mine = col(IdempotencyKey.user_id) == user_id
    await session.execute(delete(IdempotencyKey).where(mine, col(IdempotencyKey.created_at) < now - KEPT))
    # Where the same request is going on, this waits for its end.
    made = await session.scalar(
        insert(IdempotencyKey)
        .values(
            id=new_id(), tenant_id=tenant_id, user_id=user_id, key=key, request_hash=digest, created_at=now
        )
        .on_conflict_do_nothing()
        .returning(col(IdempotencyKey.id))
    )
    if made is None:
        query = select(IdempotencyKey).where(mine, col(IdempotencyKey.key) == key).with_for_update()
        row = (await session.execute(query)).scalar_one()
        if row.request_hash != digest:
            raise BadHeader(HEADER, "was used for another request; write a new one for this")
        if row.status is not None and row.body_sealed is not None:
            raise Repeated(_answer(wired, row))
        if row.created_at > now - ABANDONED:
            raise Conflict("The request of this Idempotency-Key is still going on; try again in a moment.")
        row.created_at = now
        made = row.id
    request.state.idempotency = Pending(made, tenant_id, session, wired)


async def keep(request: Request, response: Response) -> None:
    """Store the answer of a request that has a key."""
    pending: Pending | None = getattr(request.state, "idempotency", None)
    if pending is not None:
        await pending.keep(response)


async def repeat(_request: Request, repeated: Any) -> Response:
    """FastAPI exception handler: the answer of the first time."""
    response: Response = repeated.response
    return response


def _answer(wired: Collaborators, row: IdempotencyKey) -> Response:
    body = wired.keys.open(row.body_sealed or b"", tenant_id=row.tenant_id, row_id=row.id, column=_COLUMN)
    return Response(body, status_code=row.status or 200, headers={**row.headers, REPEATED: "true"})


async def _digest(request: Request) -> bytes:
    asked = f"{request.method} {request.url.path}?{request.url.query}\n"
    return hashlib.sha256(asked.encode() + await request.body()).digest()
