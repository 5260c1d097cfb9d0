"""Secrets of connections: sealed each for its own column, and opened for a question to a platform."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import SecretStr

from api.connection_kinds import Secrets
from common.models import Connection
from common.secrets.crypto import KeyRing
from platforms.oauth.base import Stored, TokenSet
from platforms.platform import CREDENTIALS, REFRESH_TOKEN, TOKEN, WEBHOOK_SECRET


def seal_pasted(keys: KeyRing, connection: Connection, secrets: Secrets) -> None:
    """Put what was pasted into the row. A new token comes without the old one's refresh token, and so on:
    they belong to one grant, of which nothing but these is known."""
    if secrets.grants:
        connection.token_sealed = _sealed(keys, connection, TOKEN, secrets.token)
        connection.refresh_token_sealed = _sealed(keys, connection, REFRESH_TOKEN, secrets.refresh_token)
        credentials = secrets.credentials
        connection.credentials_sealed = (
            _seal(keys, connection, CREDENTIALS, json.dumps(_clear(credentials))) if credentials else None
        )
    if secrets.webhook_secret is not None:
        connection.webhook_secret_sealed = _sealed(keys, connection, WEBHOOK_SECRET, secrets.webhook_secret)


def seal_granted(keys: KeyRing, connection: Connection, tokens: TokenSet, *, whole_grant: bool) -> None:
    """Put what a platform granted into the row. `whole_grant`: a new consent, of which an earlier refresh
    token is no part; else one that was not replaced stays."""
    connection.token_sealed = _seal(keys, connection, TOKEN, tokens.access_token)
    if tokens.refresh_token is not None:
        connection.refresh_token_sealed = _seal(keys, connection, REFRESH_TOKEN, tokens.refresh_token)
    elif whole_grant:
        connection.refresh_token_sealed = None


def open_stored(keys: KeyRing, connection: Connection) -> Stored:
    """What a grant is asked with; raises Undecryptable."""
    credentials = _opened(keys, connection, CREDENTIALS, connection.credentials_sealed)
    return Stored(
        access_token=_opened(keys, connection, TOKEN, connection.token_sealed),
        refresh_token=_opened(keys, connection, REFRESH_TOKEN, connection.refresh_token_sealed),
        credentials=json.loads(credentials) if credentials else {},
        settings=dict(connection.settings),
        expires_at=connection.expires_at,
    )


def _clear(credentials: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: secret.get_secret_value() for name, secret in credentials.items()}


def _sealed(keys: KeyRing, connection: Connection, column: str, secret: SecretStr | None) -> bytes | None:
    return None if secret is None else _seal(keys, connection, column, secret.get_secret_value())


def _seal(keys: KeyRing, connection: Connection, column: str, text: str) -> bytes:
    return keys.seal(text, tenant_id=connection.tenant_id, row_id=connection.id, column=column)


def _opened(keys: KeyRing, connection: Connection, column: str, sealed: bytes | None) -> str | None:
    if sealed is None:
        return None
    return keys.open(sealed, tenant_id=connection.tenant_id, row_id=connection.id, column=column)
