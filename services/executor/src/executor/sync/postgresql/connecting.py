"""A connection to a user's PostgreSQL, to an address the guard has checked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from common.http import AddressGuard
from executor.sync.postgresql.address import DatabaseAddress, Tls
from executor.sync.postgresql.failures import FAILURES, OtherProtocol
from executor.sync.postgresql.limits import Answers, limited

UserConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CONNECT_TIMEOUT = 10.0
COMMAND_TIMEOUT = 90.0
_CLOSE_TIMEOUT = 2.0


class _NamedContext(ssl.SSLContext):
    """Verifies and announces the host's name although the connection goes to one of its addresses."""

    name: str

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext.wrap_bio`, which asyncio calls with the address for `server_hostname`."""
        return super().wrap_bio(*args, **{**kwargs, "server_hostname": self.name})


@asynccontextmanager
async def connected(address: DatabaseAddress, guard: AddressGuard) -> AsyncIterator[UserConnection]:
    """A connection for the length of the block; whatever is not committed then is undone.

    Raises whatever `failures.FAILURES` lists.
    """
    answers = Answers()
    try:
        with limited(answers):
            db = await _connect(address, guard)
    except Exception as error:
        if answers.refused is not None:
            raise answers.refused from error
        if isinstance(error, FAILURES):
            raise
        # The driver takes a greeting for granted that a server may leave out: AttributeError, ValueError, …
        raise OtherProtocol from error
    try:
        yield db
    except BaseException as error:
        # Closed without a word: what hangs must not hold up a run that was cancelled.
        db.terminate()
        if answers.refused is not None and isinstance(error, Exception):
            raise answers.refused from error
        raise
    else:
        try:
            await db.close(timeout=_CLOSE_TIMEOUT)
        except (asyncpg.InterfaceError, OSError):
            db.terminate()  # all is committed; the server notices by itself


async def _connect(address: DatabaseAddress, guard: AddressGuard) -> UserConnection:
    async with asyncio.timeout(CONNECT_TIMEOUT):
        addresses = await guard.addresses(address.host, address.port)
    failed: Exception | None = None
    for each in addresses:
        try:
            return await _connect_to(str(each), address)
        except (ConnectionError, TimeoutError) as error:
            failed = error
    raise failed or ConnectionError("the name has no address")


async def _connect_to(host: str, address: DatabaseAddress) -> UserConnection:
    context = _context(address)
    if context is None:
        return await _open(host, address, False)
    try:
        return await _open(host, address, context)
    except ConnectionError as error:
        # The server has no TLS: `prefer` connects without it.
        if address.tls is not Tls.PREFER or type(error) is not ConnectionError:
            raise
    return await _open(host, address, False)


async def _open(host: str, address: DatabaseAddress, tls: ssl.SSLContext | bool) -> UserConnection:
    settings = {"application_name": "Carillon"}
    if address.options is not None:
        settings["options"] = address.options
    return await asyncpg.connect(
        host=host,
        port=address.port,
        user=address.user,
        password=address.password,
        database=address.database,
        ssl=tls,
        timeout=CONNECT_TIMEOUT,
        command_timeout=COMMAND_TIMEOUT,
        # A pooler may hand every transaction to another server, which knows nothing of what was prepared.
        statement_cache_size=0,
        server_settings=settings,
    )


def _context(address: DatabaseAddress) -> ssl.SSLContext | None:
    if address.tls is Tls.DISABLE:
        return None
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.name = address.host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = address.tls is Tls.VERIFY_FULL
    if address.tls in (Tls.VERIFY_CA, Tls.VERIFY_FULL):
        context.load_default_certs()
    else:
        context.verify_mode = ssl.CERT_NONE
    return context
