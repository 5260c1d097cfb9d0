"""The people of the made-up business's Zoom account."""

import base64
from dataclasses import dataclass
from hashlib import blake2b

MOST_HOSTS = 30_000
_NAMES = (
    ("Dana", "Demo", "Marketing"),
    ("Mateo", "Ruiz", "Courses"),
    ("Ingrid", "Solberg", "Courses"),
    ("Kenji", "Watanabe", "Product"),
    ("Amara", "Okafor", "Sales"),
    ("Piotr", "Zielinski", "Support"),
)
_ZONES = ("Europe/Berlin", "America/New_York", "Europe/Oslo", "Asia/Tokyo", "Europe/London", "Europe/Warsaw")


@dataclass(frozen=True, slots=True)
class Host:
    """A licensed user. ``number`` counts from 0, the demo person and owner of the account."""

    number: int
    id: str
    email: str
    first_name: str
    last_name: str
    department: str
    timezone: str

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


class Directory:
    """Who is in the account; the ids are the same for every seed."""

    def __init__(self, count: int) -> None:
        self._hosts: list[Host] = []
        self._by_name: dict[str, Host] = {}
        self._initial = max(count, 1)
        self.grow(self._initial)

    def __len__(self) -> int:
        return len(self._hosts)

    @property
    def owner(self) -> Host:
        """The demo person."""
        return self._hosts[0]

    def grow(self, count: int) -> None:
        """Have at least ``count`` users, though never more than `MOST_HOSTS`."""
        for number in range(len(self._hosts), min(count, MOST_HOSTS)):
            host = _host(number)
            self._hosts.append(host)
            self._by_name[host.id] = self._by_name[host.email] = host

    def reset(self) -> None:
        """As many users as at the start."""
        del self._hosts[self._initial :]
        self._by_name = {name: host for host in self._hosts for name in (host.id, host.email)}

    def find(self, name: str) -> Host | None:
        """The user of that id or e-mail address, or None."""
        return self._by_name.get(name)

    def at(self, number: int) -> Host | None:
        """The user of that number, or None."""
        return self._hosts[number] if 0 <= number < len(self._hosts) else None

    def page(self, start: int, size: int) -> list[Host]:
        """``size`` users from the one numbered ``start``."""
        return self._hosts[start : start + size]


def _host(number: int) -> Host:
    first, last, department = _NAMES[number % len(_NAMES)]
    generation = number // len(_NAMES)
    suffix = str(generation + 1) if generation else ""
    digest = blake2b(f"zoom host {number}".encode(), digest_size=16).digest()
    return Host(
        number=number,
        id=base64.urlsafe_b64encode(digest).decode().rstrip("="),
        email=f"{first}.{last}{suffix}@brightpath.example".lower(),
        first_name=first,
        last_name=last + (f" {suffix}" if suffix else ""),
        department=department,
        timezone=_ZONES[number % len(_ZONES)],
    )
