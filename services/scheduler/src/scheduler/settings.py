"""Settings of the scheduler."""

from pydantic import Field

from common.settings import FileStoreSettings, KafkaSettings, ServiceSettings


class SchedulerSettings(ServiceSettings, KafkaSettings, FileStoreSettings):
    """How a leader is elected, and how much it does at a time."""

    automation_check_interval: int = Field(
        60,
        ge=10,
        description="Seconds after which the leader looks for due automations although nothing woke it",
    )
    cleanup_interval: int = Field(
        86_400,
        ge=3_600,
        description="Seconds between passes that delete what is older than its retention",
    )
    retention_runs_days: int = Field(
        90, ge=1, le=3650, description="Days runs, skipped slots and renewals of tokens are kept"
    )
    retention_logs_days: int = Field(30, ge=1, le=3650, description="Days the logs of runs are kept")
    retention_deliveries_days: int = Field(
        90, ge=1, le=3650, description="Days deliveries are kept that were not deleted with their run"
    )
    retention_tokens_days: int = Field(
        30, ge=1, le=3650, description="Days the token of an account that must be connected again is kept"
    )
    token_refresh_interval: int = Field(
        3600,
        ge=60,
        description="Seconds after which the leader looks for tokens to be renewed although it knew of none",
    )
    retention_recordings_days: int = Field(
        90, ge=1, le=3650, description="Days the files of recordings are kept in Carillon's own store"
    )
    leader_lease_seconds: float = Field(
        4.0, ge=2, le=60, description="Seconds a leader may be silent before another takes over"
    )
    dispatch_batch_size: int = Field(
        500, ge=1, le=5000, description="Automations dispatched in one transaction"
    )
    public_url: str = Field(
        "http://localhost:8000",
        pattern="^https?://",
        description="Where people open the console; used in links",
    )
    tenant_window: int = Field(
        2_000,
        ge=1,
        description="Runs of one team that may be queued or running at once; the rest wait their turn",
    )
    relay_batch_size: int = Field(500, ge=1, le=5000, description="Events published in one transaction")
