"""The states things can be in, and the kinds there are."""

from enum import StrEnum
from typing import Final, NewType


class AutomationStatus(StrEnum):
    """`error`: stopped by Carillon itself; `status_reason` says why."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"
    ERROR = "error"


class ScheduleChange(StrEnum):
    """What gave an automation the schedule it has had since: `moved` by another tz database."""

    CREATED = "created"
    EDITED = "edited"
    MOVED = "moved"


class RunStatus(StrEnum):
    """waiting → queued → running → completed | failed | cancelled; running → retrying → queued again.

    `waiting`: held back by a limit or by an earlier run of the same automation. `skipped`: its time had
    passed before it could start.
    """

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class BackfillStatus(StrEnum):
    """active → completed | cancelled."""

    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    """What asked for a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    BACKFILL = "backfill"
    DRY_RUN = "dry_run"


class Lane(StrEnum):
    """A priority: its own topic, and its own share of an executor's capacity."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class DeliveryStatus(StrEnum):
    """queued → sending → delivered | failed; sending → retrying until the schedule is exhausted.

    `dropped`: it came in the destination's quiet hours, and those drop what comes.
    """

    QUEUED = "queued"
    SENDING = "sending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


class DestinationType(StrEnum):
    """One file in the notifier's `channels/` each."""

    TELEGRAM = "telegram"
    WEBHOOK = "webhook"


class DestinationStatus(StrEnum):
    """`disabled`: the receiver is gone or refuses us; `status_reason` says which."""

    ACTIVE = "active"
    DISABLED = "disabled"


class ConnectionStatus(StrEnum):
    """`reauth_required`: a person must connect the account again."""

    ACTIVE = "active"
    REAUTH_REQUIRED = "reauth_required"


ConnectionKind = NewType("ConnectionKind", str)
"""How an account was connected, such as `zoom_user`: its platform's name, and which way if there are several.

The platforms say which there are (`platforms.registry.KINDS`); the stores a result can go to are these.
"""
POSTGRESQL: Final = ConnectionKind("postgresql")
S3: Final = ConnectionKind("s3")
STORES: Final = (POSTGRESQL, S3)
"""Kinds that are no accounts: they have credentials, and nothing to renew or to discover."""


def platform_of(kind: ConnectionKind) -> str:
    """The platform, or the store, it is a kind of."""
    return kind.partition("_")[0]


class RefreshOutcome(StrEnum):
    """What became of one renewal of a token. `unknown`: it was sent, and its answer never came."""

    REFRESHED = "refreshed"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"


class SourceStatus(StrEnum):
    """`disabled`: by a person, or because its platform says that it is gone; `status_reason` says which."""

    ACTIVE = "active"
    DISABLED = "disabled"


class RecordingStatus(StrEnum):
    """INITIALIZED → DOWNLOADING → DOWNLOADED → TRANSCRIBING → TRANSCRIBED → UPLOADING → UPLOADED.

    `SKIPPED`: no template takes it. `FAILED`: a step failed for good; `error_message` says why.
    """

    INITIALIZED = "INITIALIZED"
    DOWNLOADING = "DOWNLOADING"
    DOWNLOADED = "DOWNLOADED"
    TRANSCRIBING = "TRANSCRIBING"
    TRANSCRIBED = "TRANSCRIBED"
    UPLOADING = "UPLOADING"
    UPLOADED = "UPLOADED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
