"""Forms as browsers send them: read within limits, and only from pages of the session they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from pydantic import ValidationError

from api.faults import in_words, pointer
from api.limits import read_body
from api.problems import UnsupportedMediaType
from api.sessions import SignedIn, is_https
from api.web.words import sentence
from common.errors import FieldError, Forbidden, RequestError

TOKEN = "form_token"  # noqa: S105  # the field's name
_TYPE = "application/x-www-form-urlencoded"
_MAX_FIELDS = 500
_PLAIN_WORDS: Mapping[str, str] = {
    "missing": "fill this in",
    "string_too_short": "fill this in",
    "uuid_parsing": "choose one of the list",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "float_parsing": "write a number",
    "enum": "choose one of the list",
    "literal_error": "choose one of the list",
    "datetime_from_date_parsing": "write a date and a time",
}
"""Refusals that read as if a program had sent the form, in words for people."""


class Form(Mapping[str, Sequence[str]]):
    """The fields of a form and what was entered, each possibly several times."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    @classmethod
    def parse(cls, body: bytes) -> Form:
        """From a request's body; raises RequestError."""
        try:
            pairs = parse_qsl(
                body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
            )
        except ValueError as error:
            raise RequestError("The form could not be read.") from error
        fields: dict[str, list[str]] = {}
        for name, value in pairs:
            fields.setdefault(name, []).append(value.replace("\0", "").replace("\r\n", "\n"))
        return cls(fields)

    def __getitem__(self, name: str) -> Sequence[str]:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def text(self, name: str, default: str = "") -> str:
        """One field, without the space around it."""
        return (self._fields.get(name) or (default,))[0].strip()

    def number(self, name: str) -> int | str:
        """The whole number in a field; other input stays text, so that the schema reports the error."""
        text = self.text(name)
        try:
            return int(text)
        except ValueError:
            return text

    def given(self, *names: str) -> dict[str, str]:
        """Those of the fields that were filled in."""
        return {name: text for name in names if (text := self.text(name))}


async def _read(request: Request) -> Form:
    """FastAPI dependency: the form of a request from this console; raises Forbidden for another site's."""
    refuse_other_sites(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise UnsupportedMediaType("Send the form as a browser does.")
    return Form.parse(await read_body(request))


def refuse_other_sites(request: Request) -> None:
    """Raise Forbidden for what another site made a browser send.

    Browsers say so in Sec-Fetch-Site, older ones in Origin; programs send neither and have no cookie that
    could be abused.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        allowed = site in ("same-origin", "none")
    else:
        allowed = (
            origin is None or origin == f"{'https' if is_https(request) else 'http'}://{request.url.netloc}"
        )
    if not allowed:
        raise Forbidden("This form was sent from another site.")


async def _of_session(viewer: SignedIn, form: Annotated[Form, Depends(_read)]) -> Form:
    """FastAPI dependency: the form of a signed-in user; raises Forbidden without the session's token."""
    if not viewer.sent(form.text(TOKEN)):
        raise Forbidden("This page was opened in an earlier session. Go back, reload it, and try again.")
    return form


OpenForm = Annotated[Form, Depends(_read)]
"""A form that needs no session: the one for signing in."""
SentForm = Annotated[Form, Depends(_of_session)]
"""A form of a signed-in user."""


class Faults:
    """What is wrong with a form, by field; what belongs to no field that is shown stands above it."""

    def __init__(self) -> None:
        self.above: list[str] = []
        self._fields: dict[str, list[str]] = {}

    def take(self, error: RequestError | ValidationError, fields: Mapping[str, str]) -> None:
        """Put a refusal next to what caused it. `fields` leads from JSON pointers to names of fields."""
        if isinstance(error, ValidationError):
            for fault in _faults_of(error):
                self.add(fault, fields)
            return
        if not error.errors:
            self.above.append(sentence(error.detail))
        for fault in error.errors:
            self.add(fault, fields)

    def add(self, fault: FieldError, fields: Mapping[str, str]) -> None:
        """Put one fault next to its field, or next to the closest thing around it that has one."""
        place = fault.pointer
        while place and place not in fields:
            place = place.rpartition("/")[0]
        if place:
            self._fields.setdefault(fields[place], []).append(sentence(fault.detail))
        else:
            name = fault.pointer.removeprefix("/").replace("/", " › ").replace("_", " ")
            self.above.append(sentence(f"{name}: {fault.detail}" if name else fault.detail))

    def __bool__(self) -> bool:
        return bool(self.above or self._fields)

    def at(self, field: str) -> str:
        """What is wrong with a field; empty when nothing is."""
        return " ".join(dict.fromkeys(self._fields.get(field, ())))

    @property
    def count(self) -> int:
        """How many faults there are."""
        return len(self.above) + sum(map(len, self._fields.values()))


def _faults_of(error: ValidationError) -> list[FieldError]:
    return [
        FieldError(
            pointer([step for step in fault["loc"] if not _names_a_type(step)]),
            _PLAIN_WORDS.get(fault["type"]) or in_words(fault),
        )
        for fault in error.errors(include_url=False, include_input=False)
    ]


def _names_a_type(step: str | int) -> bool:
    """Whether a step of a fault's path is Pydantic's name for a member of a union, not the form's."""
    text = str(step)
    return (
        text in ("int", "str", "telegram", "webhook") or text[:1].isupper() or text.startswith("constrained")
    )
