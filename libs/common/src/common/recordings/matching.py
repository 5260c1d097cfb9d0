"""Which template takes a recording. Pure, apart from the time a pattern may take.

Patterns are written by tenants and run in processes that all of them share, so that none may take long: they
are short, so are the topics, what an engine would unroll is limited (`rules`), and a search that takes longer
than `PATIENCE` is given up with an error that names the pattern.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import regex

from common.errors import CarillonError
from common.recordings.rules import MatchingRules, compiled
from common.recordings.settings import ProcessingSettings

PATIENCE = 0.1
"""Seconds of processor time one search may take; an honest one takes microseconds."""
LONGEST_TOPIC = 500
_SPACE = re.compile(r"\s+")


class SlowPattern(CarillonError):
    """A pattern takes too long: it backtracks, as `(a+)+$` does."""

    status_code = 422
    title = "Pattern takes too long"


@dataclass(frozen=True, slots=True)
class SourceName:
    """A source under both of its names."""

    id: UUID
    number: int


@dataclass(frozen=True, slots=True)
class Template:
    """A template as matching needs it. `processing` is what is done with what it takes."""

    id: UUID
    number: int
    name: str
    rules: MatchingRules
    processing: ProcessingSettings = field(default_factory=ProcessingSettings)


def folded(topic: str) -> str:
    """A topic as it is compared: without case, in one encoding, with single spaces."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", topic).casefold()).strip()


class Matcher:
    """Templates in the order they are tried: the first that matches takes the recording."""

    def __init__(self, templates: Sequence[Template]) -> None:
        self._templates = [_Prepared(template) for template in templates]

    def match(self, topic: str, source: SourceName) -> Template | None:
        """The template that takes a recording with this topic; None when none does. Raises SlowPattern."""
        seen = _Topic(topic[:LONGEST_TOPIC])
        return next((each.template for each in self._templates if each.takes(seen, source)), None)

    def first_matches(self, topics: Mapping[UUID, str], source: SourceName) -> dict[UUID, Template | None]:
        """The template for each of several recordings of one source. Raises SlowPattern."""
        return {key: self.match(topic, source) for key, topic in topics.items()}


class _Topic:
    def __init__(self, text: str) -> None:
        self.folded = folded(text)
        # A pattern is matched to what people see: compatible characters stay apart, encodings do not.
        self.composed = unicodedata.normalize("NFC", text)


class _Prepared:
    def __init__(self, template: Template) -> None:
        rules = template.rules
        self.template = template
        self._sources = frozenset(rules.source_ids)
        self._takes_all = bool(self._sources) and not rules.names_topics
        self._exact = frozenset(folded(phrase) for phrase in rules.exact_matches)
        self._keywords = tuple(folded(phrase) for phrase in rules.keywords)
        self._patterns = tuple(compiled(unicodedata.normalize("NFC", text)) for text in rules.patterns)

    def takes(self, topic: _Topic, source: SourceName) -> bool:
        if self._sources and self._sources.isdisjoint((source.id, source.number)):
            return False
        return (
            self._takes_all
            or topic.folded in self._exact
            or any(keyword in topic.folded for keyword in self._keywords)
            or any(self._finds(pattern, topic.composed) for pattern in self._patterns)
        )

    def _finds(self, pattern: regex.Pattern[str], text: str) -> bool:
        try:
            # Without handing over to other threads: theirs would count as time of this search.
            return pattern.search(text, timeout=PATIENCE, concurrent=False) is not None
        except TimeoutError as error:
            raise SlowPattern(
                f"the pattern {pattern.pattern!r} of template {self.template.number} ({self.template.name}) "
                "takes too long: leave out repeats within repeats"
            ) from error
