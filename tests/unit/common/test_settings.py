"""Settings: an invalid one stops the process with one line that never shows its value."""

from __future__ import annotations

import base64

import pytest

from common.settings import (
    KafkaProfile,
    KafkaSettings,
    OutboundSettings,
    SecretSettings,
    ServiceSettings,
    load,
)
from platforms.facebook.settings import FacebookSettings

KEY = "first:" + base64.b64encode(b"k" * 32).decode()


class Everything(ServiceSettings, KafkaSettings, SecretSettings, OutboundSettings, FacebookSettings):
    """What an executor needs."""


GOOD = {
    "DATABASE_URL": "postgresql://carillon:hunter2@localhost/carillon",
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "ENCRYPTION_KEYS": KEY,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The least a service needs, and nothing of this machine's own."""
    for name in Everything.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        load(Everything)
    assert ended.value.code == 78
    return capsys.readouterr().err.splitlines()


def test_a_complete_environment_is_read(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KAFKA_PROFILE", "embedded")
    environment.setenv("OUTBOUND_ALLOWED_HOSTS", "localhost:9000, Hooks.Internal ,")
    settings = load(Everything)
    assert settings.kafka_profile is KafkaProfile.EMBEDDED
    assert settings.outbound_allowed_hosts == {"localhost:9000", "hooks.internal"}


def test_each_missing_setting_is_one_line_that_says_what_it_is(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv("DATABASE_URL")
    environment.delenv("ENCRYPTION_KEYS")
    missing_url, missing_keys = sorted(lines_of(capsys))
    assert missing_url.startswith("DATABASE_URL: is not set (`postgresql://")
    assert missing_keys.startswith("ENCRYPTION_KEYS: is not set (")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://carillon:hunter2@localhost/carillon"),
        ("ENCRYPTION_KEYS", "hunter2"),
        ("ENCRYPTION_KEYS", "first:hunter2"),
        ("ENCRYPTION_KEYS", "first:hünter2"),
        ("ENCRYPTION_KEYS", f"{KEY},{KEY}"),
        ("ENCRYPTION_KEYS", ""),
        ("PORT", "hunter2"),
        ("PORT", "70000"),
        ("DATABASE_POOL_SIZE", "1"),
        ("DRAIN_TIMEOUT", "0"),
        ("DRAIN_TIMEOUT", "nan"),
        ("LOG_LEVEL", "hunter2"),
        ("LOG_FORMAT", "hunter2"),
        ("KAFKA_PROFILE", "hunter2"),
        ("KAFKA_TOPIC_PREFIX", "hunter2/"),
        ("FACEBOOK_API_VERSION", "hunter2"),
    ],
)
def test_an_unusable_value_is_one_line_without_the_value(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    environment.setenv(name, value)
    [line] = lines_of(capsys)
    assert line.startswith(f"{name}: ")
    assert "hunter2" not in line
    assert "hünter2" not in line
    assert "kkkk" not in line
    assert "Value error" not in line


def test_settings_show_no_secret_in_logs(environment: pytest.MonkeyPatch) -> None:
    shown = repr(load(Everything)) + str(load(Everything).model_dump())
    assert "hunter2" not in shown
    assert KEY not in shown


@pytest.mark.parametrize("password", ["hunter2/x", "hunter2?x", "hunter2#x", "hun[ter2", "hunter2/x:y@z"])
def test_an_unescaped_password_is_not_parsed_as_a_port(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], password: str
) -> None:
    environment.setenv("DATABASE_URL", f"postgresql://carillon:{password}@localhost/carillon")
    [line] = lines_of(capsys)
    assert line.startswith("DATABASE_URL: has no host and port that can be read")
    assert "ter2" not in line


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://localhost/carillon",
        "postgresql://carillon:p%2Fw@[::1]:5432/carillon?sslmode=require",
        "postgres://carillon:p@w@one.example:5432,two.example:5433/carillon",
        "postgresql:///carillon?host=/run/postgresql",
    ],
)
def test_addresses_postgresql_understands_are_taken(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("DATABASE_URL", url)
    assert load(Everything).database_url.get_secret_value() == url
