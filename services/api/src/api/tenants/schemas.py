"""What clients send and receive about their team, its people and their keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.fields import UNSET, Input, Moment, Name, Patch

Role = Literal["owner", "member"]
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
    ),
]


class TenantOut(BaseModel):
    """The team a key belongs to."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    plan: str
    created_at: datetime


class UserCreate(Input):
    """A new member of the team."""

    email: Email = Field(examples=["ana@example.com"])
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    role: Role = "member"


class UserPatch(Patch):
    """Changes to a member."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = UNSET
    role: Role = UNSET


class UserOut(BaseModel):
    """A person of the team."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    email: str
    name: str
    role: str
    created_at: datetime


class ApiKeyCreate(Input):
    """A new key."""

    name: Name = Field(examples=["CI"])
    user_id: UUID | None = Field(default=None, description="Whose key; without it, your own. Owners only")
    expires_at: Moment | None = Field(default=None, description="When it stops working, if it does")


class ApiKeyOut(BaseModel):
    """A key, as far as it can be shown: `hint` is how it begins."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    user_id: UUID
    name: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute")
    expires_at: datetime | None


class NewApiKey(ApiKeyOut):
    """A key that was just made."""

    key: str = Field(description="The key itself. It is shown this once")
