"""Decision pages: numbered without gaps, one format, short, and the names in them exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def test_they_are_numbered_without_gaps() -> None:
    assert [int(page.name[:4]) for page in PAGES] == list(range(1, len(PAGES) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_has_the_sections_status_and_date(page: Path) -> None:
    text = page.read_text()
    assert re.match(rf"# {int(page.name[:4])}\. \S", text)
    assert re.search(r"^- Status: (accepted|superseded by \[\d+\]\(\d{4}-[\w-]+\.md\))$", text, re.MULTILINE)
    assert re.search(r"^- Date: \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[:3] == ["Context", "Decision", "Consequences"]
    assert headings[3:] in (["Rejected alternatives"], ["Alternatives"])
    assert len(text.split()) < 750


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_modules_and_settings_it_names_exist(page: Path) -> None:
    text = page.read_text()
    for module in re.findall(r"`common\.(\w+)", text):
        folder = ROOT / "libs" / "common" / "src" / "common"
        assert (folder / f"{module}.py").exists() or (folder / module).is_dir(), module
    settings = (ROOT / "docs" / "settings.md").read_text()
    for variable in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)\b", text):
        assert f"`{variable}`" in settings, variable
