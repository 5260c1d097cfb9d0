from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.telegram.errors import BotError
from sandbox.telegram.html import parse_html
from sandbox.telegram.markup import utf16_length


def entities(markup: str) -> tuple[str, list[dict[str, Any]]]:
    formatted = parse_html(markup).trimmed()
    return formatted.text, [entity.as_json() for entity in formatted.entities]


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("b", "bold"),
        ("strong", "bold"),
        ("I", "italic"),
        ("em", "italic"),
        ("u", "underline"),
        ("ins", "underline"),
        ("s", "strikethrough"),
        ("strike", "strikethrough"),
        ("del", "strikethrough"),
        ("code", "code"),
        ("pre", "pre"),
        ("blockquote", "blockquote"),
    ],
)
def test_every_simple_tag(tag: str, kind: str) -> None:
    assert entities(f"<{tag}>x</{tag}>") == ("x", [{"offset": 0, "length": 1, "type": kind}])


@pytest.mark.parametrize(
    ("markup", "text", "expected"),
    [
        (
            '<a href="https://x.org/?a=1&amp;b=2">go</a>',
            "go",
            ("text_link", {"url": "https://x.org/?a=1&b=2"}),
        ),
        ("<a href='https://x.org'>go</a>", "go", ("text_link", {"url": "https://x.org/"})),
        ("<a>x.org</a>", "x.org", ("text_link", {"url": "http://x.org/"})),
        ('<pre><code class="language-sql">x</code></pre>', "x", ("pre", {"language": "sql"})),
        ('<code class="language-sql">x</code>', "x", ("code", {})),
        ("<blockquote expandable>x</blockquote>", "x", ("expandable_blockquote", {})),
        ("<blockquote  class=x expandable >x</blockquote>", "x", ("expandable_blockquote", {})),
        ("<b onclick>x</b>", "x", ("bold", {})),
    ],
)
def test_tags_with_attributes(markup: str, text: str, expected: tuple[str, dict[str, Any] | None]) -> None:
    shown, (entity,) = entities(markup)
    assert shown == text
    assert entity["type"] == expected[0]
    if expected[1] is not None:
        extra = {name: value for name, value in entity.items() if name not in ("offset", "length", "type")}
        assert extra == expected[1]


def test_links_that_cannot_be_opened_stay_plain() -> None:
    assert entities('<a href="javascript:alert(1)">x</a> <a href="">y</a>') == ("x y", [])


def test_references_are_decoded_and_others_left_alone() -> None:
    text, _ = entities("&lt;b&gt; &amp;amp; &quot;&#8364;&#x20ac;&lt 5 &nbsp; &#0; &copy; &")
    assert text == '<b> &amp; "€€< 5 &nbsp; &#0; &copy; &'


def test_offsets_are_utf16_units() -> None:
    assert entities("👍 <b>ß👍</b>") == ("👍 ß👍", [{"offset": 3, "length": 3, "type": "bold"}])


def test_nesting_is_sorted_outside_in() -> None:
    _, found = entities("<b>a<i>b<u>c</u></i></b>")
    assert [(entity["type"], entity["offset"], entity["length"]) for entity in found] == [
        ("bold", 0, 3),
        ("italic", 1, 2),
        ("underline", 2, 1),
    ]


def test_white_space_around_is_cut_and_entities_move_along() -> None:
    assert entities(" \n<b>  x </b>y <i> </i>\n") == ("x y", [{"offset": 0, "length": 2, "type": "bold"}])


@pytest.mark.parametrize(
    ("markup", "detail"),
    [
        ("é<br>", 'Unsupported start tag "br" at byte offset 2'),
        ("<p>x</p>", 'Unsupported start tag "p" at byte offset 0'),
        ("3 < 4", 'Unsupported start tag "" at byte offset 2'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<b><i>x</i>", 'Can\'t find end tag corresponding to start tag "b"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("a<b", "Unclosed start tag at byte offset 1"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<tg-spoiler>x</tg-spoiler>", 'Unsupported start tag "tg-spoiler" at byte offset 0'),
        ("<a href", 'Unclosed start tag "a" at byte offset 0'),
        ("<b/>x", 'Unsupported start tag "b/" at byte offset 0'),
        ("<b />x", 'Empty attribute name in the tag "b" at byte offset 0'),
        ("<b>\0</b>", "Text must not contain null bytes"),
        ('<a ="x">x</a>', 'Empty attribute name in the tag "a" at byte offset 0'),
        ("<a href=http://x.org>x</a>", "Unexpected end of name token at byte offset 8"),
        ('<a href="http://x.org>x</a>', "Unclosed start tag at byte offset 0"),
    ],
)
def test_what_telegram_refuses_and_how_it_words_it(markup: str, detail: str) -> None:
    with pytest.raises(BotError) as caught:
        parse_html(markup)
    assert caught.value.description == f"Bad Request: can't parse entities: {detail}"


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(BotError, match=r"can't parse entities: Text .* unmatched surrogate"):
        parse_html("&#xd800;")


@given(st.text())
def test_escaped_text_comes_through_unchanged(text: str) -> None:
    text = text.replace("\0", "")
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert parse_html(escaped).text == text


@given(st.text(alphabet="<>/&;=\"' abcipre#x1é👍-", max_size=40))
def test_any_input_is_parsed_or_refused_and_entities_stay_inside(markup: str) -> None:
    try:
        formatted = parse_html(markup).trimmed()
    except BotError:
        return
    size = utf16_length(formatted.text)
    assert all(0 <= it.offset < it.offset + it.length <= size for it in formatted.entities)
