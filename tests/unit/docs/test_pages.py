"""README.md and the pages in docs/: links, commands and listings name things that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer.main

from carillon.cli import app
from tests.support.documents import PAGES, README, ROOT, Block, blocks

EVERY_PAGE = sorted({*PAGES, *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")})
# Each of these is a test in tests/e2e/test_documented_commands.py.
WAYS = {"up", "demo", "terminal", "servers", "services", "install", "stand-ins"}


def test_every_command_says_how_it_is_tested() -> None:
    shell = [block for block in blocks() if block.language in {"sh", "bash", "shell", "console"}]
    assert {block.language for block in shell} == {"sh"}
    assert {block.tested for block in shell} == WAYS


def test_every_page_with_commands_is_tested() -> None:
    """A page outside `PAGES` would have commands that no test runs. CONTRIBUTING's are CI's own."""
    others = {page for page in EVERY_PAGE if page.parent == ROOT / "docs"} - set(PAGES)
    assert not [page for page in others if "```sh" in page.read_text(encoding="utf-8")]


def test_the_readme_is_two_screens() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 100


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "pictures").glob("*.png"))
    assert len(pictures) == 2
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


def test_a_block_without_a_comment_is_seen() -> None:
    text = "Text\n\n```sh\nmake up\n```\n\n<!-- tested: demo -->\n```sh\nmake demo\n```\n"
    assert blocks(text) == [
        Block("sh", "make up\n", None, None),
        Block("sh", "make demo\n", "tested", "demo"),
    ]


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if "://" not in link:
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    commands = "".join(block.text for block in blocks(text) if block.language == "sh")
    named = set(re.findall(r"`make ([a-z]\w*)", text))
    named |= set(re.findall(r"^make ([a-z]\w*)", commands, re.MULTILINE))
    assert named <= targets, named - targets


def test_carillon_commands_exist() -> None:
    command = typer.main.get_command(app)
    groups = {
        name: set(getattr(sub, "commands", {})) for name, sub in getattr(command, "commands", {}).items()
    }
    text = "".join(block.text for block in blocks() if block.language == "sh")
    named = re.findall(r"(?:^|[(/]|PORT=\d+ )carillon ([a-z]+)(?: ([a-z]+))?", text, re.MULTILINE)
    assert named
    for name, sub in named:
        assert name in groups, name
        if groups[name]:
            assert sub in groups[name], f"{name} {sub}"


def test_the_tree_shows_what_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    [tree] = [block.text for block in blocks(text) if block.language == "text"]
    shown = {line.split()[0] for line in tree.splitlines()}
    assert all((ROOT / folder).is_dir() for folder in shown)
    members = {
        f"{path.parent.name}/{path.name}/"
        for parent in ("libs", "services")
        for path in (ROOT / parent).iterdir()
    }
    assert members <= shown


def test_the_handler_is_declared_under_its_name() -> None:
    files = {block.file: block.text for block in blocks() if block.file}
    project = tomllib.loads(files["heartbeat/pyproject.toml"])["project"]
    [(name, target)] = project["entry-points"]["carillon.handlers"].items()
    module, _, found = target.partition(":")
    code = files[f"{project['name']}/{module}.py"]
    assert f"class {found}(Handler[" in code
    assert f'name = "{name}"' in code
