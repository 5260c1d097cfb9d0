"""What is done with a recording: the `processing` of its template, and what a job overrides of it."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from common.strict import Flag
from common.uniqueness import unique

MAX_TARGETS = 10
PLACEHOLDERS = frozenset(
    {"template", "source", "topic", "host", "meeting_id", "recording_id", "date", "year", "month", "day"}
)
"""What a prefix may name; the date is that of the recording's start in its own zone."""
_LONGEST_PART = 100
_LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
_UNFIT = re.compile(r"[\x00-\x1f\x7f/\\]+")


class FileKind(StrEnum):
    """What a file of a recording is. `video` is the best view there is, `other` is never asked for."""

    VIDEO = "video"
    AUDIO = "audio"
    TRANSCRIPT = "transcript"
    CAPTIONS = "captions"
    CHAT = "chat"
    TIMELINE = "timeline"
    SUMMARY = "summary"
    OTHER = "other"


def _known_placeholders(prefix: str) -> str:
    try:
        parts = list(string.Formatter().parse(prefix))
    except ValueError as error:
        raise PydanticCustomError("prefix", "a brace that is not closed or not opened") from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in PLACEHOLDERS or spec or conversion):
            raise PydanticCustomError(
                "prefix",
                "{{{name}}} is no placeholder: there are {known}",
                {"name": name, "known": ", ".join(sorted(PLACEHOLDERS))},
            )
    if prefix.startswith("/") or ".." in prefix.split("/") or "\\" in prefix or "\x00" in prefix:
        raise PydanticCustomError("prefix", "write a path below the store, without .. and backslashes")
    return prefix


Prefix = Annotated[str, Field(max_length=300), AfterValidator(_known_placeholders)]
"""A folder below a store, with `{placeholders}`."""


def expand(prefix: str, values: Mapping[str, str]) -> str:
    """A prefix with its placeholders filled in: a relative path that leads nowhere else, whatever the values.

    Raises KeyError for a placeholder without a value.
    """
    filled = prefix.format_map({name: _as_part(value) for name, value in values.items()})
    return "/".join(part for part in filled.split("/") if part.strip(" ."))


def _as_part(value: str) -> str:
    """A value as a part of a path: no separators, no control characters, not too long."""
    return _UNFIT.sub(" ", value).strip(" .")[:_LONGEST_PART].strip(" .") or "untitled"


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoreTarget(_Settings):
    """Carillon's own file store."""

    type: Literal["store"]
    prefix: Prefix = "{date}/{topic}"


class S3Target(_Settings):
    """A connected S3-compatible bucket."""

    type: Literal["s3"]
    connection_id: UUID = Field(description="The connection that holds the bucket and its key")
    prefix: Prefix = "{date}/{topic}"


class WebhookTarget(_Settings):
    """A webhook that is sent the files."""

    type: Literal["webhook"]
    destination_id: UUID = Field(description="The destination whose address and secret are used")


UploadTarget = Annotated[StoreTarget | S3Target | WebhookTarget, Field(discriminator="type")]


class TranscriptionSettings(_Settings):
    """How speech becomes text where the platform has no transcript of its own."""

    language: str | None = Field(
        None, pattern=_LANGUAGE, description="The language spoken, such as `de`; without it, it is detected"
    )
    model: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="The model asked for; without it, the endpoint's usual",
    )
    prompt: str | None = Field(
        None, min_length=1, max_length=1_000, description="Names and terms that will be heard"
    )


class ProcessingSettings(_Settings):
    """A template's `processing`. `"transcription": true` or `false` is short for `skip_transcription`."""

    auto_process: Flag = Field(True, description="Start at once; otherwise a person starts it")
    auto_upload: Flag = Field(True, description="Go on to the upload; otherwise stop before it")
    skip_transcription: Flag = Field(False, description="Make no transcript")
    transcription: TranscriptionSettings = Field(
        TranscriptionSettings(), description="How a transcript is made"
    )
    file_types: Annotated[tuple[FileKind, ...], AfterValidator(unique)] = Field(
        (FileKind.VIDEO, FileKind.AUDIO, FileKind.TRANSCRIPT),
        min_length=1,
        description="Which files are taken; of several views of a meeting the best",
    )
    upload: tuple[UploadTarget, ...] = Field(
        (StoreTarget(type="store"),), max_length=MAX_TARGETS, description="Where the files go"
    )

    @property
    def language(self) -> str | None:
        """The language spoken, if known."""
        return self.transcription.language

    @model_validator(mode="before")
    @classmethod
    def _transcription_in_short(cls, data: Any) -> Any:
        return _spelled_out(data) if isinstance(data, Mapping) else data

    def overridden_by(self, overrides: Mapping[str, Any]) -> Self:
        """These settings with those of `overrides` in their place: objects are merged, lists replaced.

        Raises pydantic.ValidationError, which names what is unknown or wrong.
        """
        check_overrides(dict(overrides))
        own = self.model_dump(mode="json", exclude_unset=True)
        return type(self).model_validate(_merged(own, _spelled_out(overrides)))

    def as_document(self) -> dict[str, Any]:
        """As it is stored with a recording."""
        return self.model_dump(mode="json")


def check_overrides(overrides: dict[str, Any]) -> dict[str, Any]:
    """The same overrides; raises pydantic.ValidationError for what no template's settings could be merged
    with."""
    ProcessingSettings.model_validate(overrides)
    return overrides


def _spelled_out(data: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(data)
    wanted = given.get("transcription")
    if isinstance(wanted, bool):
        del given["transcription"]
        if given.setdefault("skip_transcription", not wanted) is wanted:
            raise PydanticCustomError(
                "transcription", "transcription and skip_transcription say opposite things"
            )
    return given


def _merged(own: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(own)
    for name, value in over.items():
        below = merged.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(below, value)
        else:
            merged[name] = value
    return merged
