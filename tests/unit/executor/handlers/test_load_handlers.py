"""Handlers are found by their entry points; a bad one harms nobody but itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from common.errors import ConfigurationError
from executor.handlers import load_handlers
from executor.handlers.scheduled_report import ScheduledReport
from executor.settings import ExecutorSettings
from tests.support.handlers import OURS

_HANDLER = """
from pydantic import BaseModel
from executor.handlers.base import Handler, Outcome

class Config(BaseModel):
    greeting: str = "hello"

class Greeter(Handler[Config]):
    name = "greet"
    title = "Greeter"
    config = Config

    def __init__(self, settings):
        self.version = settings.facebook_api_version

    async def run(self, context, config):
        return Outcome(config.greeting, {})
"""

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package on the path as an installer would: a module, and a dist-info that declares it."""

    def put(package: str, source: str) -> None:
        site = tmp_path / package
        info = site / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{package}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[carillon.handlers]\ngreet = {package}:Greeter\n")
        monkeypatch.syspath_prepend(str(site))
        importlib.invalidate_caches()

    return put


def test_the_report_comes_with_the_executor(settings: ExecutorSettings) -> None:
    assert isinstance(load_handlers(settings)["scheduled_report"], ScheduledReport)


def test_an_installed_package_adds_a_handler(settings: ExecutorSettings, install: Install) -> None:
    install("greeter_good", _HANDLER)
    handler = load_handlers(settings)["greet"]
    assert handler.title == "Greeter"
    assert handler.version == settings.facebook_api_version  # type: ignore[attr-defined]  # the package's own


@pytest.mark.parametrize(
    ("package", "source", "told"),
    [
        ("greeter_unimportable", "import a_module_nobody_has", "a_module_nobody_has"),
        ("greeter_syntax", "def (", "SyntaxError"),
        ("greeter_absent", "", "Greeter"),
        ("greeter_no_handler", "class Greeter: ...", "not a subclass"),
        ("greeter_misnamed", _HANDLER.replace('"greet"', '"hail"'), "'greet'"),
        ("greeter_no_config", _HANDLER.replace("config = Config", "config = dict"), "pydantic model"),
        ("greeter_untitled", _HANDLER.replace("title =", "caption ="), "no title"),
        (
            "greeter_no_schema",
            _HANDLER.replace('str = "hello"', '__import__("typing").Callable = print'),
            "JsonSchema",
        ),
        ("greeter_abstract", _HANDLER.replace("async def run", "async def walk"), "abstract"),
        (
            "greeter_refuses",
            _HANDLER.replace("self.version", "raise RuntimeError('no licence')  #"),
            "no licence",
        ),
    ],
)
def test_a_broken_handler_is_logged_and_left_out(
    settings: ExecutorSettings, install: Install, package: str, source: str, told: str
) -> None:
    install(package, source)
    with capture_logs() as logs:
        handlers = load_handlers(settings)
    assert set(handlers) >= OURS
    assert "greet" not in handlers
    (event,) = [entry for entry in logs if entry["type"] == "greet"]
    assert event["log_level"] == "error"
    assert event["type"] == "greet"
    assert told in event["error"]


def test_a_name_declared_twice_is_refused_with_both_packages_named(
    settings: ExecutorSettings, install: Install
) -> None:
    install("greeter_one", _HANDLER)
    install("greeter_two", _HANDLER)
    with pytest.raises(ConfigurationError) as refused:
        load_handlers(settings)
    assert "greeter_one:Greeter and greeter_two:Greeter" in refused.value.detail
    assert "\n" not in refused.value.detail


def test_a_package_found_twice_on_the_path_is_one_package(
    settings: ExecutorSettings, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("greeter_twice", _HANDLER)
    monkeypatch.syspath_prepend(str(tmp_path / "greeter_twice"))
    assert set(load_handlers(settings)) >= {*OURS, "greet"}
