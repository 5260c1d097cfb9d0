"""Which template takes a recording. Pure, apart from the time a pattern may take.

Patterns are written by tenants and run in processes that all of them share, so that none may take long: they
are short, so are the topics, what an engine would unroll is limited (`rules`), and a search that takes longer
than `PATIENCE` is given up with an error that names the pattern.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
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

    def __init__(self, detail: str, *, template_id: UUID, pattern: str) -> None:
        super().__init__(detail)
        self.template_id = template_id
        self.pattern = pattern


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


class Rule(StrEnum):
    """The kinds of rules; `source_ids` alone takes everything of those sources."""

    EXACT_MATCHES = "exact_matches"
    KEYWORDS = "keywords"
    PATTERNS = "patterns"
    SOURCE_IDS = "source_ids"


@dataclass(frozen=True, slots=True)
class Match:
    """Which template takes a recording, and by which of its rules; `text` is empty for `source_ids`."""

    template: Template
    rule: Rule
    text: str


def folded(topic: str) -> str:
    """A topic as it is compared: without case, in one encoding, with single spaces."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", topic).casefold()).strip()


class Matcher:
    """Templates in the order they are tried: the first that matches takes the recording."""

    def __init__(self, templates: Sequence[Template], *, patience: float | None = None) -> None:
        """`patience`: seconds of processor time that all its searches together may take."""
        searches = _Searches(patience)
        self._templates = [_Prepared(template, searches) for template in templates]

    def find(self, topic: str, source: SourceName) -> Match | None:
        """What takes a recording with this topic, and why; None when nothing does. Raises SlowPattern."""
        seen = _Topic(topic[:LONGEST_TOPIC])
        return next((match for each in self._templates if (match := each.find(seen, source))), None)

    def match(self, topic: str, source: SourceName) -> Template | None:
        """The template that takes a recording with this topic; None when none does. Raises SlowPattern."""
        found = self.find(topic, source)
        return None if found is None else found.template


class _Topic:
    def __init__(self, text: str) -> None:
        self.folded = folded(text)
        # A pattern is matched to what people see: compatible characters stay apart, encodings do not.
        self.composed = unicodedata.normalize("NFC", text)


class _Searches:
    """The time that searches take, each and all together."""

    def __init__(self, patience: float | None) -> None:
        self._left = patience

    def finds(self, pattern: regex.Pattern[str], text: str) -> bool:
        """Whether a pattern is found; raises TimeoutError."""
        if self._left is None:
            return self._finds(pattern, text, PATIENCE)
        if self._left <= 0:
            raise TimeoutError
        started = time.thread_time()
        try:
            return self._finds(pattern, text, min(PATIENCE, self._left))
        finally:
            self._left -= time.thread_time() - started

    def _finds(self, pattern: regex.Pattern[str], text: str, timeout: float) -> bool:
        # Without handing over to other threads: theirs would count as time of this search.
        return pattern.search(text, timeout=timeout, concurrent=False) is not None


class _Prepared:
    def __init__(self, template: Template, searches: _Searches) -> None:
        rules = template.rules
        self._template = template
        self._searches = searches
        self._sources = frozenset(rules.source_ids)
        self._takes_all = bool(self._sources) and not rules.names_topics
        self._exact = {folded(phrase): phrase for phrase in reversed(rules.exact_matches)}
        self._keywords = tuple((folded(phrase), phrase) for phrase in rules.keywords)
        self._patterns = tuple(
            (compiled(unicodedata.normalize("NFC", text)), text) for text in rules.patterns
        )

    def find(self, topic: _Topic, source: SourceName) -> Match | None:
        if self._sources and self._sources.isdisjoint((source.id, source.number)):
            return None
        if self._takes_all:
            return Match(self._template, Rule.SOURCE_IDS, "")
        if topic.folded in self._exact:
            return Match(self._template, Rule.EXACT_MATCHES, self._exact[topic.folded])
        for keyword, text in self._keywords:
            if keyword in topic.folded:
                return Match(self._template, Rule.KEYWORDS, text)
        for pattern, text in self._patterns:
            if self._finds(pattern, text, topic.composed):
                return Match(self._template, Rule.PATTERNS, text)
        return None

    def _finds(self, pattern: regex.Pattern[str], written: str, text: str) -> bool:
        try:
            return self._searches.finds(pattern, text)
        except TimeoutError as error:
            raise SlowPattern(
                f"the pattern {written!r} of template {self._template.number} ({self._template.name}) "
                "takes too long: leave out repeats within repeats",
                template_id=self._template.id,
                pattern=written,
            ) from error
