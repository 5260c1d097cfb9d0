"""Settings every service shares: environment variables, checked once at start.

A missing or unsafe value stops the service with one clear line; see `load`.
"""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.database.address import unsupported
from common.errors import ConfigurationError

_HOST = re.compile(r"(?:\[[^\[\]]+\]|[^:\[\]]*)(?::[0-9]{1,5})?")


class KafkaProfile(StrEnum):
    """Which broker is at the other end; `common.broker` holds what follows from it."""

    APACHE = "apache"
    EMBEDDED = "embedded"


class LogFormat(StrEnum):
    """How log events are written: one JSON object a line, or for a person's terminal."""

    JSON = "json"
    CONSOLE = "console"


class TelemetrySettings(BaseSettings):
    """Logs and traces."""

    model_config = SettingsConfigDict(extra="ignore")

    log_format: LogFormat = Field(LogFormat.JSON, description="`json` or `console`")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged")
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="OTLP/HTTP collector; traces are exported when it is set"
    )


class ServiceSettings(TelemetrySettings):
    """What every service needs to run."""

    host: str = Field("127.0.0.1", description="Address the service's HTTP port listens on")
    port: int = Field(8000, ge=1, le=65535, description="Port for the API, `/healthz`, `/readyz`, `/metrics`")
    database_url: SecretStr = Field(
        description="`postgresql://user:password@host:port/database`, with libpq's parameters for TLS, such "
        "as `?sslmode=verify-full&sslrootcert=…`"
    )
    database_pool_size: int = Field(10, ge=2, le=100, description="Connections each process may open")
    drain_timeout: float = Field(8.0, gt=0, description="Seconds a stopping service gives work in progress")
    event_loop_stall_limit: float = Field(
        10.0,
        ge=1,
        le=600,
        description="Seconds the event loop may stand still before the process ends",
    )

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        if not _names_hosts(url):
            raise ValueError("has no host and port that can be read: is its password percent-encoded?")
        if reason := unsupported(url):
            raise ValueError(reason)
        return value


class KafkaSettings(BaseSettings):
    """Where the broker is."""

    model_config = SettingsConfigDict(extra="ignore")

    kafka_bootstrap_servers: str = Field(description="`host:port[,host:port…]` of the Kafka brokers")
    kafka_profile: KafkaProfile = Field(
        KafkaProfile.APACHE, description="`apache`, or `embedded` for the broker `carillon up` starts"
    )
    kafka_topic_prefix: str = Field(
        "", pattern="^[a-zA-Z0-9._-]{0,60}$", description="Put before every topic and consumer group name"
    )
    dead_letter_retention_days: int = Field(
        14, ge=1, le=3650, description="Days a dead letter is kept in its `.dlq` topic"
    )


class SecretSettings(BaseSettings):
    """Keys for the secrets kept in PostgreSQL."""

    model_config = SettingsConfigDict(extra="ignore")

    encryption_keys: SecretStr = Field(
        description="`id:base64-of-32-bytes[,…]`; the first seals, all open. `carillon keys new` makes one"
    )

    @field_validator("encryption_keys")
    @classmethod
    def _is_key_ring(cls, value: SecretStr) -> SecretStr:
        # Loaded only where it is used: the scheduler has no secrets and need not load the cryptography.
        from common.secrets.crypto import KeyRing

        try:
            KeyRing.parse(value.get_secret_value())
        except ConfigurationError as error:
            raise ValueError(error.detail) from None
        return value


class OutboundSettings(BaseSettings):
    """Who may be called, and where Telegram is."""

    model_config = SettingsConfigDict(extra="ignore")

    telegram_base_url: str = Field("https://api.telegram.org", description="Telegram Bot API")
    outbound_allowed_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="`host[:port],…` of the operator's own services (vendors' addresses in this section, "
        "`TRANSCRIPTION_BASE_URL`) that the SSRF guard lets through although they are private addresses",
    )
    receiver_allowed_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="`host[:port],…` of private addresses that every team may name as a webhook, a warehouse "
        "or a bucket",
    )

    @field_validator("outbound_allowed_hosts", "receiver_allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(part.strip().lower() for part in value.split(",") if part.strip())
        return value


class FileStoreSettings(BaseSettings):
    """Where the files of recordings are."""

    model_config = SettingsConfigDict(extra="ignore")

    recording_store_url: str | None = Field(
        None,
        pattern="^(file:///|s3://[^/]).*",
        description="`file:///folder` or `s3://bucket/prefix`, the latter with AWS's own variables for its "
        "endpoint, region and keys; without it no recording is processed",
    )


def _names_hosts(url: str) -> bool:
    """Whether what stands where hosts and ports belong are such.

    With a slash in the password they would be half of it, which the driver repeats as a port it cannot read.
    """
    try:
        hosts = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return False
    return all(_HOST.fullmatch(host) for host in hosts.split(","))


S = TypeVar("S", bound=BaseSettings)


def load(settings: type[S]) -> S:
    """Read `settings` from the environment, or end the process with one line a fault.

    Values never appear in the message: they may be secrets.
    """
    try:
        return settings()
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in fault["loc"]).upper() or "settings"
            reason = (
                "is not set" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
            )
            description = ""
            field = settings.model_fields.get(name.lower())
            if field is not None and field.description:
                description = f" ({field.description})"
            sys.stderr.write(f"{name}: {reason}{description}\n")
        raise SystemExit(78) from None  # EX_CONFIG
