"""Redaction hides a secret in every encoding and truncation, in time linear in the text."""

from __future__ import annotations

import base64
import html
import json
import random
import string
import textwrap
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from common.secrets.redaction import WINDOW, hide_secrets
from tests.support.planted_secrets import PlantedSecrets, random_text

SPECIAL = 'hunter/2+é="3 <2nd>&\n'
BOT = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " é€𝄞"


def printable(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices(PRINTABLE, k=length))


def jwt(length: int = 1_200) -> str:
    part = random_text(length // 3 - 1)
    return f"{part}.{part[::-1]}.{random_text(length // 3)}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing to hide", "nothing to hide"),
        (f"POST https://api.telegram.org/bot{BOT}/sendMessage", "POST https://api.telegram.org/bot[hidden]/sendMessage"),
        ("?access_token=EAAGm0PX4ZCps&fields=id", "?access_token=[hidden]&fields=id"),
        ('"access_token=EAAGm0PX4ZCps"', '"access_token=[hidden]"'),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==", "whsec_[hidden]"),
        ("key car_" + "a" * 43, "key car_[hidden]"),
        ("POST /bot110201543%3AAAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe", "POST /bot[hidden]/getMe"),
        (r'{"secret": "whsec_ab+\/cd="}', '{"secret": "whsec_[hidden]"}'),
        ("?secret=whsec_ab%2B%2fcd%3D&x=1", "?secret=whsec_[hidden]&x=1"),
        ("Authorization: Basic YWRhOmh1bnRlcjI=", "Authorization: Basic [hidden]"),
        ("a Basic plan stays", "a Basic plan stays"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [hidden]"),
        ("postgresql://carillon:hunter2@db/carillon", "postgresql://carillon:[hidden]@db/carillon"),
        ("postgres://db:5432/x and postgres://a:b@c", "postgres://db:5432/x and postgres://a:[hidden]@c"),
        ("a car_park and a bot1 stay", "a car_park and a bot1 stay"),
    ],
)  # fmt: skip
def test_secrets_are_recognised_by_pattern(text: str, shown: str) -> None:
    assert hide_secrets(text) == shown


def test_known_secrets_are_hidden_whatever_they_look_like() -> None:
    known = ["correct horse battery", "the"]
    assert hide_secrets("the correct horse battery", known) == "the [hidden]"
    assert hide_secrets("is pass-123 wrong?", ["pass-123"]) == "is [hidden] wrong?"


