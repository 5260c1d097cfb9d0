"""What clients send and receive about recording templates, and about trying them out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.fields import UNSET, Input, Name, Patch
from common.automation_config.recording_sync import MAX_TEMPLATES, TemplateId
from common.models import RecordingStatus
from common.recordings.matching import Rule
from common.recordings.rules import MatchingRules
from common.recordings.settings import ProcessingSettings
from common.strict import Flag
from common.uniqueness import unique

Description = Annotated[str, Field(max_length=2_000, description="What it is for")]
RULES = "Which recordings it takes"
PROCESSING = "What is done with them; a recording job may override parts of it"
ACTIVE = "Whether recording jobs use it"
RULES_EXAMPLE: JsonDict = {
    "exact_matches": ["Weekly marketing call"],
    "keywords": ["lecture"],
    "patterns": ["^Course \\d+:"],
    "source_ids": [1],
}
PROCESSING_EXAMPLE: JsonDict = {
    "file_types": ["video", "transcript"],
    "transcription": {"language": "de"},
    "upload": [{"type": "store", "prefix": "{template}/{date}"}],
}


class TemplateCreate(Input):
    """Which recordings belong together, and what is done with them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Lectures",
                    "description": "Everything students may watch again",
                    "matching_rules": RULES_EXAMPLE,
                    "processing": PROCESSING_EXAMPLE,
                }
            ]
        }
    )

    name: Name
    description: Description = ""
    matching_rules: MatchingRules = Field(description=RULES)
    processing: ProcessingSettings = Field(default=ProcessingSettings(), description=PROCESSING)
    is_active: Flag = Field(default=True, description=ACTIVE)


class TemplatePatch(Patch):
    """Changes to a template. Each field given replaces the old one as a whole."""

    name: Name = UNSET
    description: Description = UNSET
    matching_rules: MatchingRules = Field(default=UNSET, description=RULES)
    processing: ProcessingSettings = Field(default=UNSET, description=PROCESSING)
    is_active: Flag = Field(default=UNSET, description=ACTIVE)


class TemplateOut(BaseModel):
    """A recording template."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "0198c0de-0000-7000-8000-000000000006",
                    "tenant_id": "0198c0de-0000-7000-8000-000000000000",
                    "number": 12,
                    "name": "Lectures",
                    "description": "Everything students may watch again",
                    "is_active": True,
                    "matching_rules": RULES_EXAMPLE,
                    "processing": PROCESSING_EXAMPLE,
                    "created_at": "2026-01-19T10:00:00Z",
                    "updated_at": "2026-01-19T10:00:00Z",
                }
            ]
        },
    )

    id: UUID
    tenant_id: UUID
    number: int = Field(description="How jobs name it, counted within your team")
    name: str
    description: str
    is_active: bool
    matching_rules: dict[str, Any]
    processing: dict[str, Any]
    created_at: datetime
    updated_at: datetime


Order = Annotated[
    list[TemplateId],
    Field(
        max_length=MAX_TEMPLATES,
        description="The templates of a job in their order. Those before the one that is tried, or all of "
        "them when it is not among them, are asked first",
    ),
    AfterValidator(unique),
]


class TemplatePreviewRequest(Input):
    """The order a stored template is tried in."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"template_ids": [11, 12, 14]}]})

    template_ids: Order = Field(default_factory=list)


class RulesPreviewRequest(TemplatePreviewRequest):
    """Rules that are not stored yet."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"matching_rules": RULES_EXAMPLE, "template_ids": [11]}]}
    )

    matching_rules: MatchingRules = Field(description=RULES)


class MatchedRule(BaseModel):
    """Why a recording matches."""

    model_config = ConfigDict(from_attributes=True)

    rule: Rule = Field(description="`source_ids`: everything of its source is taken")
    text: str = Field(description="The phrase, keyword or pattern as it is written; empty for `source_ids`")


class TakenBy(BaseModel):
    """A template that comes first."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    number: int
    name: str


class TriedRecording(BaseModel):
    """One recording, and whether the template matches it."""

    id: UUID
    topic: str
    started_at: datetime
    status: RecordingStatus
    is_blank: bool = Field(description="Nothing was recorded; jobs usually leave it out")
    source_id: UUID
    source_number: int
    source_name: str
    matched_by: MatchedRule | None = Field(description="The first of its rules that matches; null: none")
    taken_by: TakenBy | None = Field(description="The template before it in the order that takes it instead")


class TemplatePreviewOut(BaseModel):
    """A template tried on the last recordings."""

    looked_at: int
    matched: int = Field(description="How many it matches")
    taken_before: int = Field(description="How many of those another template takes first")
    recordings: list[TriedRecording] = Field(description="Latest first")
    not_in_order: dict[str, str] = Field(
        description="Templates of the order that cannot be used, and why; they take nothing"
    )
