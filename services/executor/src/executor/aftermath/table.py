"""What each error consequence does to the run, the connection, the automation and the owner. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from common.errors import Consequence


class RunFate(StrEnum):
    """`retry` uses up an attempt, `delay` does not; `fail` ends the run."""

    RETRY = "retry"
    DELAY = "delay"
    FAIL = "fail"


class ConnectionFate(StrEnum):
    """`note`: the connection shows the problem until it is used with success. `condemn`: it must be connected
    again."""

    KEEP = "keep"
    NOTE = "note"
    CONDEMN = "condemn"


class AutomationFate(StrEnum):
    """`stop`: the one whose run met it, with status `error`, when the run failed by it. `pause`: all that
    depend on the connection, until it is connected again."""

    GO_ON = "go_on"
    STOP = "stop"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The effects of one class of errors. The owner is notified once of each connection and problem."""

    run: RunFate
    connection: ConnectionFate = ConnectionFate.KEEP
    automation: AutomationFate = AutomationFate.GO_ON
    tells_owner: bool = False


_RECONNECT = Aftermath(RunFate.FAIL, ConnectionFate.CONDEMN, AutomationFate.PAUSE, tells_owner=True)
# Errors that only end the run show in its record; the leader notifies when they repeat.
_ONLY_THE_RUN = Aftermath(RunFate.FAIL)

AFTERMATH: Mapping[Consequence, Aftermath] = {
    Consequence.TRANSIENT: Aftermath(RunFate.RETRY),
    Consequence.RATE: Aftermath(RunFate.DELAY),
    # The client has already tried a refreshed token.
    Consequence.REFRESH: _RECONNECT,
    Consequence.REAUTH: _RECONNECT,
    Consequence.PERM: Aftermath(RunFate.FAIL, ConnectionFate.NOTE, AutomationFate.STOP, tells_owner=True),
    Consequence.BLOCKED: Aftermath(RunFate.RETRY, ConnectionFate.NOTE, tells_owner=True),
    Consequence.SPLIT: _ONLY_THE_RUN,
    Consequence.INVALID: _ONLY_THE_RUN,
    Consequence.GONE: _ONLY_THE_RUN,
}

PROBLEMS: Mapping[Consequence, str] = {
    Consequence.PERM: "a permission is missing",
    Consequence.BLOCKED: "blocked by the platform for now",
}
"""Prefix of a connection's `problem`: an equal prefix is the same problem, which was notified already."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error that a run met, as far as it concerns more than the run.

    `token_version` is the token it was about; None when the run used several and it is unknown which.
    `ended_the_run`: the run failed with it, permanently. `detail` is free of secrets.
    """

    consequence: Consequence
    platform: str
    detail: str
    tenant_id: UUID
    automation_id: UUID
    connection_id: UUID | None = None
    token_version: int | None = None
    ended_the_run: bool = False

    @property
    def aftermath(self) -> Aftermath:
        """Its effects."""
        return AFTERMATH[self.consequence]

    @property
    def problem(self) -> str:
        """How the connection shows it."""
        return f"{PROBLEMS[self.consequence]}: {self.detail}"

    @property
    def blames(self) -> tuple[UUID, int] | None:
        """The connection and the token's version, where both are known."""
        if self.connection_id is None or self.token_version is None:
            return None
        return self.connection_id, self.token_version


@dataclass(frozen=True, slots=True)
class Condemned:
    """A connection whose token, the `token_version`th, is dead; `reason` is for a person."""

    connection_id: UUID
    token_version: int
    reason: str