SPELLINGS: dict[str, Callable[[str], str]] = {
    "clear": str,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "percent-encoded in lower case": lambda secret: quote(secret, safe="").lower(),
    "percent-encoded twice": lambda secret: quote(quote(secret)),
    "percent-encoded four times": lambda secret: quote(quote(quote(quote(secret)))),
    "form-encoded": quote_plus,
    "JSON": json.dumps,
    "JSON in JSON": lambda secret: json.dumps(json.dumps({"token": secret})),
    "JSON three times": lambda secret: json.dumps(json.dumps(json.dumps(secret))),
    "JSON of PHP": lambda secret: json.dumps(secret).replace("/", "\\/").replace("\\u00e9", "\\u00E9"),
    "JSON of PHP in HTML": lambda secret: html.escape(json.dumps(secret).replace("/", "\\/")),
    "percent-encoded in JSON": lambda secret: json.dumps(quote(secret)),
    "JSON percent-encoded": lambda secret: quote(json.dumps(secret)),
    "HTML": html.escape,
    "HTML in JSON": lambda secret: json.dumps(html.escape(secret)),
    "repr": repr,
    "repr of bytes": lambda secret: repr(secret.encode()),
    "hexadecimal": lambda secret: secret.encode().hex(),
    "HEXADECIMAL": lambda secret: secret.encode().hex().upper(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "Basic authentication": lambda secret: base64.b64encode(f"client:{secret}".encode()).decode(),
    "base64 percent-encoded": lambda secret: quote(base64.b64encode(secret.encode()).decode(), safe=""),
    "base64 in lines": lambda secret: base64.encodebytes(secret.encode()).decode(),
    "base64 of a URL": lambda secret: base64.urlsafe_b64encode(f"ab{secret}cd".encode()).decode(),
    "in lines": lambda secret: "\n".join(textwrap.wrap(secret, 24, drop_whitespace=False)),
    "cut short": lambda secret: secret[: WINDOW + 3] + "...",
    "what was cut off": lambda secret: secret[-WINDOW:],
    "its middle": lambda secret: f"...{secret[10:-10]}...",
    "cut short in base64": lambda secret: base64.b64encode(secret.encode()).decode()[:24],
}
SECRETS = {
    "special": SPECIAL * 2,
    "printable": printable(64, 1),
    "punctuation": printable(200, 2),
    "backslashes": "\\" * 40,
    "a token": random_text(),
    "JWT": jwt(),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_no_spelling_of_a_known_secret_is_shown(spell: Callable[[str], str], secret: str) -> None:
    planted = PlantedSecrets()
    planted.plant("the secret", secret)
    shown = hide_secrets(f"cannot use {spell(secret)} here", [secret])
    assert shown.startswith("cannot use ")
    assert shown.endswith(" here")
    assert "[hidden]" in shown
    assert not planted.look([("the text", shown)])


def test_two_spellings_in_one_are_hidden() -> None:
    spelt = SPECIAL.replace("/", "\\/").replace('"', '\\"').replace("é", "\\u00E9")
    shown = hide_secrets(f"cannot use {spelt} here", [SPECIAL])
    assert "[hidden]" in shown
    assert "hunter" not in shown
    assert "2nd" not in shown


def test_nested_secrets_are_all_hidden() -> None:
    inner = "hunter2hunter2"
    assert hide_secrets(f"no {inner}|app", [inner, f"{inner}|app"]) == "no [hidden]"


def test_the_password_of_a_database_url_is_hidden() -> None:
    dsn = "postgresql://ada:hunter%2F2%21canary@db.example:5432/figures?options=another-secret"
    said = "db.example:5432 refused ada with hunter/2!canary or hunter%2F2%21canary and another-secret"
    assert hide_secrets(said, [dsn]) == "db.example:5432 refused ada with [hidden] or [hidden] and [hidden]"
    shown = hide_secrets(f"cannot reach {dsn}", [dsn])
    assert shown == "cannot reach postgresql://ada:[hidden]@db.example:5432/figures?options=[hidden]"


def test_other_text_is_kept() -> None:
    text = "día İstanbul 𝄞 \ud800 " + printable(5_000, 3)
    assert hide_secrets(text, [random_text(), SPECIAL]) == text
    shown = hide_secrets("\ud800é" + SPECIAL + "é", [SPECIAL])
    assert shown == "\ud800é[hidden]é"


@pytest.mark.parametrize("kind", ["JWT", "an API key", "an address"])
def test_a_cut_leaves_no_half_of_a_secret(kind: str) -> None:
    secret, hidden, known = {
        "JWT": (token := jwt(), token, [token]),
        "an API key": (key := "car_" + random_text(43), key, []),
        "an address": (f"postgresql://ada:{(word := random_text())}@db/x", word, []),
    }[kind]
    planted = PlantedSecrets()
    planted.plant(kind, hidden, public="car_")
    for before in [*range(250, 301), *range(4_300, 4_450)]:
        text = "x" * before + " " + secret + "y " * 10_000
        shown = hide_secrets(text, known, limit=300)
        assert len(shown) <= 300
        assert not planted.look([("the text", shown)])


def test_an_address_that_is_cut_before_its_host_shows_no_password() -> None:
    text = "postgresql://ada:" + "p" * 10_000 + "@db/x"
    assert "pp" not in hide_secrets(text, limit=300)


STEP = 131_072
"""Characters of the smaller text; the larger is eight times as long: 1 MB."""
HOSTILE: dict[str, tuple[str, list[str]]] = {
    "escapes": ("\\\\%25&#0", ["///////////", "+/+/+/+/+/+/"]),
    "backslashes": ("\\", ["\\" * 40]),
    "backslashes, nearly": ("\\" * 39 + "/", ["\\" * 40]),
    "escaped backslashes": (json.dumps(json.dumps("\\")), ["\\" * 4_096]),
    "one letter": ("a", ["a" * 4_096, "a" * 9, "a" * 15 + "b"]),
    "nearly a secret": ("a" * 11 + "b", ["a" * 12, "a" * 8 + "c"]),
    "JWT echoed cut": (jwt()[:700] + "... ", []),
    "databases": ("postgres://", []),
    "databases with users": ("postgres://x:", []),
    "databases between secrets": ("postgres://x:whsec_a,", []),
    "bots": ("bot1", []),
    "bots with digits": ("1bot" + "1" * 90, []),
    "Basic": ("Basic ", []),
    "API keys": ("car_" + "a" * 19 + " ", []),
    "signing secrets": ("whsec_%2", []),
    "access tokens": ("access_token=", []),
}  # fmt: skip
LONG_JWT = jwt()
CASES: dict[str, tuple[str, list[str]]] = {
    **HOSTILE,
    "JWT echoed cut": (LONG_JWT[:700] + "... ", [LONG_JWT]),
    "JWT echoed but for its end": (LONG_JWT[:-1] + "?", [LONG_JWT]),
    "many secrets": ("a vendor's honest answer, ", [printable(40, seed) for seed in range(20)]),
    "long hostile secret": ("\u00e9/\"'<%\\", ["\u00e9/\"'<%\\" * 500]),
    "honest": ('{"error": {"message": "(#100) Tried accessing nonexisting field", "code": 100}} ', [jwt()]),
    "no secrets": ("2025-01-01T00:00:00Z GET /api/runs 200 ", []),
}


def seconds(text: str, known: list[str]) -> float:
    """The lesser of two, so that what else this machine does counts less."""
    least = float("inf")
    for _ in range(2):
        begun = time.thread_time()
        hide_secrets(text, known, limit=None)
        least = min(least, time.thread_time() - begun)
    return least


@pytest.mark.parametrize(("unit", "known"), CASES.values(), ids=CASES)
def test_hiding_grows_with_the_text(unit: str, known: list[str]) -> None:
    small = (unit * (STEP // len(unit) + 1))[:STEP]
    seconds(small[:1_000], known)
    took, took_longer = seconds(small, known), seconds(small * 8, known)
    # Linear is 8 times; quadratic would be 64.
    assert took_longer < 24 * took + 0.05
    assert took_longer < 5


@pytest.mark.parametrize("unit", ["\\", "a", "\u00e9", "<\"'/&%+ ", printable(997, 4)], ids=range(5))
def test_preparing_to_hide_grows_with_the_secret(unit: str) -> None:
    def secret(length: int) -> str:
        return (unit * (length // len(unit) + 1))[:length]

    def preparing(length: int) -> float:
        # A second time it is known already.
        begun = time.thread_time()
        hide_secrets("an answer", [secret(length)])
        return time.thread_time() - begun

    took = min(preparing(4_000 + at) for at in range(3))
    took_longer = min(preparing(32_000 + at) for at in range(3))
    assert took_longer < 24 * took + 0.05
