"""The decisions: numbered without gaps, of one shape, short enough to be read, and about files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def test_they_are_numbered_without_gaps() -> None:
    assert [int(page.name[:4]) for page in PAGES] == list(range(1, len(PAGES) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_says_what_led_to_it_and_what_follows(page: Path) -> None:
    text = page.read_text()
    assert re.match(rf"# {int(page.name[:4])}\. \S", text)
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[:3] == ["Context", "Decision", "Consequences"]
    assert len(text.split()) < 700


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_modules_and_settings_it_names_exist(page: Path) -> None:
    text = page.read_text()
    for module in re.findall(r"`common\.(\w+)", text):
        folder = ROOT / "libs" / "common" / "src" / "common"
        assert (folder / f"{module}.py").exists() or (folder / module).is_dir(), module
    settings = (ROOT / "docs" / "settings.md").read_text()
    for variable in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)\b", text):
        assert f"`{variable}`" in settings, variable
