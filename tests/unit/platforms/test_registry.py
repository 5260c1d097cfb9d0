"""The registry: what is installed, and what it refuses."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from common.errors import ConfigurationError
from common.models import ConnectionKind, platform_of
from platforms import registry
from platforms.platform import Platform

FOLDERS = {"facebook", "tiktok_business", "tiktok_organic", "zoom"}


def declare(monkeypatch: pytest.MonkeyPatch, *values: tuple[str, str]) -> None:
    """Let these be the installed entry points."""
    entries = [EntryPoint(name, value, registry.GROUP) for name, value in values]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == registry.GROUP else [])


def test_every_folder_is_registered_by_its_name() -> None:
    assert set(registry.PLATFORMS) >= FOLDERS
    for folder in FOLDERS:
        assert registry.PLATFORMS[folder].kinds[0].grant.__module__ == f"platforms.{folder}.oauth"


@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_kind_is_named_after_its_platform_and_can_be_pasted(kind: ConnectionKind) -> None:
    assert platform_of(kind) in registry.TITLES
    assert registry.KINDS[kind].pasted
    assert registry.KINDS[kind].title.startswith(registry.title_of(platform_of(kind)))


def test_a_platform_that_is_not_installed_is_shown_by_its_name() -> None:
    assert registry.title_of("tiktok") == "TikTok"
    assert registry.title_of("uninstalled") == "uninstalled"


def test_an_entry_that_is_no_platform_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, ("odd", "platforms.registry:GROUP"))
    with pytest.raises(ConfigurationError, match=r"platforms\.registry:GROUP"):
        registry.load()


def test_a_name_declared_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(
        monkeypatch,
        ("facebook", "platforms.facebook.platform:FACEBOOK"),
        ("facebook", "platforms.zoom.platform:ZOOM"),
    )
    with pytest.raises(ConfigurationError, match="'facebook' is declared more than once"):
        registry.load()


def test_a_kind_declared_by_two_platforms_is_refused() -> None:
    facebook = registry.PLATFORMS["facebook"]
    with pytest.raises(ConfigurationError, match="facebook_user"):
        registry.kinds_of({"facebook": facebook, "copy": facebook})


def test_a_kind_that_is_not_named_after_its_platform_is_refused() -> None:
    facebook = registry.PLATFORMS["facebook"]
    other = Platform("meta", "Meta", facebook.settings, facebook.kinds)
    with pytest.raises(ConfigurationError, match="'facebook_user'"):
        registry.kinds_of({"meta": other})
