"""The TikTok creators of a run's connections."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import Consequence, PlatformError
from executor.context import RunContext
from executor.settings import ExecutorSettings
from executor.sources.access import access_of
from platforms.tiktok_organic import PLATFORM, TIKTOK_ORGANIC
from platforms.tiktok_organic.client import Organic
from platforms.tiktok_organic.opening import creator


@dataclass(frozen=True, slots=True)
class CreatorSource:
    """One connected creator. `name` is the tenant's for the connection."""

    connection_id: str
    name: str
    client: Organic


class CreatorSources:
    """Makes the clients of a run's connected creators."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self._settings = settings

    def of(self, context: RunContext) -> list[CreatorSource]:
        """One source for each connected creator.

        Raises:
            PlatformError: REAUTH with code `not_connected`, when there is none.
        """
        found = [
            CreatorSource(
                str(account.connection_id),
                account.name,
                creator(access_of(context, account, self._settings)),
            )
            for account in context.accounts
            if account.kind == TIKTOK_ORGANIC
        ]
        if not found:
            raise PlatformError(
                "no TikTok creator is connected, or it must be connected again: do so, then run this again",
                Consequence.REAUTH,
                platform=PLATFORM,
                code="not_connected",
            )
        return found
