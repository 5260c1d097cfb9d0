"""Names that strangers chose."""

from __future__ import annotations

import pytest

from executor.wording.names import shown


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Harbor Outdoor", "Harbor Outdoor"),
        ("  two \t lines\r\nand\u2028more ", "two lines and more"),
        ("a\u202eb\u2066c\u200fd\ufeffe", "abcde"),
        ("nul\x00bell\x07", "nulbell"),
        ("", "(no name)"),
        ("\u200b\u202e", "(no name)"),
        ("Café", "Café"),
        ("\ud800lone", "lone"),
        ("👩‍👩‍👧 family", "👩‍👩‍👧 family"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_a_name_is_one_clean_line(name: str, written: str) -> None:
    assert shown(name) == written


def test_a_long_name_is_cut() -> None:
    assert shown("x" * 300) == "x" * 39 + "…"
    assert shown("word " * 100, 12) == "word word w…"
    assert shown("x" * 40) == "x" * 40


@pytest.mark.parametrize("name", ["متجر النور", "חנות הספרים", "Shop חנות"])
def test_a_name_from_right_to_left_is_isolated(name: str) -> None:
    assert shown(name) == f"\u2068{name}\u2069"


def test_isolation_cannot_be_broken_out_of() -> None:
    assert shown("חנות\u2069\u202e12 %").count("\u2069") == 1
