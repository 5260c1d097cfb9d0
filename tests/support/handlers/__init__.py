"""Every handler at work against the sandbox, each behind the same few verbs."""

from collections.abc import Callable

from tests.support.handlers.base import Driving
from tests.support.handlers.messages import AlertDriving, ReportDriving
from tests.support.handlers.recordings import RecordingSyncDriving
from tests.support.handlers.syncs import DatabaseSyncDriving, WebhookSyncDriving

DRIVERS: tuple[Callable[[], Driving], ...] = (
    AlertDriving,
    DatabaseSyncDriving,
    RecordingSyncDriving,
    ReportDriving,
    WebhookSyncDriving,
)
"""A handler may have several: one for each kind of effect."""
