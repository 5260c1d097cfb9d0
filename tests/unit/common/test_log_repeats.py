"""What a library repeats is heard once a minute, and by how much it was repeated."""

from __future__ import annotations

import logging
import sys

from common.log_repeats import Repeats


class Heard:
    """A filter with a clock of the test's."""

    def __init__(self) -> None:
        self.now = 0.0
        self._filter = Repeats(lambda: self.now)

    def record(
        self, name: str, message: str, *arguments: object, failed: bool = False
    ) -> logging.LogRecord | None:
        error = sys.exc_info() if failed else None
        record = logging.LogRecord(name, logging.ERROR, "", 0, message, arguments, error)
        return record if self._filter.filter(record) else None


def test_the_first_passes_and_the_next_after_a_minute_says_how_many_did_not() -> None:
    heard = Heard()
    assert heard.record("aiokafka.client", "Unable connect to %s", "a:1")
    for _ in range(5):
        heard.now += 0.1
        assert heard.record("aiokafka.client", "Unable connect to %s", "b:2") is None
    heard.now = 60.0
    record = heard.record("aiokafka.client", "Unable connect to %s", "a:1")
    assert record is not None
    assert record.__dict__["repeated"] == 5


def test_other_words_are_another_kind() -> None:
    heard = Heard()
    assert heard.record("aiokafka.client", "Unable connect to %s", "a:1")
    assert heard.record("aiokafka.client", "Unable to update metadata from %s", "a:1")
    assert heard.record("aiokafka.conn", "Unable connect to %s", "a:1")


def test_what_carillon_says_is_always_heard() -> None:
    heard = Heard()
    assert all(heard.record("scheduler.duties", "duty delayed") for _ in range(10))


def test_a_librarys_traceback_is_left_out_and_its_error_named() -> None:
    heard = Heard()
    try:
        raise ConnectionError
    except ConnectionError:
        record = heard.record("aiokafka.consumer.fetcher", "Unexpected error", failed=True)
    assert record is not None
    assert record.exc_info is None
    assert record.__dict__["error"] == "ConnectionError"
