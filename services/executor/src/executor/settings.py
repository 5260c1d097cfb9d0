"""Settings of the executor."""

from pydantic import Field

from common.settings import KafkaSettings, OutboundSettings, SecretSettings, ServiceSettings
from executor.recordings.settings import RecordingSettings
from platforms.registry import PlatformSettings


class ExecutorSettings(
    ServiceSettings, KafkaSettings, SecretSettings, OutboundSettings, PlatformSettings, RecordingSettings
):
    """How much an executor does at once, and how long it may take."""

    executor_concurrency: int = Field(50, ge=1, le=1000, description="Runs one executor works on at once")
    executor_batch_size: int = Field(50, ge=1, le=500, description="Records taken from a lane at a time")
    public_url: str = Field(
        "http://localhost:8000",
        pattern="^https?://",
        description="Where people open the console; used in links",
    )
    platform_timeout: float = Field(
        30.0, gt=0, le=300, description="Seconds to wait for each step of a platform's answer"
    )
    run_timeout: float = Field(300.0, gt=0, description="Seconds a run may take before it is stopped")
    lease_seconds: float = Field(
        15.0, ge=3, description="Seconds without a heartbeat after which a run is taken from its executor"
    )
    sweep_after: float = Field(
        15.0,
        ge=1,
        description="Seconds a run may wait before idle executors take it from PostgreSQL directly",
    )
