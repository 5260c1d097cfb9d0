"""Secrets at rest: AES-256-GCM with the owner bound in as associated data.

A sealed value is `0x01 | len(key id) | key id | 12-byte nonce | ciphertext+tag`. Moving it to another
row, column or tenant makes it unreadable, because those are part of the associated data.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.errors import CarillonError, ConfigurationError

_FORMAT = 1
_NONCE = 12


class Undecryptable(CarillonError):
    """The value was sealed for another row, with a key no longer in the ring, or was tampered with."""


@dataclass(frozen=True)
class KeyRing:
    """Named 256-bit keys; the first seals, every one opens. Parsed from `ENCRYPTION_KEYS`."""

    keys: dict[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """`id:base64[,id:base64…]` → ring. Raises ConfigurationError without repeating the text."""
        keys: dict[str, bytes] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            name, _, encoded = part.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except ValueError:  # not base64, or not even ASCII
                key = b""
            if len(key) != 32 or not 0 < len(name.encode()) < 256:
                raise ConfigurationError("want id:base64-of-32-bytes, comma separated")
            if name in keys:
                raise ConfigurationError("two keys have the same id: what one of them sealed would be lost")
            keys[name] = key
        if not keys:
            raise ConfigurationError("no key given")
        return cls(keys)

    def header(self) -> bytes:
        """How every value begins that was sealed with the first key."""
        label = next(iter(self.keys)).encode()
        return bytes((_FORMAT, len(label))) + label

    def seal(self, plaintext: str, *, tenant_id: UUID, row_id: UUID, column: str) -> bytes:
        """Encrypt for one column of one row."""
        header, key = self.header(), next(iter(self.keys.values()))
        nonce = os.urandom(_NONCE)
        data = _associated(header, tenant_id, row_id, column)
        return header + nonce + AESGCM(key).encrypt(nonce, plaintext.encode(), data)

    def open(self, sealed: bytes, *, tenant_id: UUID, row_id: UUID, column: str) -> str:
        """Decrypt; raises Undecryptable."""
        if len(sealed) < 2 or sealed[0] != _FORMAT:
            raise Undecryptable("unknown format of a sealed value")
        end = 2 + sealed[1]
        header, nonce, body = sealed[:end], sealed[end : end + _NONCE], sealed[end + _NONCE :]
        key = self.keys.get(header[2:].decode(errors="replace"))
        if key is None:
            raise Undecryptable("sealed with a key that is not in ENCRYPTION_KEYS")
        try:
            return AESGCM(key).decrypt(nonce, body, _associated(header, tenant_id, row_id, column)).decode()
        except (InvalidTag, ValueError) as error:
            raise Undecryptable("sealed for another row, or altered") from error


def _associated(header: bytes, tenant_id: UUID, row_id: UUID, column: str) -> bytes:
    return b"\0".join((header, tenant_id.bytes, row_id.bytes, column.encode()))


def new_encryption_key(name: str) -> str:
    """A fresh entry for `ENCRYPTION_KEYS`."""
    return f"{name}:{base64.b64encode(os.urandom(32)).decode()}"


API_KEY_PREFIX = "car_"


def new_api_key() -> str:
    """A fresh API key: 256 random bits. Only its hash is ever stored."""
    return API_KEY_PREFIX + secrets.token_urlsafe(32)


def hash_api_key(key: str) -> bytes:
    """What is stored of an API key. Plain SHA-256 suffices: the key is 256 random bits, not a password."""
    return hashlib.sha256(key.encode()).digest()


def new_webhook_secret() -> str:
    """A Standard Webhooks signing secret: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()
