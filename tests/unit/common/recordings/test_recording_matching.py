"""Which template takes a recording."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from common.recordings.matching import Matcher, Rule, SlowPattern, SourceName, Template
from common.recordings.rules import MatchingRules

SOURCE = SourceName(UUID("0198c0de-0000-7000-8000-000000000001"), 7)


def template(number: int = 1, **rules: Any) -> Template:
    return Template(uuid4(), number, f"template {number}", MatchingRules.model_validate(rules))


def taken(topic: str, source: SourceName = SOURCE, **rules: Any) -> bool:
    return Matcher([template(**rules)]).match(topic, source) is not None


@pytest.mark.parametrize(
    ("rules", "topic", "expected"),
    [
        ({"exact_matches": ["Weekly call"]}, "weekly  CALL ", True),
        ({"exact_matches": ["Weekly call"]}, "The weekly call", False),
        ({"keywords": ["lecture"]}, "Guest Lecture 4", True),
        ({"keywords": ["lecture"]}, "Guest talk", False),
        ({"keywords": ["straße"]}, "Hauptstrasse 4", True),
        ({"keywords": ["caf\u00e9"]}, "Cafe\u0301 talk", True),
        ({"keywords": ["Лекция"]}, "ЛЕКЦИЯ 3", True),
        ({"keywords": ["1"]}, "第１回", True),
        ({"patterns": [r"^course \d+:"]}, "Course 101: live lesson", True),
        ({"patterns": [r"^course \d+:"]}, "A course 101: live lesson", False),
        ({"patterns": [r"\bлекция\b"]}, "Первая ЛЕКЦИЯ курса", True),
        ({"patterns": ["caf\u00e9"]}, "Cafe\u0301 talk", True),
        ({"keywords": ["no"], "patterns": ["yes$"]}, "oh yes", True),
        ({"source_ids": [7]}, "anything", True),
        ({"source_ids": [8]}, "anything", False),
        ({"source_ids": [str(SOURCE.id)], "keywords": ["x"]}, "anything", False),
        ({"source_ids": [str(SOURCE.id)], "keywords": ["any"]}, "anything", True),
        ({"source_ids": [8], "keywords": ["any"]}, "anything", False),
        ({}, "anything", False),
    ],
)
def test_rules(rules: dict[str, Any], topic: str, expected: bool) -> None:
    assert taken(topic, **rules) is expected


def test_the_first_matching_template_wins() -> None:
    narrow, wide = template(1, keywords=["course 101"]), template(2, keywords=["course"])

    matcher = Matcher([narrow, wide])

    assert matcher.match("Course 101", SOURCE) is narrow
    assert matcher.match("Course 102", SOURCE) is wide
    assert matcher.match("Demo", SOURCE) is None
    assert Matcher([wide, narrow]).match("Course 101", SOURCE) is wide


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        (r"(a|aa)+$", "a" * 200 + "!"),
        (r"(x+x+)+y", "x" * 300),
    ],
)
def test_a_backtracking_pattern_times_out_and_is_named(pattern: str, topic: str) -> None:
    """It must not block other work in the process."""
    matcher = Matcher([template(3, patterns=[pattern])])
    started = time.process_time()

    with pytest.raises(SlowPattern, match="template 3") as slow:
        matcher.match(topic, SOURCE)

    assert repr(pattern) in slow.value.detail
    assert slow.value.permanent
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"keyword": ["x"]}, "keyword"),
        ({"keywords": ["  "]}, "keywords.0"),
        ({"keywords": [""]}, "keywords.0"),
        ({"keywords": ["x", "x"]}, "keywords"),
        ({"keywords": "x"}, "keywords"),
        ({"exact_matches": ["x" * 301]}, "exact_matches.0"),
        ({"patterns": ["(a"]}, "patterns.0"),
        ({"patterns": ["ok", "[[a"]}, "patterns.1"),
        ({"patterns": ["a" * 201]}, "patterns.0"),
        ({"patterns": ["(?R)"]}, "patterns.0"),
        ({"patterns": [r"\L<words>"]}, "patterns.0"),
        ({"patterns": ["(?:foo){e<=3}"]}, "patterns.0"),
        ({"patterns": ["(((a{100}){100}){100})"]}, "patterns.0"),
        ({"patterns": ["a{99999999999999999999}"]}, "patterns.0"),
        ({"patterns": [f"a{n}" for n in range(51)]}, "patterns"),
        ({"source_ids": [0]}, "source_ids.0"),
        ({"source_ids": [True]}, "source_ids.0"),
        ({"source_ids": ["me"]}, "source_ids.0"),
    ],
)
def test_bad_rules_are_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        MatchingRules.model_validate(given)

    assert {".".join(map(str, fault["loc"])) for fault in refused.value.errors()} == {field}


@pytest.mark.parametrize("pattern", [r"a{2,5}", r"\{x\}", r"a{3}b{4}", r"\d{1,3}", r"é+"])
def test_ordinary_patterns_are_accepted(pattern: str) -> None:
    assert MatchingRules.model_validate({"patterns": [pattern]}).patterns == (pattern,)


def test_rules_round_trip_through_json() -> None:
    rules = MatchingRules.model_validate({"patterns": ["x"], "source_ids": [3, str(SOURCE.id)]})

    assert MatchingRules.model_validate(rules.model_dump(mode="json")) == rules
    assert rules.source_ids == (3, SOURCE.id)


@pytest.mark.parametrize(
    ("topic", "rule", "text"),
    [
        ("WEEKLY  call", Rule.EXACT_MATCHES, "Weekly call"),
        ("The lecture", Rule.KEYWORDS, "Lecture"),
        ("Course 12: Ads", Rule.PATTERNS, r"^course \d+"),
    ],
)
def test_a_match_quotes_the_rule_as_written(topic: str, rule: Rule, text: str) -> None:
    given = template(
        exact_matches=["Weekly call"], keywords=["demo", "Lecture"], patterns=["x+y", r"^course \d+"]
    )

    found = Matcher([given]).find(topic, SOURCE)

    assert found is not None
    assert (found.template, found.rule, found.text) == (given, rule, text)


def test_a_template_can_match_by_source_alone() -> None:
    found = Matcher([template(source_ids=[SOURCE.number])]).find("anything", SOURCE)

    assert found is not None
    assert (found.rule, found.text) == (Rule.SOURCE_IDS, "")


def test_all_searches_share_one_time_limit() -> None:
    """Each takes less than one may; all of them are bounded nevertheless."""
    slowly = r"(?:a|a)+b"
    topic, many = "a" * 15, [template(number, patterns=[slowly]) for number in range(1, 1000)]
    assert Matcher(many[:1], patience=0.2).find(topic, SOURCE) is None
    started = time.thread_time()

    with pytest.raises(SlowPattern) as slow:
        Matcher(many, patience=0.2).find(topic, SOURCE)

    assert time.thread_time() - started < 2.0
    assert slow.value.pattern == slowly
    assert slow.value.template_id in {each.id for each in many}
