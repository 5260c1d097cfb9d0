"""Every handler at work against the sandbox, each behind the same few verbs."""

from collections.abc import Callable

from tests.support.handlers.base import HandlerDriver
from tests.support.handlers.messages import AlertDriver, ReportDriver
from tests.support.handlers.recordings import RecordingSyncDriver
from tests.support.handlers.syncs import DatabaseSyncDriver, WebhookSyncDriver

DRIVERS: tuple[Callable[[], HandlerDriver], ...] = (
    AlertDriver,
    DatabaseSyncDriver,
    RecordingSyncDriver,
    ReportDriver,
    WebhookSyncDriver,
)
"""A handler may have several: one for each kind of effect."""
