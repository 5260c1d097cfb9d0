"""Sealed values open only for their own row, and reveal nothing otherwise."""

from __future__ import annotations

import base64
import hashlib
import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigurationError
from common.secrets.crypto import (
    KeyRing,
    Undecryptable,
    hash_api_key,
    new_api_key,
    new_encryption_key,
    new_webhook_secret,
)

TENANT, ROW = UUID(int=1), UUID(int=2)
RING = KeyRing.parse(new_encryption_key("first"))
SEALED = RING.seal("the token", tenant_id=TENANT, row_id=ROW, column="token")


def opened(
    sealed: bytes, ring: KeyRing = RING, *, tenant: UUID = TENANT, row: UUID = ROW, column: str = "token"
) -> str:
    return ring.open(sealed, tenant_id=tenant, row_id=row, column=column)


@given(st.text())
def test_what_was_sealed_opens_for_its_own_row(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert opened(RING.seal(text, tenant_id=TENANT, row_id=ROW, column="token")) == text


def test_the_text_is_not_in_the_sealed_value_and_no_two_are_alike() -> None:
    again = RING.seal("the token", tenant_id=TENANT, row_id=ROW, column="token")
    assert b"the token" not in SEALED
    assert again != SEALED


@pytest.mark.parametrize(
    ("tenant", "row", "column"),
    [(UUID(int=9), ROW, "token"), (TENANT, UUID(int=9), "token"), (TENANT, ROW, "secret")],
    ids=["another tenant", "another row", "another column"],
)
def test_a_value_moved_to_another_row_does_not_open(tenant: UUID, row: UUID, column: str) -> None:
    with pytest.raises(Undecryptable):
        opened(SEALED, tenant=tenant, row=row, column=column)


def test_tenant_and_row_cannot_be_swapped() -> None:
    with pytest.raises(Undecryptable):
        opened(SEALED, tenant=ROW, row=TENANT)


@pytest.mark.parametrize("position", range(len(SEALED)))
def test_no_byte_can_be_altered(position: int) -> None:
    altered = bytearray(SEALED)
    altered[position] ^= 1
    with pytest.raises(Undecryptable):
        opened(bytes(altered))


@pytest.mark.parametrize("length", range(len(SEALED)))
def test_a_truncated_value_does_not_open(length: int) -> None:
    with pytest.raises(Undecryptable):
        opened(SEALED[:length])


@given(st.binary())
def test_arbitrary_bytes_do_not_open(data: bytes) -> None:
    with pytest.raises(Undecryptable):
        opened(data)


def test_a_rotated_ring_opens_the_old_and_seals_with_the_new() -> None:
    old, new = new_encryption_key("2025"), new_encryption_key("2026")
    before = KeyRing.parse(old).seal("x", tenant_id=TENANT, row_id=ROW, column="token")
    rotated = KeyRing.parse(f"{new},{old}")
    assert opened(before, rotated) == "x"
    after = rotated.seal("x", tenant_id=TENANT, row_id=ROW, column="token")
    assert opened(after, KeyRing.parse(new)) == "x"
    with pytest.raises(Undecryptable, match="not in ENCRYPTION_KEYS"):
        opened(before, KeyRing.parse(new))


def test_the_same_name_with_another_key_does_not_open() -> None:
    with pytest.raises(Undecryptable):
        opened(SEALED, KeyRing.parse(new_encryption_key("first")))


SECRET = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        SECRET,
        f":{SECRET}",
        "a:",
        "a:short",
        f"a:{base64.b64encode(b'k' * 31).decode()}",
        f"a:{base64.b64encode(b'k' * 33).decode()}",
        f"a:{SECRET}!",
        "a:é" + SECRET,
        f"{'n' * 256}:{SECRET}",
        f"a:{SECRET},a:{SECRET}",
        f"a:{SECRET},b",
    ],
)
def test_an_unusable_ring_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        KeyRing.parse(text)
    assert SECRET not in refused.value.detail
    assert "kkk" not in refused.value.detail


def test_spaces_and_a_trailing_comma_are_accepted() -> None:
    ring = KeyRing.parse(f" a:{SECRET} , b:{base64.b64encode(b'l' * 32).decode()} ,")
    assert list(ring.keys) == ["a", "b"]


def test_a_key_ring_shows_no_key_in_logs() -> None:
    assert repr(KeyRing.parse(f"a:{SECRET}")) == "KeyRing()"


def test_api_keys_are_long_random_and_stored_as_their_hash() -> None:
    key = new_api_key()
    assert re.fullmatch(r"car_[A-Za-z0-9_-]{43}", key)
    assert new_api_key() != key
    assert hash_api_key(key) == hashlib.sha256(key.encode()).digest()


def test_webhook_secrets_follow_standard_webhooks() -> None:
    secret = new_webhook_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
