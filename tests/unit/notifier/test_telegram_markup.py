"""Cutting a Telegram message into parts that Telegram takes.

The oracle is the sandbox's parser, which shares no code with what is tested.
"""

from __future__ import annotations

import re
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.telegram_markup import MAX_UNITS, Part, message_parts, units
from sandbox.telegram.html import parse_html

_STYLES = ("b", "i", "u", "s", "code", "pre", "blockquote")


def words(text: str) -> str:
    """`text` without its white space: what must survive any cut."""
    return re.sub(r"\s+", "", text)


def styled(html: str) -> list[tuple[str, frozenset[tuple[str, str]]]]:
    """Every visible character with the styles it is shown in, links with their target."""
    parsed = parse_html(html)
    encoded = parsed.text.encode("utf-16-le")
    characters: list[tuple[str, frozenset[tuple[str, str]]]] = []
    offset = 0
    for character in parsed.text:
        styles = frozenset(
            (entity.type, str(entity.extra.get("url", entity.extra.get("language", ""))))
            for entity in parsed.entities
            if entity.offset <= offset < entity.offset + entity.length
        )
        if not character.isspace():
            characters.append((character, styles))
        offset += units(character)
    assert offset * 2 == len(encoded)
    return characters


def rendered(parts: list[Part]) -> list[str]:
    assert all(part.html is not None for part in parts)
    return [part.html or "" for part in parts]


@st.composite
def markups(draw: st.DrawFn) -> str:
    """Well-formed markup with nested styles, links, references and characters of every width."""
    text = st.text(st.sampled_from('ab<&>"é€😀👍🏽\u200d\n\n\n    '), max_size=30)

    def wrap(inner: str) -> str:
        tag = draw(st.sampled_from((*_STYLES, "link")))
        if tag == "link":
            return f'<a href="https://example.com/?a=1&amp;b=2">{inner}</a>'
        return f"<{tag}>{inner}</{tag}>"

    pieces = []
    for piece in draw(st.lists(text, max_size=12)):
        html = escape(piece, quote=False)
        for _ in range(draw(st.integers(0, 3))):
            html = wrap(html + escape(draw(text)))
        pieces.append(html)
    return "".join(pieces)


@given(markups(), st.integers(8, 60))
def test_parts_are_valid_fit_and_lose_neither_text_nor_style(html: str, limit: int) -> None:
    plain = parse_html(html).text
    parts = message_parts(html, plain, limit=limit)
    for part in parts:
        assert part.html is not None
        parsed = parse_html(part.html)
        assert 0 < units(parsed.text.strip()) <= limit
        assert words(parsed.text) == words(part.plain)
    assert [character for part in rendered(parts) for character in styled(part)] == styled(html)


@given(st.text(st.sampled_from("ab é😀\n\t")), st.integers(4, 40))
def test_plain_text_is_cut_into_parts_that_fit(text: str, limit: int) -> None:
    parts = message_parts(None, text, limit=limit)
    assert words("".join(part.plain for part in parts)) == words(text)
    assert all(part.html is None and 0 < units(part.plain) <= limit for part in parts)


def test_a_short_message_is_sent_as_it_is() -> None:
    assert message_parts("<b>Report</b> &amp; more", "Report & more") == [
        Part("<b>Report</b> &amp; more", "Report & more")
    ]


def test_length_is_counted_after_the_markup_is_parsed() -> None:
    html = f'<a href="https://example.com/{"x" * 200}">{"&amp;" * MAX_UNITS}</a>'
    assert len(message_parts(html, "&" * MAX_UNITS)) == 1


