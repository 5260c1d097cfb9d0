"""Obstacles to a start are found first, and reported in one line."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from carillon.kafka import unavailable
from carillon.ports import free_port
from carillon.postgres import binary_version
from carillon.preflight import folder_problem, port_problem


def test_a_port_in_use_is_named_with_its_holder_and_a_way_out() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        problem = port_problem(port, "127.0.0.1", remedy="choose another")
    assert problem is not None
    assert f"port {port} is in use by" in problem
    assert str(os.getpid()) in problem
    assert problem.endswith("choose another")
    assert "\n" not in problem
    assert port_problem(port, "127.0.0.1", remedy="choose another") is None


def test_a_free_port_is_never_given_twice() -> None:
    port = free_port()
    assert free_port(port) != port


def test_data_of_another_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    problem = folder_problem(tmp_path, tmp_path / "postgres")
    assert problem is not None
    assert "PostgreSQL 9" in problem
    assert binary_version() in problem
    assert "remove that folder" in problem


def test_a_new_folder_passes(tmp_path: Path) -> None:
    assert folder_problem(tmp_path / "new" / "state", tmp_path / "new" / "state" / "postgres") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    problem = folder_problem(tmp_path / "state", tmp_path / "state" / "postgres")
    assert problem is not None
    assert "cannot write to" in problem


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    problem = folder_problem(tmp_path, tmp_path / "postgres")
    assert problem is not None
    assert "MB are free" in problem


def test_missing_tools_for_apache_kafka_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = unavailable()
    assert problem is not None
    assert "java, mvn" in problem
