"""What clients send and receive about recording sources."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.fields import UNSET, Input, Name, Patch
from common.models import SourceStatus

ME = "me"
WHO = (
    "Whose: `me` for the person who connected the account, or a user's id or e-mail address where the "
    "connection may read those of others"
)
ExternalUser = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\s\x00-\x1f]+$")
]


class SourceCreate(Input):
    """A person whose recordings are to be taken."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "connection_id": "0198c0de-0000-7000-8000-000000000004",
                    "name": "Dana's meetings",
                    "external_user": "dana@brightpath.example",
                }
            ]
        }
    )

    connection_id: UUID = Field(description="A Zoom connection of yours; see `/api/connections`")
    name: Name
    external_user: ExternalUser = Field(default=ME, description=WHO)


class SourcePatch(Patch):
    """Changes to a source. Its connection stays."""

    name: Name = UNSET
    external_user: ExternalUser = Field(default=UNSET, description=WHO)
    status: SourceStatus = Field(default=UNSET, description="`active` clears what had disabled it")


class SourceOut(BaseModel):
    """A source of recordings."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "0198c0de-0000-7000-8000-000000000005",
                    "tenant_id": "0198c0de-0000-7000-8000-000000000000",
                    "number": 3,
                    "connection_id": "0198c0de-0000-7000-8000-000000000004",
                    "name": "Dana's meetings",
                    "external_user": "dana@brightpath.example",
                    "status": "active",
                    "status_reason": None,
                    "last_synced_at": "2026-03-01T08:30:12Z",
                    "last_error": None,
                    "created_at": "2026-01-19T10:00:00Z",
                    "updated_at": "2026-01-19T10:00:00Z",
                }
            ]
        },
    )

    id: UUID
    tenant_id: UUID
    number: int = Field(description="How rules name it, counted within your team")
    connection_id: UUID
    name: str
    external_user: str
    status: SourceStatus = Field(description="`disabled`: nothing is taken from it, `status_reason` says why")
    status_reason: str | None
    last_synced_at: datetime | None = Field(description="When its recordings were last listed without error")
    last_error: str | None = Field(description="Why they could not be listed, unless they were since")
    created_at: datetime
    updated_at: datetime
