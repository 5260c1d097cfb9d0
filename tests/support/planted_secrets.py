"""Secrets that tests plant, and the search for them in any encoding they may leak in.

A secret is found as it is, percent-encoded, in base64 (at any offset), in hexadecimal as PostgreSQL shows
bytes, as JSON and HTML escape it, and by its beginning or its end alone, because a text that is cut short
leaks most of what it was cut from.
"""

from __future__ import annotations

import base64
import html
import json
import secrets
import string
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote, urlsplit

from common.database.pool import DbSession
from common.secrets.crypto import KeyRing
from common.secrets.rotation import sealed_columns

PART = 12
"""Characters of a secret that count as the secret: no other text has them by chance."""
_SHORTEST = 8
_CONTEXT = 60
_ALPHABET = string.ascii_letters + string.digits
_PUBLIC = frozenset({"account_id", "client_id", "access_key_id"})
"""Credentials that are names and no secrets."""


def random_text(length: int = 40) -> str:
    """Random letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


@dataclass(frozen=True, slots=True)
class Sighting:
    """A leaked secret. `form` is the encoding it was found in."""

    name: str
    form: str
    place: str
    excerpt: str

    def __str__(self) -> str:
        return f"{self.name} ({self.form}) in {self.place}: {self.excerpt}"


class PlantedSecrets:
    """The secrets of one test, by the names they were given."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._needles: dict[bytes, tuple[str, str]] = {}
        self._by_beginning: dict[bytes, set[bytes]] = defaultdict(set)
        self._opened: set[tuple[str, bytes]] = set()

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, value: str) -> bool:
        return value in self._names

    def of(self, name: str) -> str:
        """The secret that was given this name last."""
        return next(value for value, given in reversed(self._names.items()) if given == name)

    def named(self, beginning: str) -> list[str]:
        """The names that begin so."""
        return [name for name in self._names.values() if name.startswith(beginning)]

    def plant(self, name: str, value: str, *, public: str = "") -> str:
        """Search for `value` from now on, and return it. `public` is its prefix that is not secret."""
        if value in self._names:
            return value
        secret = value.removeprefix(public)
        if len(secret) < _SHORTEST:
            raise ValueError(f"{name} is too short to be distinguished from ordinary words")
        self._names[value] = name
        for form, needle in _spellings(secret, whole=value):
            self._look_for(needle, name, form)
        return value

    def new(self, name: str, prefix: str = "", *, length: int = 40) -> str:
        """A new secret; `prefix` gives it the form of a real one."""
        return self.plant(name, prefix + random_text(length), public=prefix)

    def plant_dsn(self, name: str, dsn: str) -> str:
        """An address of a database with a password: the whole of it, and the password."""
        self._names.setdefault(dsn, name)
        self._look_for(dsn.encode(), name, "address")
        spelt = urlsplit(dsn).password or ""
        self.plant(f"{name}'s password", unquote(spelt))
        if spelt != unquote(spelt):
            self.plant(f"{name}'s password as it is spelt", spelt)
        return dsn

    async def adopt(self, db: DbSession, ring: KeyRing) -> int:
        """Plant every secret that is sealed in the database now; returns how many of them were new."""
        before = len(self)
        for column in sealed_columns():
            rows = await db.fetch(
                f"SELECT id, tenant_id, {column.name}_sealed AS sealed FROM {column.table}"
                f" WHERE {column.name}_sealed IS NOT NULL"
            )
            for row in rows:
                if (str(column), row["sealed"]) in self._opened:
                    continue
                self._opened.add((str(column), row["sealed"]))
                opened = ring.open(
                    row["sealed"], tenant_id=row["tenant_id"], row_id=row["id"], column=column.name
                )
                self._adopt(f"{column} of {row['id']}", opened)
        return len(self) - before

    def _adopt(self, name: str, secret: str) -> None:
        if secret in self._names:
            return
        if secret.startswith("{"):
            for part, value in json.loads(secret).items():
                if part not in _PUBLIC:
                    self._adopt(f"{part} in {name}", value)
        elif secret.startswith("postgres"):
            self.plant_dsn(name, secret)
        elif secret.startswith("eyJ"):
            # Begins with a header that all of one kind have in common.
            self.plant(name, secret, public=secret[: secret.index(".") + 1])
        else:
            self.plant(name, secret)

    def look_in(self, place: str, content: str | bytes) -> Iterator[Sighting]:
        """Every secret that is in `content`, each once."""
        haystack = content.encode(errors="replace") if isinstance(content, str) else content
        beginnings, found = self._by_beginning, set[str]()
        # Thousands of needles: one pass that asks at each byte whether one begins here.
        for at in range(len(haystack) - _SHORTEST + 1):
            if haystack[at : at + _SHORTEST] not in beginnings:
                continue
            for needle in beginnings[haystack[at : at + _SHORTEST]]:
                name, form = self._needles[needle]
                if name not in found and haystack.startswith(needle, at):
                    found.add(name)
                    around = haystack[max(0, at - _CONTEXT) : at + len(needle) + _CONTEXT]
                    yield Sighting(name, form, place, around.decode(errors="replace"))

    def _look_for(self, needle: bytes, name: str, form: str) -> None:
        if needle not in self._needles:
            self._needles[needle] = (name, form)
            self._by_beginning[needle[:_SHORTEST]].add(needle)

    def look(self, places: Iterable[tuple[str, str | bytes]]) -> list[Sighting]:
        """Every secret in every place."""
        return [sighting for place, content in places for sighting in self.look_in(place, content)]


def _spellings(secret: str, *, whole: str) -> Iterator[tuple[str, bytes]]:
    """How the secret may be spelt, with the name of each spelling."""
    parts = {"clear": secret}
    if len(secret) >= 2 * PART:
        parts |= {"beginning": secret[:PART], "end": secret[-PART:]}
    for which, text in parts.items():
        raw = text.encode()
        yield which, raw
        yield f"{which}, percent-encoded", quote(text, safe="").encode()
        yield f"{which}, percent-encoded", quote(text).encode()
        yield f"{which}, form-encoded", quote_plus(text).encode()
        yield f"{which}, JSON", json.dumps(text)[1:-1].encode()
        yield f"{which}, JSON", json.dumps(json.dumps(text)[1:-1])[1:-1].encode()
        yield f"{which}, JSON", text.replace("/", "\\/").encode()
        yield f"{which}, HTML", html.escape(text).encode()
        yield f"{which}, hexadecimal", raw.hex().encode()
        yield f"{which}, hexadecimal", raw.hex().upper().encode()
        for spelt in _base64(raw):
            yield f"{which}, base64", spelt
    # Together with its public beginning base64 may fall otherwise.
    for spelt in _base64(whole.encode()):
        yield "clear, base64", spelt


def _base64(raw: bytes) -> Iterator[bytes]:
    """The digits that `raw` has in base64 whatever stands before and after it, in both alphabets."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw)
        # A digit that also holds bits of a neighbour is left out.
        inner = encoded.rstrip(b"=")[-(-before * 8 // 6) :]
        if (before + len(raw)) % 3:
            inner = inner[:-1]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))
