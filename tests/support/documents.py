"""The code blocks of README.md and of the pages in docs/, and how each says that it is tested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (
    README,
    *(
        ROOT / "docs" / f"{name}.md"
        for name in (
            "first-automation",
            "handlers",
            "connections",
            "reports",
            "recordings",
            "servers",
            "deployment",
            "how-it-works",
            "figures",
        )
    ),
)
"""In reading order: a block may use what an earlier block has set."""

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
    """All fenced blocks of a text, or else of all pages, in order."""
    given = "\n".join(page.read_text(encoding="utf-8") for page in PAGES) if text is None else text
    found = _BLOCK.findall(given)
    return [Block(language, body, kind or None, value or None) for kind, value, language, body in found]


def script(tested: str) -> str:
    """The shell blocks that are tested in this way, as one script."""
    parts = [block.text for block in blocks() if block.language == "sh" and block.tested == tested]
    if not parts:
        raise LookupError(f"no page has a block that is `tested: {tested}`")
    return "".join(parts)
