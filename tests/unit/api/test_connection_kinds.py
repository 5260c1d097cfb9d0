"""What may be pasted for each kind of connection, and what the person is told about what may not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import SecretStr

from api.connection_kinds import ALL_KINDS, PASTED, Secrets, unusable
from common.models import ConnectionKind
from platforms.zoom import ZOOM_SERVER

SERVER = {"account_id": "a", "client_id": "b", "client_secret": "c"}


def secrets(given: Mapping[str, object]) -> Secrets:
    sealed: dict[str, object] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            sealed[name] = {inner: SecretStr(text) for inner, text in value.items()}
        else:
            sealed[name] = SecretStr(str(value))
    return Secrets(**sealed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "given", "pointers"),
    [
        ("facebook_user", {"token": "t"}, []),
        ("facebook_user", {}, ["/token"]),
        ("facebook_user", {"token": "t", "refresh_token": "r"}, ["/refresh_token"]),
        ("facebook_user", {"token": "t", "webhook_secret": "w"}, ["/webhook_secret"]),
        ("facebook_user", {"token": "to ken"}, ["/token"]),
        ("facebook_user", {"token": "tökén"}, ["/token"]),
        ("facebook_user", {"token": "t\n"}, ["/token"]),
        ("tiktok_business", {"token": "t"}, []),
        ("tiktok_organic", {"token": "t"}, []),
        ("tiktok_organic", {"refresh_token": "r"}, []),
        ("tiktok_organic", {"token": "t", "refresh_token": "r r"}, ["/refresh_token"]),
        ("zoom_user", {"token": "t", "refresh_token": "r", "webhook_secret": "w"}, []),
        ("zoom_user", {"webhook_secret": "w"}, ["/token"]),
        ("zoom_user", {"token": "t", "credentials": SERVER}, ["/credentials"]),
        ("zoom_server", {"credentials": SERVER}, []),
        ("zoom_server", {"credentials": SERVER, "webhook_secret": "w"}, []),
        ("zoom_server", {}, ["/credentials"]),
        ("zoom_server", {"token": "t"}, ["/token"]),
        (
            "zoom_server",
            {"credentials": {"account_id": "a"}},
            ["/credentials/client_id", "/credentials/client_secret"],
        ),
        ("zoom_server", {"credentials": {**SERVER, "password": "p"}}, ["/credentials"]),
        ("postgresql", {"token": "postgresql://u:p@db.example:5432/figures"}, []),
        ("postgresql", {"token": "mysql://u:p@db.example/figures"}, ["/token"]),
        ("postgresql", {"token": "postgresql:///figures"}, ["/token"]),
        ("postgresql", {"token": "postgresql://u:p@db.example:port/figures"}, ["/token"]),
        ("s3", {"credentials": {"access_key_id": "a", "secret_access_key": "b"}}, []),
        ("s3", {"token": "t"}, ["/token"]),
        ("s3", {"credentials": {"access_key_id": "a"}}, ["/credentials/secret_access_key"]),
    ],
)
def test_what_a_new_connection_is_made_of(
    kind: str, given: Mapping[str, object], pointers: list[str]
) -> None:
    faults = unusable(ConnectionKind(kind), secrets(given), complete=True)
    assert [fault.pointer for fault in faults] == pointers


def test_no_refusal_repeats_a_secret() -> None:
    for kind in ALL_KINDS:
        given = secrets(
            {
                "token": "canary canary",
                "refresh_token": "canary canary",
                "webhook_secret": "canary",
                "credentials": {"canary_name": "canary"},
            }
        )
        for fault in unusable(kind, given, complete=True):
            assert "canary" not in fault.detail


def test_a_change_may_give_some_secrets_only() -> None:
    assert unusable(ZOOM_SERVER, secrets({"webhook_secret": "w"}), complete=False) == []


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_kind_can_be_pasted(kind: ConnectionKind) -> None:
    assert any(field.required for field in PASTED[kind])
