"""The states things can be in, and the kinds there are."""

from enum import StrEnum


class AutomationStatus(StrEnum):
    """`error`: stopped by Carillon itself; `status_reason` says why."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"
    ERROR = "error"


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


class Platform(StrEnum):
    """What a tenant can connect: the platforms, and the stores results can go to."""

    FACEBOOK = "facebook"
    TIKTOK = "tiktok"
    ZOOM = "zoom"
    POSTGRESQL = "postgresql"
    S3 = "s3"


SOURCE_PLATFORMS = (Platform.FACEBOOK, Platform.TIKTOK, Platform.ZOOM)
"""Those an automation reads from."""


class ConnectionKind(StrEnum):
    """How an account was connected, which decides how its token is renewed.

    `facebook_user`: a long-lived user or system-user token, exchanged for a new one while it lives.
    `tiktok_business`: an advertiser token without expiry. `tiktok_organic`, `zoom_user`: a short-lived token
    with a rotating refresh token. `zoom_server`: server-to-server credentials that ask for tokens at will.
    `postgresql`: a DSN. `s3`: an access key.
    """

    FACEBOOK_USER = "facebook_user"
    TIKTOK_BUSINESS = "tiktok_business"
    TIKTOK_ORGANIC = "tiktok_organic"
    ZOOM_USER = "zoom_user"
    ZOOM_SERVER = "zoom_server"
    POSTGRESQL = "postgresql"
    S3 = "s3"

    @property
    def platform(self) -> Platform:
        """The platform it is a kind of."""
        return Platform(self.value.partition("_")[0])


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
