"""Settings of the processing of recordings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.settings import FileStoreSettings


class RecordingSettings(FileStoreSettings, BaseSettings):
    """How recordings are downloaded, transcribed and uploaded."""

    model_config = SettingsConfigDict(extra="ignore")

    recording_concurrency: int = Field(
        4, ge=1, le=100, description="Recordings one executor works on at once, besides its runs"
    )
    recording_attempts: int = Field(
        5, ge=1, le=100, description="Attempts at each step of a recording before it has failed"
    )
    recording_step_timeout: float = Field(
        14_400.0, gt=0, description="Seconds one step of a recording may take in all"
    )
    recording_max_bytes: int = Field(
        20 * 1024**3, ge=1024, description="Bytes the largest file of a recording may have"
    )
    zoom_download_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset({"zoom.us", "zoomgov.com", "cloudfront.net", "amazonaws.com"}),
        description="`domain,…` to which Zoom may redirect a download, besides its own; they see no token",
    )
    transcription_base_url: str | None = Field(
        None,
        pattern="^https?://",
        description="OpenAI-compatible server whose `/v1/audio/transcriptions` makes the transcripts the "
        "platform has not; a private one must be in `OUTBOUND_ALLOWED_HOSTS`",
    )
    transcription_api_key: SecretStr | None = Field(None, description="Its key, if it wants one")
    transcription_model: str = Field(
        "whisper-1", min_length=1, description="Model where a template names none; it must know WebVTT"
    )
    transcription_max_bytes: int = Field(
        26_214_400, ge=1024, description="Bytes of the largest file it takes"
    )
    transcription_timeout: float = Field(
        900.0, gt=0, description="Seconds to wait for its answer once it has the file"
    )

    @field_validator("zoom_download_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(part.strip().lower() for part in value.split(",") if part.strip())
        return value
