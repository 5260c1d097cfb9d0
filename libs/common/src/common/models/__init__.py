"""Every table and its states.

Rows are built by validating models (SQLModel skips validation on `table=True` classes), so nothing here
checks values beyond what PostgreSQL enforces. States are text with a CHECK: they migrate without
rewriting a type.

    plan ── tenant ─┬─ user_account ── api_key
                    ├─ connection ─┬─ token_refresh    a platform account, its sealed tokens, their renewals
                    │              └─ recording_source ── recording
                    ├─ oauth_attempt                   a user on the way to a platform and back
                    ├─ recording_template              which recordings, and what to do with them
                    ├─ destination                     a chat or a webhook
                    └─ automation ─┬─ automation_run ─┬─ run_attempt
                                   ├─ backfill        ├─ delivery ── delivery_attempt
                                   │                  └─ sync_batch ── sync_chunk
                                   ├─ automation_state what its handler remembers
                                   ├─ schedule_period  the schedules it has had
                                   └─ slot_skip        slots that did not become runs, and why
    outbox            events on their way to Kafka     leadership, reign   who leads, who led
    automation_type   what executors can run           fact                what the scheduler remembers
    usage_sighting    how full the platforms' limits are
    request_count     what clients have sent to the API in this minute
"""

from common.models.automations import (
    Automation,
    AutomationRun,
    AutomationState,
    AutomationType,
    Backfill,
    RunAttempt,
    SchedulePeriod,
    SlotSkip,
    SyncBatch,
    SyncChunk,
)
from common.models.columns import Timestamp, metadata
from common.models.connections import Connection, OAuthAttempt, TokenRefresh, UsageSighting
from common.models.deliveries import Delivery, DeliveryAttempt, Destination
from common.models.machinery import Fact, Leadership, Outbox, Reign, RequestCount
from common.models.recordings import Recording, RecordingSource, RecordingTemplate
from common.models.states import (
    POSTGRESQL,
    S3,
    STORES,
    AutomationStatus,
    BackfillStatus,
    ConnectionKind,
    ConnectionStatus,
    DeliveryStatus,
    DestinationStatus,
    DestinationType,
    Lane,
    RecordingStatus,
    RefreshOutcome,
    RunStatus,
    ScheduleChange,
    SourceStatus,
    Trigger,
    platform_of,
)
from common.models.teams import ApiKey, ConsoleSession, IdempotencyKey, Plan, Tenant, UserAccount

SCHEMA_REVISION = "0001"
"""The migration this code needs; a test holds it against the newest script. Known without loading Alembic,
which would take a quarter of a service's start-up."""

__all__ = [
    "POSTGRESQL",
    "S3",
    "SCHEMA_REVISION",
    "STORES",
    "ApiKey",
    "Automation",
    "AutomationRun",
    "AutomationState",
    "AutomationStatus",
    "AutomationType",
    "Backfill",
    "BackfillStatus",
    "Connection",
    "ConnectionKind",
    "ConnectionStatus",
    "ConsoleSession",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryStatus",
    "Destination",
    "DestinationStatus",
    "DestinationType",
    "Fact",
    "IdempotencyKey",
    "Lane",
    "Leadership",
    "OAuthAttempt",
    "Outbox",
    "Plan",
    "Recording",
    "RecordingSource",
    "RecordingStatus",
    "RecordingTemplate",
    "RefreshOutcome",
    "Reign",
    "RequestCount",
    "RunAttempt",
    "RunStatus",
    "ScheduleChange",
    "SchedulePeriod",
    "SlotSkip",
    "SourceStatus",
    "SyncBatch",
    "SyncChunk",
    "Tenant",
    "Timestamp",
    "TokenRefresh",
    "Trigger",
    "UsageSighting",
    "UserAccount",
    "metadata",
    "platform_of",
]
