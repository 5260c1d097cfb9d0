"""What a run is given: its slot, the team's accounts, a log, and the means to reach the platforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import structlog

from common.clock import utc_now
from common.database.pool import ConnectionPool
from common.secrets.redaction import hide_secrets
from platforms.calls.credentials import Credential
from platforms.calls.usage import UsageLimiter

MAX_LOG_ENTRIES = 500


class RunLog:
    """What a run did, kept with the run and written to the service's log at the same time."""

    def __init__(self, logger: structlog.stdlib.BoundLogger, *, secrets: Sequence[str] = ()) -> None:
        """`secrets` are those the run was given; they are redacted here."""
        self._logger = logger
        self._secrets = secrets
        self.entries: list[dict[str, Any]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Note something that happened."""
        self._add("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Note something a person should look at."""
        self._add("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Note a failure."""
        self._add("error", event, fields)

    def _add(self, level: str, event: str, fields: dict[str, Any]) -> None:
        event = hide_secrets(event, self._secrets)
        shown = {
            name: hide_secrets(value, self._secrets) if isinstance(value, str) else value
            for name, value in fields.items()
        }
        getattr(self._logger, level)(event, **shown)
        if len(self.entries) < MAX_LOG_ENTRIES:
            self.entries.append({"at": utc_now().isoformat(), "level": level, "event": event, **shown})


@dataclass(frozen=True, slots=True)
class Account:
    """A connection a run may use. What its `credential` answers is in clear and must stay in this process.

    `kind` is a `common.models.ConnectionKind`. `token_version` says which token the credential began with, so
    that an error about it does not condemn its successor.
    """

    connection_id: UUID
    platform: str
    kind: str
    name: str
    settings: dict[str, Any]
    credential: Credential = field(repr=False)
    token_version: int = 1
    accounts: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a handler is given.

    `slot` is the instant the run is for: the scheduled one, or the moment of the manual trigger. Reports
    count their days back from it, so that a late run tells the same numbers as a punctual one.
    """

    run_id: UUID
    automation_id: UUID
    automation_name: str
    tenant_id: UUID
    slot: datetime
    attempt: int
    timezone: str
    platforms: Sequence[str]
    accounts: Sequence[Account]
    http: httpx.AsyncClient
    log: RunLog
    limiter: UsageLimiter
    """What all runs know about how full the platforms' limits are."""
    pool: ConnectionPool
    """Carillon's own database, for handlers whose work is in it; every query names the tenant."""
    destination_type: str | None = None
    """The `common.models.DestinationType` messages go to; None where there is none, or it is not known."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """What the last completed run of this automation left in `Outcome.state`."""
    last_attempt: bool = False
    """No other attempt follows this one: better a part of the result than none."""
    dry_run: bool = False
    """Read and render as ever, change nothing: what the run would deliver is shown instead of sent."""
