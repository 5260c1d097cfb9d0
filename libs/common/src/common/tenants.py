"""The first tenant, its owner and an API key: created by an operator before the first sign-in."""

from __future__ import annotations

from common.database.pool import connect
from common.errors import Conflict
from common.ids import new_id
from common.secrets.crypto import hash_api_key, new_api_key

_TENANT = """
INSERT INTO tenant (id, name) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
"""
_USER = """
INSERT INTO user_account (id, tenant_id, email, role) VALUES ($1, $2, $3, 'owner')
ON CONFLICT (tenant_id, email) DO UPDATE SET email = excluded.email RETURNING id
"""
_KEY = """
INSERT INTO api_key (id, tenant_id, user_id, name, hint, key_hash) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (key_hash) DO UPDATE SET key_hash = excluded.key_hash RETURNING tenant_id
"""


async def bootstrap(
    database_url: str,
    *,
    tenant_name: str,
    user_email: str,
    api_key: str | None = None,
    key_name: str = "first key",
) -> str:
    """Make sure that the tenant and its owner exist and give the owner a key; returns the key in clear.

    Idempotent when `api_key` is given. Raises Conflict when that key is another tenant's, because it would
    give access to that tenant's data.
    """
    key = api_key or new_api_key()
    connection = await connect(database_url, application_name="carillon-tenant")
    try:
        async with connection.transaction():
            tenant_id = await connection.fetchval(_TENANT, new_id(), tenant_name)
            user_id = await connection.fetchval(_USER, new_id(), tenant_id, user_email)
            owner = await connection.fetchval(
                _KEY, new_id(), tenant_id, user_id, key_name, key[:8], hash_api_key(key)
            )
            if owner != tenant_id:
                raise Conflict("this API key belongs to another team; give this one a key of its own")
    finally:
        await connection.close()
    return key
