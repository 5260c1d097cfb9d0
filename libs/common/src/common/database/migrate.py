"""Bring a database to the current schema: `carillon migrate`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection
from sqlalchemy.pool import NullPool

from common.database.pool import create_engine
from common.errors import ConfigurationError

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x0CA2_1110  # several replicas may start at once; one migrates, the others wait and find it done


def config() -> Config:
    """Alembic's configuration, without a file: the scripts travel with the package."""
    settings = Config()
    settings.set_main_option("script_location", str(_MIGRATIONS))
    return settings


def head() -> str:
    """The revision this code expects."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    if revision is None:
        raise RuntimeError("this installation has no migration scripts")
    return revision


def upgrade(database_url: str, revision: str = "head") -> None:
    """Run the pending migrations. Safe to call from several processes at once.

    Raises ConfigurationError for a database that another version of Carillon has made.
    """
    asyncio.run(upgrade_async(database_url, revision))


async def upgrade_async(database_url: str, revision: str = "head") -> None:
    """`upgrade`, for callers that already run an event loop."""
    # A migration takes the time it takes, and who waits for its lock waits as long.
    engine = create_engine(
        database_url, application_name="carillon-migrate", poolclass=NullPool, command_timeout=None
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, revision)
    finally:
        await engine.dispose()


def _upgrade(db: Connection, revision: str) -> None:
    db.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    settings = config()
    settings.attributes["connection"] = db
    try:
        command.upgrade(settings, revision)
    except CommandError as error:
        raise ConfigurationError(
            f"the database was made by another version of Carillon ({error}): use that version or an empty "
            "database; what `make up` keeps in this folder is removed by `make clean`"
        ) from error
