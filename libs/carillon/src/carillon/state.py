"""The state folder, `.carillon/`: data, logs, secrets, and the mark of who is using it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from carillon.errors import Obstacle
from common.secrets.crypto import new_api_key, new_encryption_key, new_webhook_secret

DEFAULT_STATE = Path(".carillon")
_MARK = "in-use.json"


class StateInUse(Obstacle):
    """Another `carillon up` works in this folder; the message says which, and where its console is."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is made once, kept, and never printed but for the API key."""

    encryption_keys: str = field(repr=False)
    postgres_password: str = field(repr=False)
    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Where everything lies that `carillon up` keeps; `kept` is a cache that outlives this folder."""

    root: Path
    kept: Path | None = None

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data."""
        return self.root / "postgres"

    @property
    def kafka(self) -> Path:
        """Apache Kafka's data."""
        return self.root / "kafka"

    @property
    def recordings(self) -> Path:
        """The file store: what was downloaded of recordings, transcribed and put into the library."""
        return self.root / "recordings"

    @property
    def cache(self) -> Path:
        """What can be fetched again."""
        return self.kept or self.root / "cache"

    @property
    def logs(self) -> Path:
        """One file for each process."""
        return self.root / "logs"

    def secrets(self) -> Secrets:
        """The secrets, made at the first call; readable by the owner only."""
        path = self.root / "secrets.json"
        with contextlib.suppress(FileNotFoundError):
            return Secrets(**json.loads(path.read_text()))
        made = Secrets(
            encryption_keys=new_encryption_key("local"),
            postgres_password=new_api_key(),
            api_key=new_api_key(),
            webhook_secret=new_webhook_secret(),
        )
        fresh = path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(made), file)
        fresh.replace(path)
        return made

    def console(self) -> str | None:
        """The console's address of what runs in this folder; None when nothing does."""
        try:
            url: str = json.loads((self.root / _MARK).read_text())["url"]
        except (FileNotFoundError, ValueError):
            return None
        return url

    @contextlib.contextmanager
    def claimed(self, url: str) -> Iterator[None]:
        """Use this folder alone. Raises StateInUse when another process does; a dead one's claim is void."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / _MARK).open("a+") as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                mark.seek(0)
                raise StateInUse(_describe(mark.read(), self.root)) from None
            mark.truncate(0)
            mark.write(json.dumps({"pid": os.getpid(), "url": url}))
            mark.flush()
            try:
                yield
            finally:
                mark.truncate(0)


def _describe(mark: str, root: Path) -> str:
    try:
        holder = json.loads(mark)
    except ValueError:
        return f"another carillon is just starting in {root}"
    return f"carillon is running in {root} already: {holder['url']} (stop it with `kill {holder['pid']}`)"
