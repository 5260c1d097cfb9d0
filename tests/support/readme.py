"""The README's code blocks, and how each says that it is tested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"

_BLOCK = re.compile(r"(?:^<!-- (\w+): ([^\n]+?) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. The comment above it is `tested: HOW` or `file: PATH`, or there is none."""

    language: str
    text: str
    comment: str | None
    value: str | None

    @property
    def tested(self) -> str | None:
        """How it is tested."""
        return self.value if self.comment == "tested" else None

    @property
    def file(self) -> str | None:
        """The file whose content it is."""
        return self.value if self.comment == "file" else None


def blocks(text: str | None = None) -> list[Block]:
    """All fenced blocks of the README, in order."""
    found = _BLOCK.findall(README.read_text(encoding="utf-8") if text is None else text)
    return [Block(language, body, kind or None, value or None) for kind, value, language, body in found]


def script(tested: str) -> str:
    """The shell blocks that are tested in this way, as one script."""
    parts = [block.text for block in blocks() if block.language == "sh" and block.tested == tested]
    if not parts:
        raise LookupError(f"the README has no block that is `tested: {tested}`")
    return "".join(parts)
