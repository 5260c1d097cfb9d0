"""Which recordings a template takes: its `matching_rules`."""

from __future__ import annotations

import math
import re
import warnings
from typing import Annotated, Any
from uuid import UUID

import regex
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from common.uniqueness import unique

MAX_PHRASES = 200
MAX_PATTERNS = 50
MAX_SOURCES = 200
LONGEST_PHRASE = 300
LONGEST_PATTERN = 200
MOST_REPEATS = 1_000
"""What the counts of a pattern's repeats may multiply to: an engine unrolls them."""
_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_BRACE = re.compile(r"(?<!\\)(?:\\\\)*\{(?!\d+(?:,\d*)?\})")


def _pattern(text: str) -> str:
    """The same text; refuses what is no regular expression of Python's, or is too costly to prepare."""
    if _BRACE.search(text):
        # Python reads such a brace as itself, and the engine that matches as something else.
        raise PydanticCustomError("pattern", "write a brace that is no repeat as \\{{")
    counts = [max(int(low), int(high or 1)) for low, high in _COUNTED.findall(text)]
    if math.prod(max(count, 1) for count in counts) > MOST_REPEATS:
        raise PydanticCustomError(
            "pattern", "its repeats multiply to more than {most}", {"most": MOST_REPEATS}
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(text, re.IGNORECASE)
            compiled(text)
    except (re.error, regex.error, Warning, OverflowError, RecursionError) as error:
        raise PydanticCustomError(
            "pattern", "not a regular expression: {reason}", {"reason": str(error)}
        ) from error
    return text


def compiled(pattern: str) -> regex.Pattern[str]:
    """A pattern as it is matched; raises regex.error."""
    return regex.compile(pattern, regex.IGNORECASE | regex.UNICODE | regex.VERSION0)


def source_reference(value: object) -> int | UUID:
    """A source by its number or its id."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31:
        return value
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError as error:
        raise PydanticCustomError("source", "write a source's number, or its id") from error


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "write something that is not blank")
    return text


Phrase = Annotated[str, Field(min_length=1, max_length=LONGEST_PHRASE), AfterValidator(_not_blank)]
Pattern = Annotated[str, Field(min_length=1, max_length=LONGEST_PATTERN), AfterValidator(_pattern)]
SourceReference = Annotated[
    Any,
    BeforeValidator(source_reference),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "format": "uuid"}]}),
]


class MatchingRules(BaseModel):
    """A recording matches by its topic: any one of the phrases, keywords and patterns is enough.

    Upper and lower case are the same, and so are different encodings of the same characters. `source_ids`
    narrows all of them; alone, it takes everything of those sources. Without any rule nothing matches.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "exact_matches": ["Weekly marketing call"],
                    "keywords": ["lecture"],
                    "patterns": ["^Course \\d+:"],
                    "source_ids": [1],
                }
            ]
        },
    )

    exact_matches: Annotated[tuple[Phrase, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_PHRASES, description="The whole topic"
    )
    keywords: Annotated[tuple[Phrase, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_PHRASES, description="Anywhere in the topic"
    )
    patterns: Annotated[tuple[Pattern, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_PATTERNS, description="Regular expressions, found anywhere in the topic"
    )
    source_ids: Annotated[tuple[SourceReference, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_SOURCES, description="Only recordings of these sources, by number or id"
    )

    @property
    def names_topics(self) -> bool:
        """Whether anything is said of topics."""
        return bool(self.exact_matches or self.keywords or self.patterns)
