"""Foreign names, made safe to show in a message."""

from __future__ import annotations

import unicodedata

_LONGEST = 40
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_JOINERS = frozenset("\u200c\u200d")  # Persian and Indic scripts and emoji are spelled with them


def shown(name: str, longest: int = _LONGEST) -> str:
    """`name` on one line, cut to `longest` characters, unable to reorder or hide what stands around it.

    Control, format and bidirectional override characters go; a name written from right to left is isolated,
    so that the figures after it keep their order.
    """
    kept = "".join(
        " " if char.isspace() else char
        for char in unicodedata.normalize("NFC", name)
        if char.isspace()
        or char in _JOINERS
        or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    line = " ".join(kept.split())
    if len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    if any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in line):
        return f"{_FIRST_STRONG_ISOLATE}{line}{_POP_ISOLATE}"
    return line or "(no name)"
