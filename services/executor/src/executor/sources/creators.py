"""The TikTok creators of a run's connections."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import Consequence, PlatformError
from common.models import ConnectionKind
from executor.handlers.base import RunContext
from executor.settings import ExecutorSettings
from platforms.tiktok_organic import PLATFORM
from platforms.tiktok_organic.client import Organic


@dataclass(frozen=True, slots=True)
class CreatorSource:
    """One connected creator. `name` is the tenant's for the connection."""

    connection_id: str
    name: str
    client: Organic


class CreatorSources:
    """Makes the clients of a run's connected creators."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self._base_url = settings.tiktok_open_base_url

    def of(self, context: RunContext) -> list[CreatorSource]:
        """One source for each connected creator.

        Raises:
            PlatformError: REAUTH with code `not_connected`, when there is none.
        """
        found = [
            CreatorSource(
                str(account.connection_id),
                account.name,
                Organic(
                    context.http,
                    self._base_url,
                    account.credential,
                    limiter=context.limiter,
                    scope=str(context.tenant_id),
                    connection_id=account.connection_id,
                ),
            )
            for account in context.accounts
            if account.kind == ConnectionKind.TIKTOK_ORGANIC
        ]
        if not found:
            raise PlatformError(
                "no TikTok creator is connected, or it must be connected again: do so, then run this again",
                Consequence.REAUTH,
                platform=PLATFORM,
                code="not_connected",
            )
        return found
