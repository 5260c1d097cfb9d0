"""Measured figures: tests record them, the end of the session prints them, `--figures FILE` keeps them.

A figure is measured where a promise is tested, so the number that is published is the number that was held.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

_PREFIX = "figure: "


class Figures:
    """What one test measured."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def record(self, name: str, value: float, unit: str) -> None:
        """Keep one figure; `name` says what was measured, for a reader who has not seen the test."""
        self._item.user_properties.append((_PREFIX + name, f"{value:.6g} {unit}"))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where a test records what it measured."""
    return Figures(request.node)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--figures`."""
    parser.addoption(
        "--figures", type=Path, default=None, help="write the measured figures to this JSON file"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures above pytest's own last line."""
    measured = {
        name.removeprefix(_PREFIX): str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name.startswith(_PREFIX)
    }
    if not measured:
        return
    terminalreporter.section("figures")
    for name, value in sorted(measured.items()):
        terminalreporter.write_line(f"{name}: {value}")
    path: Path | None = config.getoption("--figures")
    if path is not None:
        path.write_text(json.dumps(measured, indent=2, sort_keys=True) + "\n")
