"""A run's connection as its platform's client is opened with it."""

from __future__ import annotations

from executor.context import Account, RunContext
from executor.settings import ExecutorSettings
from platforms.advertising.access import Access


def access_of(context: RunContext, account: Account, settings: ExecutorSettings) -> Access:
    """The account, as this attempt of the run may use it. Pure."""
    return Access(
        context.http,
        settings,
        account.credential,
        limiter=context.limiter,
        scope=str(context.tenant_id),
        connection_id=account.connection_id,
        account_settings=account.settings,
        accounts=account.accounts,
        first_attempt=context.attempt == 1,
    )
