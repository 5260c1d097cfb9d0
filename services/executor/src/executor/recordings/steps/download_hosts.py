"""Which hosts a recording may be downloaded from, and which of them may be shown a token. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import httpx

from common.http import port_of


@dataclass(frozen=True, slots=True)
class DownloadHosts:
    """A platform's own hosts, which are shown the token, and those it may send us on to, which are not.

    The own ones follow from the address of its API: with `api.zoom.us` they are `zoom.us` and everything
    below it.
    """

    domain: str
    scheme: str
    port: int
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, base_url: str, others: Collection[str]) -> Self:
        """The hosts of the platform whose API is at `base_url`; `others` are domains."""
        url = httpx.URL(base_url)
        return cls(url.host.removeprefix("api."), url.scheme, port_of(url), tuple(others))

    def is_own(self, url: httpx.URL) -> bool:
        """Whether it is the platform itself: the token may be sent there."""
        return _is_within(url.host, self.domain) and (url.scheme, port_of(url)) == (self.scheme, self.port)

    def allows(self, url: httpx.URL) -> bool:
        """Whether a download may lead there."""
        if self.is_own(url):
            return True
        return url.scheme == "https" and any(_is_within(url.host, domain) for domain in self.others)


def _is_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
