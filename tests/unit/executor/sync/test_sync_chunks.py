"""Rows in chunks of bounded size."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from executor.sync.chunks import AccountRows, Limits, Packer, cut

_ROW = st.fixed_dictionaries({"name": st.text(max_size=40), "spend": st.none() | st.text("019", max_size=9)})
_ROWS = st.lists(_ROW)


def _packed(name: str, rows: list[dict[str, Any]]) -> AccountRows:
    packer = Packer()
    packer.add(rows)
    return packer.packed({"account_id": name})


@given(
    accounts=st.lists(_ROWS, max_size=6),
    limits=st.builds(Limits, rows=st.integers(1, 7), bytes=st.integers(120, 600)),
)
def test_every_row_and_account_is_in_one_chunk_in_order(
    accounts: list[list[dict[str, Any]]], limits: Limits
) -> None:
    packed = [_packed(f"act_{number}", rows) for number, rows in enumerate(accounts)]
    chunks = list(cut(packed, limits))
    read = [chunk.read() for chunk in chunks]
    assert [row for each in read for row in each["rows"]] == [row for rows in accounts for row in rows]
    assert [head["account_id"] for each in read for head in each["accounts"]] == [
        f"act_{number}" for number in range(len(accounts))
    ]
    for chunk, each in zip(chunks, read, strict=True):
        assert chunk.rows == len(each["rows"]) <= limits.rows
        one_row = len(each["rows"]) <= 1
        assert len(chunk.text().encode()) <= limits.bytes + 40 or one_row
    assert list(cut(packed, limits)) == chunks


def test_an_account_without_rows_is_named() -> None:
    (chunk,) = cut([_packed("act_1", [])], Limits(5, 1_000))
    assert (chunk.rows, chunk.read()) == (0, {"accounts": [{"account_id": "act_1"}], "rows": []})


def test_line_breaks_stay_within_their_csv_row() -> None:
    rows = [{"name": "a\nb\u2028c\r\n"}, {"name": "\x85"}]
    (chunk,) = cut([_packed("act_1", rows)], Limits(5, 1_000))
    assert chunk.read()["rows"] == rows
    assert json.loads(chunk.text())["rows"] == rows
