"""The platforms that are installed: one line each, in the entry point group `carillon.platforms`.

A package of yours adds one with

    [project.entry-points."carillon.platforms"]
    my_platform = "my_package.my_platform:PLATFORM"

where `PLATFORM` is a `platforms.platform.Platform`. API, executors and documents read everything from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

import httpx
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.errors import ConfigurationError
from common.models import ConnectionKind, platform_of
from platforms.oauth.base import Grant
from platforms.platform import Kind, Platform

GROUP: Final = "carillon.platforms"


def load() -> dict[str, Platform]:
    """Every installed platform by its folder.

    One that cannot be imported stops the process, unlike a handler: its accounts would be there, and neither
    be renewed nor read.

    Raises:
        ConfigurationError: an entry is no platform, or two declare the same kind of connection.
    """
    found: dict[str, Platform] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        platform = entry.load()
        if not isinstance(platform, Platform):
            raise ConfigurationError(f"{entry.value} is not a platforms.platform.Platform")
        if found.get(entry.name, platform) is not platform:
            raise ConfigurationError(f"the platform {entry.name!r} is declared more than once")
        found[entry.name] = platform
    return found


def kinds_of(platforms: Mapping[str, Platform]) -> dict[ConnectionKind, Kind]:
    """Every kind of connection of these platforms; raises ConfigurationError for one that two declare."""
    found: dict[ConnectionKind, Kind] = {}
    for platform in platforms.values():
        for kind in platform.kinds:
            if kind.name in found or platform_of(kind.name) != platform.name:
                raise ConfigurationError(
                    f"the kind of connection {kind.name!r} must be declared once, by a platform named "
                    f"{platform_of(kind.name)!r}"
                )
            found[kind.name] = kind
    return found


PLATFORMS: Final[Mapping[str, Platform]] = load()
KINDS: Final[Mapping[ConnectionKind, Kind]] = kinds_of(PLATFORMS)
"""Every kind of connection that has a token; stores, which only have credentials, are not among them."""
TITLES: Final[Mapping[str, str]] = {each.name: each.title for each in PLATFORMS.values()}
"""What people call the platforms an automation can read from, by name."""
AD_KINDS: Final[tuple[ConnectionKind, ...]] = tuple(name for name, kind in KINDS.items() if kind.ads)
"""The kinds of connection whose advertising can be read."""

if TYPE_CHECKING:

    class PlatformSettings(BaseSettings):
        """Base URLs and app credentials of every installed platform."""

else:
    # A class made of the installed platforms' own: no type checker can know which those are, so that each
    # platform takes its part with `platforms.platform.settings_of`.
    PlatformSettings = type(
        "PlatformSettings",
        tuple(dict.fromkeys(each.settings for each in PLATFORMS.values())),
        {
            "__doc__": "Base URLs and app credentials of every installed platform.",
            "__module__": __name__,
            "model_config": SettingsConfigDict(extra="ignore"),
        },
    )


def title_of(platform: str) -> str:
    """How people write a platform's name; one that is not installed by its own."""
    return TITLES.get(platform, platform)


def grants(http: httpx.AsyncClient, settings: BaseSettings) -> dict[ConnectionKind, Grant]:
    """The OAuth client of every kind of connection; `settings` hold those of all platforms."""
    return {name: kind.grant(http, settings) for name, kind in KINDS.items()}
