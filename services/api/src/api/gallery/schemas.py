"""What clients send and receive about the gallery."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.connection_kinds import PlatformName
from api.fields import Input, Name
from api.gallery.base import Category


class GalleryTemplateOut(BaseModel):
    """An automation that is ready but for a few questions."""

    id: str
    title: str
    summary: str
    category: Category
    type: str = Field(description="The type of the automation it makes")
    platforms: list[PlatformName]
    parameters_schema: dict[str, Any] = Field(description="JSON Schema of the questions it asks")


class FromTemplate(Input):
    """An automation made of a template of the gallery."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "template": "daily-ad-report",
                    "destination_id": "0198c0de-0000-7000-8000-000000000001",
                    "name": "Morning numbers",
                    "parameters": {"hour": 8, "timezone": "Europe/Berlin"},
                }
            ]
        }
    )

    template: str = Field(max_length=100, description="See `/api/automation-templates`")
    destination_id: UUID = Field(description="Where its results go; see `/api/destinations`")
    name: Name | None = Field(default=None, description="Without it, the template's title")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Answers to the template's questions; its defaults for the others"
    )
