"""Every handler at work against the sandbox, each behind the same few verbs."""

from collections.abc import Callable
from importlib.metadata import entry_points

from executor.handlers import GROUP
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

OURS = frozenset(
    entry.name
    for entry in entry_points(group=GROUP)
    if entry.dist is not None and entry.dist.name == "executor"
)
"""Names of the handlers that come with the executor; the environment may hold others, of a user's."""
