"""An alert as a person reads it on a phone, with Telegram's tags or without any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from executor.alerts import wording
from executor.alerts.memory import Change, Event
from executor.wording.names import shown

MAX_CHARACTERS = 4_096
"""Of one Telegram message, as UTF-16 counts them; tags and the addresses behind links are free."""
_LIMITS = ((12, 8), (8, 6), (6, 4), (4, 3), (3, 2), (1, 1))
"""How many accounts are shown, and changes of each: the first of these with which the text fits."""
_MAX_CAMPAIGN = 30
_SIGNS = {Change.BREACH: "🔴", Change.REMINDER: "🟠", Change.RECOVERY: "🟢"}
_FIRST = {Change.BREACH: 0, Change.REMINDER: 1, Change.RECOVERY: 2}


@dataclass(frozen=True, slots=True)
class _Line:
    sign: str
    campaign: str
    sentence: str
    when: str


@dataclass(frozen=True, slots=True)
class _Block:
    about: str
    lines: Sequence[_Line]
    more: str
    url: str | None


class AlertRenderer:
    """Renders what changed; compiles its templates once."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("executor.alerts"),
            autoescape=select_autoescape(enabled_extensions=("html.j2",)),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._html = environment.get_template("alert.html.j2")
        self._text = environment.get_template("alert.txt.j2")

    def title(self, name: str, events: Sequence[Event]) -> str:
        """One line that says what changed."""
        return f"{shown(name)}: {wording.headline(list(events))}"

    def write(self, name: str, events: Sequence[Event], zone: tzinfo, zone_name: str) -> tuple[str, str]:
        """The changes as plain text, and the same with the tags Telegram accepts, everything else escaped.

        Times are written in `zone`. What does not fit into one message is counted.
        """
        text = ""
        for accounts, lines in _LIMITS:
            view = _view(name, events, zone, zone_name, accounts, lines)
            text = self._text.render(view).strip()
            if len(text.encode("utf-16-le")) // 2 <= MAX_CHARACTERS:
                break
        return text, self._html.render(view).strip()


def _view(
    name: str, events: Sequence[Event], zone: tzinfo, zone_name: str, accounts: int, lines: int
) -> dict[str, object]:
    by_account: dict[tuple[str, str], list[Event]] = {}
    for event in sorted(events, key=lambda event: _FIRST[event.change]):
        subject = event.finding.subject
        by_account.setdefault((subject.platform, subject.account_id), []).append(event)
    blocks = [_block(of_one, zone, lines) for of_one in list(by_account.values())[:accounts]]
    left = len(by_account) - accounts
    return {
        "name": shown(name),
        "headline": wording.headline(list(events)),
        "blocks": blocks,
        "more": f"… and {left} more account{'' if left == 1 else 's'}" if left > 0 else "",
        "source": f"days as each account counts them · times in {zone_name}",
    }


def _block(events: Sequence[Event], zone: tzinfo, lines: int) -> _Block:
    left = len(events) - lines
    subject = events[0].finding.subject
    return _Block(
        wording.about(subject),
        [_line(event, zone) for event in events[:lines]],
        f"… and {left} more" if left > 0 else "",
        subject.url,
    )


def _line(event: Event, zone: tzinfo) -> _Line:
    campaign = event.finding.subject.campaign_name
    return _Line(
        _SIGNS[event.change],
        "" if campaign is None else shown(campaign, _MAX_CAMPAIGN),
        wording.sentence(event),
        wording.when(event, zone),
    )
