"""A call with a token that may have died: renewed once, and made once more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from common.errors import Consequence, PlatformError
from platforms.calls.credentials import Credential

T = TypeVar("T")


async def with_renewal(credential: Credential, call: Callable[[str], Awaitable[T]]) -> T:
    """What `call` answers when it is given the token that holds now.

    Raises:
        PlatformError: what `call` or the renewal raised; never REFRESH: a person is needed where the renewed
            token is refused as well.
    """
    token = await credential.current()
    try:
        return await call(token)
    except PlatformError as error:
        if error.consequence is not Consequence.REFRESH:
            raise
    token = await credential.renewed(token)
    try:
        return await call(token)
    except PlatformError as error:
        if error.consequence is not Consequence.REFRESH:
            raise
        raise PlatformError(
            error.detail,
            Consequence.REAUTH,
            platform=error.platform,
            code=error.code,
            http_status=error.http_status,
            connection_id=error.connection_id,
        ) from error
