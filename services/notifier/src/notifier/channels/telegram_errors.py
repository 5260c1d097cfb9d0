"""The consequence of each refusal of Telegram's.

The Bot API has no error codes beyond HTTP's: the description has the form `<Bad Request|Forbidden|…>:
<detail>`. This is the one table from descriptions to consequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from common.errors import Consequence


class Remedy(StrEnum):
    """What can be changed about the request so that it is accepted at once."""

    PLAIN_TEXT = "plain_text"
    NEW_CHAT = "new_chat"
    NO_THREAD = "no_thread"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of refusal: `detail` is the start of the description after its prefix, in lower case.

    `remedy` is tried first; `consequence` holds when it does not help.
    """

    status: int
    detail: str
    consequence: Consequence
    remedy: Remedy | None = None


_T, _I, _G, _P = Consequence.TRANSIENT, Consequence.INVALID, Consequence.GONE, Consequence.PERM

# The first matching rule decides, so the general rule of a status comes after its special ones.
RULES: tuple[Rule, ...] = (
    Rule(400, "can't parse entities", _I, Remedy.PLAIN_TEXT),
    Rule(400, "group chat was upgraded to a supergroup chat", _G, Remedy.NEW_CHAT),
    Rule(400, "message thread not found", _G, Remedy.NO_THREAD),
    Rule(400, "chat not found", _G),
    Rule(400, "private chat not found", _G),
    Rule(400, "peer_id_invalid", _G),
    Rule(400, "chat_id is empty", _I),
    Rule(400, "message text is empty", _I),
    Rule(400, "message is too long", Consequence.SPLIT),
    Rule(400, "message caption is too long", Consequence.SPLIT),
    Rule(400, "message to be replied not found", _I),
    Rule(400, "wrong http url specified", _I),
    Rule(400, "failed to get http url content", _I),
    Rule(400, "wrong type of the web page content", _I),
    Rule(400, "wrong file identifier/http url specified", _I),
    Rule(400, "file is too big", _I),
    Rule(400, "not enough rights", _P),
    Rule(400, "have no rights", _P),
    Rule(400, "need administrator rights", _P),
    Rule(400, "chat_write_forbidden", _P),
    Rule(400, "chat_restricted", _P),
    Rule(400, "topic_closed", _P),
    Rule(400, "", _I),
    Rule(401, "", Consequence.REAUTH),
    # Blocked, kicked, not a member, deactivated, deleted, or never started by the user.
    Rule(403, "", _G),
    Rule(404, "", _I),
    Rule(409, "", _I),
    Rule(413, "", Consequence.SPLIT),
    Rule(421, "", _T),
    Rule(429, "", Consequence.RATE),
)


def rule_for(status: int, description: str) -> Rule:
    """The rule for one refusal. Statuses without a rule of their own: 4xx is INVALID, the rest TRANSIENT."""
    prefix, separator, rest = description.partition(": ")
    detail = (rest if separator else prefix).casefold()
    for rule in RULES:
        if rule.status == status and detail.startswith(rule.detail):
            return rule
    return Rule(status, "", _I if 400 <= status < 500 else _T)
