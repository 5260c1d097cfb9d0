"""An obstacle prints one line with status 1, without a traceback; a defect keeps its traceback."""

from __future__ import annotations

import errno
import os

import pytest

from carillon.errors import Obstacle, reported


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Obstacle("port 8000 is in use: stop that"), "carillon: port 8000 is in use: stop that\n"),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), ".carillon/in-use.json"),
            "carillon: no permission for .carillon/in-use.json: run as its owner, or use another --state\n",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "carillon: [Errno 28] No space left on device\n"),
    ],
)
def test_an_obstacle_is_one_line(error: Exception, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, reported():
        raise error
    assert ended.value.code == 1
    assert capsys.readouterr().err == line


def test_a_defect_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), reported():
        raise ZeroDivisionError


def test_success_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with reported():
        pass
    assert capsys.readouterr().err == ""
