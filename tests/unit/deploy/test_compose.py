"""docker-compose.yml and the Dockerfile: valid, hardened, and naming only settings that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from executor.settings import ExecutorSettings
from notifier.settings import NotifierSettings
from scheduler.settings import SchedulerSettings

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
COMPOSE = ROOT / "docker-compose.yml"
BUCKET = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"}
"""What the library of the file store reads by itself."""
SERVICES: dict[str, type[BaseSettings]] = {
    "api": ApiSettings,
    "scheduler": SchedulerSettings,
    "executor": ExecutorSettings,
    "notifier": NotifierSettings,
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file, with its anchors and merges resolved."""
    parsed: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return parsed


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_file_follows_the_compose_specification() -> None:
    _run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_the_file_is_hardened() -> None:
    config = ["--config", "deploy/compose-lint.yml", "--strict-config"]
    _run(BIN / "compose-lint", "check", "--fail-on", "low", "--no-env", "-q", *config, COMPOSE)


def test_the_dockerfile_passes_hadolint() -> None:
    _run(BIN / "hadolint", "--failure-threshold", "info", "deploy/Dockerfile")


def test_the_image_runs_unprivileged_and_handles_sigterm() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    final = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final, re.MULTILINE)
    assert re.search(r"^STOPSIGNAL SIGTERM$", final, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*\\\n\s+CMD \[", final, re.MULTILINE)
    assert re.search(r"^CMD \[", final, re.MULTILINE)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_known_and_all_required_settings(compose: dict[str, Any], service: str) -> None:
    fields = {name.upper(): field for name, field in SERVICES[service].model_fields.items()}
    given = set(compose["services"][service]["environment"])
    assert given <= set(fields) | (BUCKET if "RECORDING_STORE_URL" in fields else set())
    assert {name for name, field in fields.items() if field.is_required()} <= given


def test_the_scheduler_gets_no_key(compose: dict[str, Any]) -> None:
    assert "ENCRYPTION_KEYS" not in compose["services"]["scheduler"]["environment"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_time_to_drain(compose: dict[str, Any], service: str) -> None:
    drain = SERVICES[service].model_fields["drain_timeout"].default
    grace = compose["services"][service]["stop_grace_period"]
    # Stopping the consumer may take as long as draining the runs does.
    assert float(grace.removesuffix("s")) > 2 * drain


def test_services_start_after_the_migration_and_topics(compose: dict[str, Any]) -> None:
    for service in SERVICES:
        assert compose["services"][service]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "topics": {"condition": "service_completed_successfully"},
        }
    for job, server in (("migrate", "postgres"), ("topics", "kafka")):
        assert compose["services"][job]["depends_on"] == {server: {"condition": "service_healthy"}}
        assert "healthcheck" in compose["services"][server]


def test_two_schedulers_and_two_executors_run(compose: dict[str, Any]) -> None:
    assert [compose["services"][name]["deploy"]["replicas"] for name in ("scheduler", "executor")] == [2, 2]


def test_only_this_machine_reaches_the_published_ports(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_variable_is_in_the_example(compose: dict[str, Any]) -> None:
    example = (ROOT / "deploy" / "carillon.env.example").read_text()
    listed = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE))
    asked = set(re.findall(r"\$\{([A-Z][A-Z0-9_]*)", COMPOSE.read_text()))
    passed_on = {
        name
        for service in compose["services"].values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }
    assert asked | passed_on == listed - {"COMPOSE_PROFILES"}


def test_services_with_a_store_share_a_writable_recordings_folder(
    compose: dict[str, Any],
) -> None:
    folder = "/var/lib/carillon/recordings"
    sharing = {
        name
        for name, service in compose["services"].items()
        if f"recordings:{folder}" in service.get("volumes", [])
    }
    assert sharing == {
        name for name, settings in SERVICES.items() if "recording_store_url" in settings.model_fields
    }
    assert "recordings" in compose["volumes"]
    for name in sharing:
        url = compose["services"][name]["environment"]["RECORDING_STORE_URL"]
        assert url == f"${{RECORDING_STORE_URL:-file://{folder}}}"
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    user = re.search(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    assert user is not None
    assert f"install -d -o {user[1]} -g {user[2]} -m 0700 {folder}" in text


def test_mounted_files_exist(compose: dict[str, Any]) -> None:
    mounted = [volume["source"] for volume in _mounts(compose) if volume["type"] == "bind"]
    assert mounted
    for source in mounted:
        assert (ROOT / source).exists(), source


def _mounts(compose: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            if isinstance(volume, dict):
                yield volume
