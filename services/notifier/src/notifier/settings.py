"""Settings of the notifier."""

from pydantic import Field

from common.settings import KafkaSettings, OutboundSettings, SecretSettings, ServiceSettings


class NotifierSettings(ServiceSettings, KafkaSettings, SecretSettings, OutboundSettings):
    """How much the notifier sends at once."""

    notifier_concurrency: int = Field(50, ge=1, le=500, description="Deliveries one notifier sends at once")
    notifier_batch_size: int = Field(50, ge=1, le=500, description="Records taken from Kafka at a time")
    delivery_lease_seconds: float = Field(
        60.0, ge=20, description="Seconds after which a delivery is taken from a notifier that fell silent"
    )
    sweep_after: float = Field(
        15.0, ge=1, description="Seconds a delivery may wait before it is taken from PostgreSQL directly"
    )
    telegram_chat_per_minute: int = Field(
        60,
        ge=4,
        description="Messages a Telegram chat gets in any minute; Telegram allows about one a second",
    )
    telegram_group_per_minute: int = Field(
        20, ge=4, description="Messages a Telegram group or channel gets in any minute"
    )
    telegram_bot_per_second: int = Field(
        30, ge=2, description="Messages one bot sends in any second, to all its chats"
    )
