"""What an event changes of the files known of a recording."""

from __future__ import annotations

from api.recordings.hooks.known_files import merged, without
from common.recordings.files import RecordedFile
from common.recordings.settings import FileKind
from tests.support.recordings import found


def file(id_: str, status: str = "completed", size: int = 10) -> RecordedFile:
    return RecordedFile(id=id_, kind=FileKind.VIDEO, bytes=size, status=status, url="https://zoom.us/x")


def test_what_is_known_besides_stays_and_what_was_being_made_goes() -> None:
    told = found("a")
    [film] = told.files
    known = [film.model_copy(update={"bytes": 1}), file("transcript"), file("making", "processing", 0)]

    result = merged(told, known)

    assert {each.id: each.bytes for each in result.files} == {film.id: film.bytes, "transcript": 10}
    assert result.total_bytes == film.bytes + 10
    assert merged(result, result.files).files == result.files


def test_files_that_are_gone() -> None:
    known = [file("a"), file("b")]

    assert without(known, ["a"]) == [file("b")]
    assert without(known, ["a", "b", "c"]) == without(known, []) == []
