"""Recording jobs: Zoom's recordings, taken in and started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from platforms.zoom import ZOOM_SERVER
from tests.support import recordings
from tests.support.handlers.base import HandlerEnvironment, Mistake


class RecordingSyncDriver:
    """A job whose template takes everything."""

    name: ClassVar[str] = "recording_sync"
    type: ClassVar[str] = "recording_sync"
    platforms: ClassVar[Sequence[str]] = ("zoom",)
    config: Mapping[str, Any] = {"template_ids": [1], "sync_config": {"sync_days": 30}}
    mistakes: ClassVar[Sequence[Mistake]] = (
        Mistake({"template_ids": []}, "/template_ids"),
        Mistake({"sync_config": {"sync_days": 31}}, "/sync_config/sync_days"),
        Mistake({"filters": {"exclude_blank": "perhaps"}}, "/filters/exclude_blank"),
    )

    async def set_up(self, environment: HandlerEnvironment, *, broken: bool = False) -> None:
        """Connect the account; `broken`: its token is of no account."""
        self._world = environment.world
        token = environment.planted.new("Zoom token", "unknown-" if broken else "sandbox-zoom-account-")
        connection_id = await environment.world.connection(environment.team, ZOOM_SERVER, token)
        await recordings.source(environment.world, environment.team, connection_id, external_user="me")
        await recordings.template(environment.world, environment.team, {"patterns": ["."]})

    async def reset(self) -> None:
        """No recording was ever taken in."""
        await self._world.sql.execute("DELETE FROM recording")
        await self._world.sql.execute("DELETE FROM outbox")

    async def effects(self, run_id: UUID) -> object:
        """What has become of each recording, and how often it was asked for."""
        rows = await self._world.sql.fetch(
            """
            SELECT r.external_id, r.status, count(o.id) AS asked
              FROM recording r
              LEFT JOIN outbox o ON o.topic LIKE '%recording.processing'
                                AND o.headers ->> 'ce_subject' = r.id::text
             GROUP BY r.id ORDER BY r.external_id
            """
        )
        return [(row["external_id"], row["status"], row["asked"]) for row in rows]
