"""A run's access to one connection's token."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from common.models import ConnectionKind
from executor.tokens.decisions import Token
from executor.tokens.keeper import TokenKeeper


class KeptCredential:
    """A connection's token, refreshed while a run uses it. A `Credential` of the platform clients.

    `token` is what was stored when the run was claimed; None where there is none yet.
    """

    def __init__(
        self, keeper: TokenKeeper, connection_id: UUID, kind: ConnectionKind, token: Token | None
    ) -> None:
        self._keeper = keeper
        self._connection_id = connection_id
        self._kind = kind
        self._token = token
        self._seen: dict[str, None] = {} if token is None else {token.value: None}
        self._answered: set[int] = set()
        self._renewed: int | None = None

    @property
    def seen(self) -> Sequence[str]:
        """Every secret this credential has held."""
        return tuple(self._seen)

    @property
    def is_used(self) -> bool:
        """Whether the token was asked for."""
        return bool(self._answered)

    async def current(self) -> str:
        """The current token; refreshed first when it is about to expire."""
        return self._answer(await self._keeper.fresh(self._connection_id, self._kind, self._newest()))

    async def renewed(self, rejected: str) -> str:
        """A token other than `rejected`; the stored one if it differs already.

        Raises PlatformError: REAUTH when there can be none, TRANSIENT or RATE when there is none yet.
        """
        token = self._newest()
        if token is None or token.value == rejected:
            version = token.version if token else 0
            token = await self._keeper.replaced(self._connection_id, self._kind, version)
        self._renewed = token.version
        return self._answer(token)

    @property
    def blamed(self) -> int | None:
        """The version of the token that an error of the run is about; None when it is unknown.

        That is the only one the run was given, or the one that replaced a rejected token. After a refresh
        that the run did not ask for, its error may be about either.
        """
        if len(self._answered) > 1:
            return self._renewed
        return next(iter(self._answered), None)

    def _newest(self) -> Token | None:
        return self._keeper.known(self._connection_id) or self._token

    def _answer(self, token: Token) -> str:
        self._token = token
        self._seen[token.value] = None
        self._answered.add(token.version)
        return token.value
