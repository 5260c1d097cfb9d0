"""deploy/new_env.py writes secrets that the services accept, and never overwrites them."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from common.secrets.crypto import API_KEY_PREFIX, KeyRing

SCRIPT = Path(__file__).parents[3] / "deploy" / "new_env.py"


def _write(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(SCRIPT), "--output", str(output), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def _read(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_secrets_are_new_usable_and_private(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        assert _write(path).returncode == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    one, other = _read(first), _read(second)
    secrets = {"POSTGRES_PASSWORD", "ENCRYPTION_KEYS", "GRAFANA_PASSWORD"}
    assert all(one[name] and one[name] != other[name] for name in secrets)
    assert len(KeyRing.parse(one["ENCRYPTION_KEYS"]).keys) == 1
    assert not set(one["POSTGRES_PASSWORD"]) & set(":/@?#%$")


def test_without_demo_vendors_are_real_and_there_is_no_demo_key(tmp_path: Path) -> None:
    assert _write(tmp_path / "env", "--observability").returncode == 0
    values = _read(tmp_path / "env")
    assert values["COMPOSE_PROFILES"] == "observability"
    assert values["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-collector:4318"
    assert not [name for name, value in values.items() if "sandbox" in value]
    assert "DEMO_API_KEY" not in values


def test_the_demo_sends_every_call_to_the_sandbox(tmp_path: Path) -> None:
    assert _write(tmp_path / "env", "--demo").returncode == 0
    values = _read(tmp_path / "env")
    assert values["COMPOSE_PROFILES"] == "demo"
    assert values["DEMO_API_KEY"].startswith(API_KEY_PREFIX)
    origins = {name: value for name, value in values.items() if name.endswith(("_BASE_URL", "_OAUTH_URL"))}
    assert len(origins) == 7
    assert all(value.startswith("http://sandbox:8090") for value in origins.values())
    assert values["OUTBOUND_ALLOWED_HOSTS"] == "sandbox:8090"
    # People agree in their own browser, which does not know the containers' names.
    pages = {name: value for name, value in values.items() if name.endswith(("_DIALOG_URL", "_PORTAL_URL"))}
    assert len(pages) == 4
    assert all(value.startswith("http://localhost:8090") for value in pages.values())
    assert values["FACEBOOK_APP_ID"]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in values


def test_an_existing_env_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "env"
    assert _write(path).returncode == 0
    before = path.read_text()
    again = _write(path)
    assert again.returncode == 1
    assert "move it away first" in again.stderr
    assert path.read_text() == before
