"""Hiding secrets in texts that others wrote: errors of vendors, answers of receivers, log lines.

The work is linear in the text and in the secrets, because both may be chosen by an attacker, and a text that
takes seconds stops every team that shares the process:

- A known secret is spelt in a fixed set of forms (as JSON, percent-encoded, in base64, ...), and every window
  of `WINDOW` bytes of those forms goes into one set. The text is read once, and a window of it that is in
  the set is hidden. So a secret that arrives cut short, wrapped or spelt in two ways at once is hidden too,
  but for pieces of less than a window.
- Secrets that are known by their looks (`Bearer ...`) are found by patterns that consume what they have read.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "[hidden]"
WINDOW = 12
"""Characters of a secret that count as the secret: no other text has them by chance."""
LONGEST = 65_536
"""Characters of a text that are shown at most."""
SHORTEST = 8
"""Secrets that are shorter are not hidden: they would be found in ordinary words."""

_STRIDE = 6
_MARGIN = 4_096
_MOST_FORMS = 65_536
"""Bytes of spellings of one secret. Only long secrets that are made of escaped characters have more; of
those, the unlikeliest spellings are left out."""

# Each pattern either fails within a bounded number of characters or consumes all it has read. The growth test
# in tests/unit/common/test_redaction.py fails for a pattern that does not.
_DATABASE = re.compile(r"(postgres(?:ql)?://[^:/@\s]*:)([^@\s]+)(@|\Z)?")
_LOOKS = re.compile(
    r"(access_token=)[^&\s\"']+|(bot)\d+(?::|%3[Aa])[A-Za-z0-9_-]{20,}|(car_)[A-Za-z0-9_-]{20,}"
    r"|(whsec_)(?:[A-Za-z0-9+/=]|\\/|%2[BFbf]|%3D)+"
    r"|(Bearer )[A-Za-z0-9._~+/-]+|(Basic )[A-Za-z0-9+/=_-]{16,}",
)
_HIDDEN = HIDDEN.encode()


def hide_secrets(text: str, known: Iterable[str] = (), *, limit: int | None = LONGEST) -> str:
    """`text` without the tokens, keys and passwords it may carry, as in a vendor's error or a URL.

    `known` are secrets to hide whatever they look like and however they are spelt; of an address of a
    database, its password. `limit` cuts the text to so many characters; None does not. Pass it instead of
    cutting afterwards, so that no more is searched than is shown. What is cut leaves no half of a secret.
    """
    is_cut = limit is not None and len(text) > limit + _MARGIN
    if limit is not None and is_cut:
        text = text[: limit + _MARGIN]
    index = _index(tuple(sorted({secret for secret in known if len(secret) >= SHORTEST})))
    if index is not None:
        text = _without_known(text, index)
    text = _DATABASE.sub(lambda match: _without_password(match, is_cut=is_cut), text)
    text = _LOOKS.sub(lambda match: next(filter(None, match.groups())) + HIDDEN, text)
    return text if limit is None else text[:limit]


def _without_password(match: re.Match[str], *, is_cut: bool) -> str:
    """An address without its password: what an `@` follows, or may have followed where the text was cut."""
    before, _, end = match.groups()
    return f"{before}{HIDDEN}{end}" if end == "@" or (end == "" and is_cut) else match[0]


@dataclass(frozen=True, slots=True)
class _Index:
    """What to look for, in lower case: ASCII letters stand for both cases."""

    windows: frozenset[bytes]
    beginnings: frozenset[bytes]
    """Every `_STRIDE` bytes of the windows: whether a window may be near."""
    short: tuple[bytes, ...]
    """Forms of less than a window."""


def _without_known(text: str, index: _Index) -> str:
    # A JSON document may hold half a pair of surrogates, which must pass.
    content = text.encode(errors="surrogatepass")
    lower = content.lower()
    spans = sorted([*_found(lower, index), *(span for form in index.short for span in _all(lower, form))])
    if not spans:
        return text
    shown, at = bytearray(content[: spans[0][0]] + _HIDDEN), spans[0][0]
    for begin, end in spans:
        if begin > at:
            shown += content[at:begin] + _HIDDEN
        at = max(at, end)
    shown += content[at:]
    try:
        return shown.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        # A window may begin within a character.
        return shown.decode(errors="replace")


def _found(text: bytes, index: _Index) -> Iterator[tuple[int, int]]:
    """Where windows of a secret are; those that touch are one.

    Every window covers one whole stride, so that windows are looked for only around strides that are known.
    """
    windows, beginnings = index.windows, index.beginnings
    first = last = -1
    for at in range(0, len(text) - _STRIDE + 1, _STRIDE):
        if text[at : at + _STRIDE] not in beginnings:
            continue
        for begin in range(max(0, at - WINDOW + _STRIDE + 1), at + 1):
            if text[begin : begin + WINDOW] not in windows:
                continue
            if begin > last:
                if last > 0:
                    yield first, last
                first = begin
            last = begin + WINDOW
    if last > 0:
        yield first, last


def _all(text: bytes, form: bytes) -> Iterator[tuple[int, int]]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + len(form))


@lru_cache(maxsize=16)
def _index(secrets: tuple[str, ...]) -> _Index | None:
    windows, short = set[bytes](), set[bytes]()
    for secret in secrets:
        for part in _secret_parts(secret):
            for form in _forms(part):
                if len(form) < WINDOW:
                    short.add(form)
                windows.update(form[at : at + WINDOW] for at in range(len(form) - WINDOW + 1))
    if not windows and not short:
        return None
    beginnings = {window[at : at + _STRIDE] for window in windows for at in range(WINDOW - _STRIDE + 1)}
    return _Index(frozenset(windows), frozenset(beginnings), tuple(short))


def _secret_parts(secret: str) -> Iterator[str]:
    """The secret itself; of an address its password and parameters, because its host is no secret."""
    scheme, separator, rest = secret.partition("://")
    if not separator or not scheme.isalnum():
        yield secret
        return
    address, _, query = rest.partition("?")
    parts = [address.rpartition("@")[0].partition(":")[2]]
    parts += [parameter.partition("=")[2] for parameter in query.split("&")]
    for part in parts:
        for spelt in {part, unquote(part)}:
            if len(spelt) >= SHORTEST:
                yield spelt


def _percent(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _percent_but_slashes(text: str) -> str:
    return quote(text, errors="replace")


def _percent_as_little_as_allowed(text: str) -> str:
    return quote(text, safe="!$&'()*+,;=:/?@[]", errors="replace")


def _form(text: str) -> str:
    return quote_plus(text, errors="replace")


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_in_unicode(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _json_with_slashes(text: str) -> str:
    return _json(text).replace("/", "\\/")


def _json_with_slashes_in_unicode(text: str) -> str:
    return _json_in_unicode(text).replace("/", "\\/")


def _json_for_html(text: str) -> str:
    return re.sub("[<>&']", lambda match: f"\\u{ord(match[0]):04x}", _json_with_slashes(text))


def _html_in_decimal(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def _html_in_ascii(text: str) -> str:
    return html.escape(text).encode("ascii", "xmlcharrefreplace").decode()


def _html_but_quotes(text: str) -> str:
    return html.escape(text, quote=False)


def _repr(text: str) -> str:
    return repr(text)[1:-1]


def _repr_of_bytes(text: str) -> str:
    return repr(text.encode(errors="replace"))[2:-1]


_SPELLERS: tuple[Callable[[str], str], ...] = (
    _json,
    _percent,
    _json_in_unicode,
    _json_with_slashes,
    _percent_but_slashes,
    _form,
    html.escape,
    _repr,
    _json_with_slashes_in_unicode,
    _json_for_html,
    _html_in_decimal,
    _html_in_ascii,
    _html_but_quotes,
    _repr_of_bytes,
    _percent_as_little_as_allowed,
)


def _forms(secret: str) -> Iterator[bytes]:
    """How a secret may be spelt, the likeliest first, up to `_MOST_FORMS` bytes together."""
    room, seen = _MOST_FORMS, set[bytes]()
    for spelt in _spellings(secret):
        form = spelt.encode(errors="replace").lower()
        if form in seen:
            continue
        room -= len(form)
        # The secret as it is counts whatever its length.
        if room < 0 and seen:
            return
        seen.add(form)
        yield form


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    raw = secret.encode(errors="replace")
    once = list(dict.fromkeys(spell(secret) for spell in _SPELLERS))
    yield from once
    encoded = list(_base64(raw))
    yield from encoded
    yield raw.hex()
    yield from (spell(spelt) for spell in _SPELLERS for spelt in once if spelt != secret)
    for spell in (_percent, _form, _json_with_slashes):
        yield from (spell(digits) for digits in encoded)
    for spell in (_json, _json_with_slashes, _percent, _percent_but_slashes):
        yield spell(spell(spell(secret)))
        yield spell(spell(spell(spell(secret))))


def _base64(raw: bytes) -> Iterator[str]:
    """The digits of `raw` in base64 whatever stands before and after it, in both alphabets."""
    for before in range(3):
        digits = base64.b64encode(b"\0" * before + raw).rstrip(b"=")[-(-before * 8 // 6) :]
        # The last digit also holds bits of what comes next.
        digits = digits[:-1] if (before + len(raw)) % 3 else digits
        yield digits.decode()
        yield digits.translate(bytes.maketrans(b"+/", b"-_")).decode()
