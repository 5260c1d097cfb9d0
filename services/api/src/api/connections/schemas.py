"""What clients send and receive about connections."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api.fields import UNSET, Input, Name, Patch, Secret
from common.models import ConnectionStatus, Platform

Scope = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Scopes = Annotated[list[Scope], Field(max_length=100)]


class ConnectionCreate(Input):
    """An account on a platform, with the token that was granted for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "platform": "facebook",
                    "name": "Main business",
                    "token": "EAAExampleExampleExample",
                    "scopes": ["ads_read", "pages_read_engagement"],
                }
            ]
        }
    )

    platform: Platform
    name: Name
    token: Secret = Field(description="The access token; never shown again")
    settings: dict[str, Any] = Field(default_factory=dict, description="What the platform needs besides")
    scopes: Scopes = Field(default_factory=list, description="What the token may do")
    expires_at: AwareDatetime | None = Field(default=None, description="When the token expires, if it does")


class ConnectionPatch(Patch):
    """Changes to a connection. A new `token` makes it active again."""

    name: Name = UNSET
    token: Secret = UNSET
    settings: dict[str, Any] = UNSET
    scopes: Scopes = UNSET
    expires_at: AwareDatetime | None = UNSET


class ConnectionOut(BaseModel):
    """A connection. Its token is never among what is shown."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    platform: Platform
    name: str
    status: ConnectionStatus = Field(description="`reauth_required`: give it a new token")
    status_reason: str | None
    settings: dict[str, Any]
    scopes: list[str]
    has_token: bool
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
