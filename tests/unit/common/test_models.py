"""Instants need a zone when written, and are UTC when read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.engine.default import DefaultDialect

from common.models import Timestamp, metadata

DIALECT = DefaultDialect()
NINE = datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=1)))


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="names no instant"):
        Timestamp().process_bind_param(NINE.replace(tzinfo=None), DIALECT)


def test_an_aware_one_passes_and_comes_back_in_utc() -> None:
    assert Timestamp().process_bind_param(NINE, DIALECT) == NINE
    read = Timestamp().process_result_value(NINE, DIALECT)
    assert read == NINE
    assert read is not None
    assert read.tzinfo is UTC
    assert Timestamp().process_result_value(None, DIALECT) is None


def test_no_column_is_a_timestamp_without_a_zone() -> None:
    bare = [
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if "DATETIME" in str(column.type) or str(column.type) == "TIMESTAMP WITHOUT TIME ZONE"
        if not isinstance(column.type, Timestamp)
    ]
    assert bare == []
