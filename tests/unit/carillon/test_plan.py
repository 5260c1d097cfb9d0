"""What `carillon up` runs, decided before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from carillon.plan import BrokerChoice, Options, make_plan
from carillon.services import SANDBOX_APPS
from carillon.state import StateFolder
from common.recordings.store import RecordingStore
from common.settings import KafkaProfile, KafkaSettings
from executor.recordings.settings import RecordingSettings


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path)


def test_everything_is_embedded_by_default(folder: StateFolder) -> None:
    plan = make_plan(Options(folder, port=None), folder.secrets())
    assert [server.name for server in plan.servers] == ["postgres", "broker"]
    names = [service.name for service in plan.services]
    assert names == ["api", "scheduler", "executor-1", "executor-2", "notifier"]
    assert plan.kafka.kafka_profile is KafkaProfile.EMBEDDED
    assert len(set(plan.ports.values())) == len(plan.ports)


def test_clients_are_paused_only_for_a_broker_without_storage(folder: StateFolder) -> None:
    embedded = make_plan(Options(folder, port=None), folder.secrets()).servers[1]
    assert embedded.holds == {"api", "scheduler", "executor-1", "executor-2", "notifier"}


DIALOGS = ("FACEBOOK_DIALOG_URL", "TIKTOK_PORTAL_URL", "TIKTOK_DIALOG_URL", "ZOOM_DIALOG_URL")


def test_configured_servers_replace_embedded_ones(folder: StateFolder) -> None:
    kafka = KafkaSettings(
        kafka_bootstrap_servers="broker:9092", kafka_profile=KafkaProfile.APACHE, kafka_topic_prefix="x."
    )
    options = Options(folder, port=None, database_url="postgresql://u:p@db/c", kafka=kafka)
    plan = make_plan(options, folder.secrets())
    assert plan.servers == ()
    assert not plan.brings_broker
    for service in plan.services:
        assert service.environment["DATABASE_URL"] == "postgresql://u:p@db/c"
        assert service.environment["KAFKA_BOOTSTRAP_SERVERS"] == "broker:9092"
        assert service.environment["KAFKA_PROFILE"] == "apache"
        assert service.environment["KAFKA_TOPIC_PREFIX"] == "x."


def test_apache_kafka_is_needed_only_when_it_is_to_be_run(folder: StateFolder) -> None:
    kafka = KafkaSettings(
        kafka_bootstrap_servers="broker:9092", kafka_profile=KafkaProfile.APACHE, kafka_topic_prefix=""
    )
    assert Options(folder, broker=BrokerChoice.KAFKA).runs_apache_kafka
    assert not Options(folder, broker=BrokerChoice.KAFKA, kafka=kafka).runs_apache_kafka
    assert not Options(folder).runs_apache_kafka


def test_every_service_calls_the_sandbox_and_only_the_console_is_exposed(folder: StateFolder) -> None:
    plan = make_plan(Options(folder, port=8123, host="0.0.0.0"), folder.secrets())
    sandbox = f"127.0.0.1:{plan.ports['sandbox']}"
    for service in plan.services:
        assert service.environment["TELEGRAM_BASE_URL"] == f"http://{sandbox}"
        assert service.environment["OUTBOUND_ALLOWED_HOSTS"] == sandbox
        exposed = service.environment["HOST"] == "0.0.0.0"
        assert exposed == (service.name == "api")
    assert plan.console == "http://localhost:8123"


def test_accounts_are_connected_at_the_sandbox_whose_apps_both_sides_know(folder: StateFolder) -> None:
    plan = make_plan(Options(folder, port=8123), folder.secrets())
    sandbox = f"http://127.0.0.1:{plan.ports['sandbox']}"
    for service in plan.services:
        assert {service.environment[name] for name in DIALOGS} == {sandbox, f"{sandbox}/zoom/oauth"}
        assert service.environment["PUBLIC_URL"] == "http://localhost:8123"
        for name, value in SANDBOX_APPS.items():
            assert service.environment[name] == plan.sandbox.environment[name] == value


def test_recordings_are_stored_below_the_state_folder_where_all_services_find_them(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "a state folder")
    folder.root.mkdir()
    plan = make_plan(Options(folder, port=None), folder.secrets())
    url = f"file://{tmp_path}/a%20state%20folder/recordings"
    for service in plan.services:
        settings = RecordingSettings.model_validate(_lowered(service.environment))
        assert settings.recording_store_url == url
    RecordingStore.open(url)
    assert folder.recordings.is_dir()


def test_a_configured_store_is_used(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDING_STORE_URL", "s3://recordings/team")
    for service in make_plan(Options(folder, port=None), folder.secrets()).services:
        assert service.environment["RECORDING_STORE_URL"] == "s3://recordings/team"


def test_transcripts_are_made_by_the_sandbox(folder: StateFolder) -> None:
    plan = make_plan(Options(folder, port=None), folder.secrets())
    for service in plan.services:
        settings = RecordingSettings.model_validate(_lowered(service.environment))
        assert settings.transcription_base_url == f"{plan.sandbox_origin}/transcription"
        assert settings.transcription_api_key is not None


def _lowered(environment: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in environment.items()}


def test_only_the_console_knows_the_demo_key(folder: StateFolder) -> None:
    plan = make_plan(Options(folder, port=None), folder.secrets())
    knowing = [service.name for service in plan.services if "DEMO_API_KEY" in service.environment]
    assert knowing == ["api"]


def test_the_users_settings_take_precedence(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOMATION_CHECK_INTERVAL", "10")
    monkeypatch.setenv("ENCRYPTION_KEYS", "mine:a2V5")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "intranet")
    for service in make_plan(Options(folder, port=None), folder.secrets()).services:
        assert service.environment["AUTOMATION_CHECK_INTERVAL"] == "10"
        assert service.environment["ENCRYPTION_KEYS"] == "mine:a2V5"
        assert service.environment["NO_PROXY"] == "intranet,127.0.0.1,localhost"


def test_secrets_do_not_show_in_a_plan(folder: StateFolder) -> None:
    secrets = folder.secrets()
    shown = repr(make_plan(Options(folder, port=None), secrets))
    for value in (secrets.encryption_keys, secrets.postgres_password, secrets.api_key):
        assert value not in shown
