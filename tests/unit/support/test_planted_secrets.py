"""The search for planted secrets: a search that finds nothing anywhere proves nothing."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from tests.support.planted_secrets import PART, PlantedSecrets, random_text

SECRET = 'q+7/Zp=x"8<k&Vt~LmN0 RsT5uWyBdFh'
SPELLINGS: dict[str, Callable[[str], str]] = {
    "clear": str,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "percent-encoded but for slashes": quote,
    "form-encoded": quote_plus,
    "JSON": json.dumps,
    "JSON in JSON": lambda secret: json.dumps(json.dumps({"token": secret})),
    "HTML": html.escape,
    "hexadecimal": lambda secret: "\\x" + secret.encode().hex(),
    "HEXADECIMAL": lambda secret: secret.encode().hex().upper(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "Basic authentication": lambda secret: base64.b64encode(f"client:{secret}".encode()).decode(),
    "base64 of a URL": lambda secret: base64.urlsafe_b64encode(f"ab{secret}cd".encode()).decode(),
    "cut short": lambda secret: secret[: PART + 3],
    "what was cut off": lambda secret: secret[-PART:],
    "cut short in base64": lambda secret: base64.b64encode(secret.encode()).decode()[:24],
}


@pytest.mark.parametrize("spelt", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_is_found_however_it_is_spelt(spelt: Callable[[str], str]) -> None:
    planted = PlantedSecrets()
    planted.plant("the token", SECRET)

    text = f"before {spelt(SECRET)} after"

    assert [found.name for found in planted.look_in("a log", text)] == ["the token"]
    assert [found.name for found in planted.look_in("a log", text.encode())] == ["the token"]


def test_what_is_public_about_a_secret_is_no_secret() -> None:
    planted = PlantedSecrets()
    token = planted.new("the bot", "110201543:", length=35)

    assert not planted.look([("a log", "bot 110201543: was told"), ("a page", random_text(5_000))])
    (found,) = planted.look_in("a page", f"cut after {token[:25]}")
    assert (found.name, found.form, found.place) == ("the bot", "beginning", "a page")
    assert "cut after" in found.excerpt


def test_a_password_is_found_apart_from_its_address() -> None:
    planted = PlantedSecrets()
    planted.plant_dsn("the store", "postgresql://ada:hunter%2F2%21canary@db.example:5432/figures")

    assert not planted.look([("a log", "db.example:5432/figures refused ada")])
    for leaked in ("hunter/2!canary", "hunter%2F2%21canary"):
        assert planted.look([("a log", f"password {leaked} refused")])


def test_a_secret_that_any_text_could_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        PlantedSecrets().plant("the pin", "1234567")