def test_length_is_counted_in_utf16_units() -> None:
    assert len(message_parts(None, "😀" * (MAX_UNITS // 2))) == 1
    parts = message_parts(None, "x" + "😀" * (MAX_UNITS // 2))
    assert [units(part.plain) for part in parts] == [MAX_UNITS - 1, 2]


@pytest.mark.parametrize("text", ["", "  \n ", "\u00a0"])
def test_white_space_gives_no_part(text: str) -> None:
    assert message_parts(None, text) == []
    assert message_parts(f"<b>{text}</b>", text) == []


def test_paragraphs_are_preferred_to_lines_and_lines_to_words() -> None:
    paragraphs = "one two three\nfour five\n\nsix seven\neight nine ten"
    assert [part.plain for part in message_parts(None, paragraphs, limit=36)] == [
        "one two three\nfour five",
        "six seven\neight nine ten",
    ]
    lines = "one two three four\nfive six seven eight"
    assert [part.plain for part in message_parts(None, lines, limit=30)] == [
        "one two three four",
        "five six seven eight",
    ]
    assert [part.plain for part in message_parts(None, "alpha beta gamma delta", limit=12)] == [
        "alpha beta",
        "gamma delta",
    ]


def test_a_distant_paragraph_break_does_not_cause_a_tiny_part() -> None:
    text = "Hi\n\n" + "word " * 20
    first = message_parts(None, text, limit=50)[0].plain
    assert units(first) > 25


def test_open_tags_are_closed_and_opened_again() -> None:
    html = '<b>alpha <a href="https://example.com/?a=1&amp;b=2">beta gamma</a></b> delta'
    assert rendered(message_parts(html, "alpha beta gamma delta", limit=12)) == [
        '<b>alpha <a href="https://example.com/?a=1&amp;b=2">beta</a></b>',
        '<b><a href="https://example.com/?a=1&amp;b=2">gamma</a></b> delta',
    ]


def test_a_tag_that_ends_at_a_cut_is_not_opened_again() -> None:
    assert rendered(message_parts("<b>alpha beta</b> <i>gamma delta</i>", "", limit=12)) == [
        "<b>alpha beta</b>",
        "<i>gamma delta</i>",
    ]


def test_a_preformatted_block_moves_whole_or_is_cut_between_its_lines() -> None:
    block = '<pre><code class="language-python">a = 1\nb = 2\nc = 3</code></pre>'
    assert rendered(message_parts(f"introduction\n{block}", "", limit=24)) == ["introduction", block]
    parts = rendered(message_parts(block, "", limit=12))
    assert parts == [
        '<pre><code class="language-python">a = 1\nb = 2</code></pre>',
        '<pre><code class="language-python">c = 3</code></pre>',
    ]


def test_an_endless_word_is_cut_between_whole_characters() -> None:
    thumbs = "👍🏽" * 10
    parts = message_parts(None, thumbs, limit=10)
    assert all(part.plain == "👍🏽" * 2 for part in parts)
    accents = message_parts(None, "e\u0301" * 10, limit=5)
    assert all(part.plain == "e\u0301" * 2 for part in accents)


def test_links_beyond_the_hundredth_entity_are_kept_by_cutting() -> None:
    html = "\n".join(f'<a href="https://example.com/{number}">row {number}</a>' for number in range(150))
    parts = rendered(message_parts(html, ""))
    assert len(parts) == 2
    assert all(len(parse_html(part).entities) <= 100 for part in parts)
    assert [character for part in parts for character in styled(part)] == styled(html)


@pytest.mark.parametrize(
    "html", ["a < b", "<b>never closed", "</b>", "<b><i>crossed</b></i>", "<br", 'x <a href="y>z</a>']
)
def test_malformed_markup_is_kept_unless_it_must_be_cut(html: str) -> None:
    assert message_parts(html, "plain") == [Part(html, "plain")]
    long = html + " word" * 20
    parts = message_parts(long, "word " * 20, limit=50)
    assert len(parts) == 2
    assert all(part.html is None for part in parts)


@pytest.mark.parametrize(
    ("reference", "character"),
    [
        ("&lt;", "<"),
        ("&lt", "<"),
        ("&amp;", "&"),
        ("&quot;", '"'),
        ("&#33;", "!"),
        ("&#x1F600;", "😀"),
        ("&nbsp;", "&nbsp;"),
        ("&ltx", "&ltx"),
        ("&#0;", "&#0;"),
        ("&#55296;", "&#55296;"),
        ("&", "&"),
    ],
)
def test_references_are_read_as_telegram_reads_them(reference: str, character: str) -> None:
    html = f"<b>one two</b> {reference} three"
    assert "".join(part.plain for part in message_parts(html, "", limit=9)).count(character) == 1
    if reference != "&#55296;":
        assert parse_html(reference).text == character
