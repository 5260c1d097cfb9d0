"""The state folder: claimed by one process at a time, secrets made once and readable by their owner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from carillon.state import StateFolder, StateInUse


def test_secrets_are_created_once_and_private(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    first = folder.secrets()
    assert folder.secrets() == first
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert StateFolder(tmp_path / "..").secrets() != first


def test_secrets_are_not_shown_in_repr(tmp_path: Path) -> None:
    secrets = StateFolder(tmp_path).secrets()
    for value in (secrets.encryption_keys, secrets.postgres_password, secrets.webhook_secret):
        assert value not in repr(secrets)


def test_a_second_claim_names_the_holder_of_the_first(tmp_path: Path) -> None:
    second = StateFolder(tmp_path).claimed("http://localhost:8001")
    with StateFolder(tmp_path).claimed("http://localhost:8000"), pytest.raises(StateInUse) as refusal, second:
        pass
    assert "http://localhost:8000" in str(refusal.value)
    assert f"kill {os.getpid()}" in str(refusal.value)


def test_a_claim_ends_with_its_holder(tmp_path: Path) -> None:
    with StateFolder(tmp_path).claimed("http://localhost:8000"):
        pass
    with StateFolder(tmp_path).claimed("http://localhost:8000"):
        pass
