"""A browser without scripts for the console: follows links, fills in and submits forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx

from tests.factories import Team

_CHOSEN = ("checkbox", "radio")
HTML = {"Accept": "text/html"}
Fields = Mapping[str, str | list[str]]


@dataclass
class PageForm:
    """A form as the page shows it, with what its fields hold."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """What a page holds, as far as tests ask."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.status = response.status_code
        self.source = response.text
        self.forms: list[PageForm] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._text: list[str] = []
        self._form: PageForm | None = None
        self._select: str | None = None
        self._textarea: str | None = None
        self._in_button = False
        self.feed(response.text)

    @property
    def text(self) -> str:
        """What it says, white space made one."""
        return " ".join(" ".join(self._text).split())

    def form(self, action: str) -> PageForm:
        """The first form that is sent there."""
        return next(form for form in self.forms if form.action == action)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what tests ask about."""
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and not given.get("src", "").startswith("/static/")):
            self.inline.append(tag)
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "form":
            self._form = PageForm(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self._form)
        elif self._form is not None:
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str]) -> None:
        assert self._form is not None
        name = given.get("name", "")
        if tag == "button":
            self._in_button = True
            self._form.buttons.append("")
        elif tag == "select":
            self._select = name
        elif (
            tag == "option"
            and self._select
            and ("selected" in given or self._select not in self._form.fields)
        ):
            self._form.fields[self._select] = [given.get("value", "")]
        elif tag == "textarea":
            self._textarea = name
            self._form.fields[name] = [""]
        elif tag == "input" and name and (given.get("type") not in _CHOSEN or "checked" in given):
            self._form.fields.setdefault(name, []).append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave what was entered."""
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._textarea = None
        elif tag == "button":
            self._in_button = False

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self._text.append(data)
        if self._form is not None and self._textarea:
            self._form.fields[self._textarea][0] += data
        if self._form is not None and self._in_button:
            self._form.buttons[-1] += data.strip()


class Person:
    """Somebody at the console. Redirections are followed, as a browser does."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def sign_in(self, team: Team) -> Page:
        """With the team's key."""
        return await self.send("/sign-in", {"key": team.api_key})

    async def open(self, path: str) -> Page:
        """A page."""
        response = await self.client.get(path, headers=HTML, follow_redirects=True)
        self.path = urlsplit(str(response.url)).path
        return Page(response)

    async def send(self, path: str, fields: Fields) -> Page:
        """Fields to an address, whether or not a form was seen."""
        response = await self.client.post(path, data=dict(fields), headers=HTML, follow_redirects=True)
        self.path = urlsplit(str(response.url)).path
        return Page(response)

    async def submit(self, form: PageForm, **entered: str | list[str]) -> Page:
        """A form of a page, with some fields filled in anew; `__` in a name stands for a dot."""
        renamed = {name.replace("__", "."): value for name, value in entered.items()}
        return await self.send(form.action, {**form.fields, **renamed})
