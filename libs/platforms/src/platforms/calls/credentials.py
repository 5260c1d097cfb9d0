"""A connection's token as platform clients see it: the one that holds now, and another when it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from common.errors import Consequence, PlatformError


class Credential(Protocol):
    """The token of one connection.

    A client asks `current` before a call, and `renewed` once after the platform refused what it was given
    with REFRESH. Whatever either answered is in `seen`, to be kept out of logs and messages.
    """

    @property
    def seen(self) -> Sequence[str]:
        """Every secret this credential has answered."""
        ...

    async def current(self) -> str:
        """The token that holds now; renewed first when it is about to expire."""
        ...

    async def renewed(self, rejected: str) -> str:
        """Another token than `rejected`.

        Raises:
            PlatformError: REAUTH when there is none to be had, TRANSIENT or RATE when there is none yet.
        """
        ...


class FixedCredential:
    """A token that cannot be renewed."""

    def __init__(self, token: str, *, platform: str, connection_id: str | None = None) -> None:
        self._token = token
        self._platform = platform
        self._connection_id = connection_id

    @property
    def seen(self) -> Sequence[str]:
        """The token."""
        return (self._token,)

    async def current(self) -> str:
        """The token."""
        return self._token

    async def renewed(self, rejected: str) -> str:
        """Raises PlatformError: REAUTH."""
        raise PlatformError(
            "the token is no longer accepted and cannot be renewed: connect the account again",
            Consequence.REAUTH,
            platform=self._platform,
            code="not_renewable",
            connection_id=self._connection_id,
        )
