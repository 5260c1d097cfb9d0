"""Chats: which exist, which refuse, and what was said in them.

Some ids behave badly by convention, so that a test needs no setup; any chat can be given a state.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.telegram.errors import BotError, bad_request
from sandbox.world.dice import throw

_KEPT = 50_000
_BY_CONVENTION = (
    ("-100404", "missing"),
    ("404404", "missing"),
    ("-100403", "kicked"),
    ("403403", "blocked"),
    ("410410", "deactivated"),
    ("-301301", "migrated"),
    ("-100400400", "read_only"),
)
STATES = ("normal", "missing", "blocked", "deactivated", "kicked", "migrated", "read_only")


@dataclass(slots=True)
class Chat:
    """A conversation the bot can write to."""

    id: int
    type: str
    title: str = ""
    username: str = ""
    last_message_id: int = 0
    state: str = "normal"
    migrate_to: int = 0

    def as_json(self) -> dict[str, object]:
        """The Chat object."""
        shown: dict[str, object] = {"id": self.id}
        if self.type == "private":
            shown["first_name"] = self.title
        else:
            shown["title"] = self.title
        if self.username:
            shown["username"] = self.username
        shown["type"] = self.type
        return shown

    def check(self) -> None:
        """Raises the error a chat in this state answers with."""
        if self.state != "normal":
            raise _REFUSALS[self.state](self)


def _migrated(chat: Chat) -> BotError:
    return BotError(
        400, "group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": chat.migrate_to}
    )


def _kicked(chat: Chat) -> BotError:
    kind = {"group": "group", "channel": "channel"}.get(chat.type, "supergroup")
    return BotError(403, f"bot was kicked from the {kind} chat")


_REFUSALS: dict[str, Callable[[Chat], BotError]] = {
    "missing": lambda _: bad_request("chat not found"),
    "blocked": lambda _: BotError(403, "bot was blocked by the user"),
    "deactivated": lambda _: BotError(403, "user is deactivated"),
    "kicked": _kicked,
    "migrated": _migrated,
    "read_only": lambda _: bad_request("not enough rights to send text messages to the chat"),
}


class Chats:
    """Every chat used so far; an unknown id becomes a chat when it is first used."""

    def __init__(self) -> None:
        self._chats: OrderedDict[int, Chat] = OrderedDict()
        self._states: dict[int, tuple[str, int]] = {}

    def reset(self) -> None:
        """Forget all chats and states."""
        self._chats.clear()
        self._states.clear()

    def set_state(self, chat_id: int, state: str, migrate_to: int = 0) -> None:
        """Make a chat behave as ``state`` says from now on."""
        self._states[chat_id] = (state, migrate_to)
        if chat := self._chats.get(chat_id):
            chat.state, chat.migrate_to = self._state_of(chat_id)

    def id_of(self, username: str) -> int:
        """The id of the public chat of that name."""
        return -1_001_700_000_000 - int(throw("username", username.lower())[0] * 2**32)

    def find(self, raw: object) -> Chat:
        """The chat of a ``chat_id``; raises 400 when there is none."""
        if raw is None or raw == "":
            raise bad_request("chat_id is empty")
        text = str(raw).strip()
        if text.startswith("@"):
            return self._by_username(text[1:])
        try:
            chat_id = int(text)
        except ValueError:
            raise bad_request("chat not found") from None
        if chat_id == 0 or abs(chat_id) >= 2**52:
            raise bad_request("chat not found")
        return self._get(chat_id, "")

    def _by_username(self, username: str) -> Chat:
        plain = username.replace("_", "")
        if not (plain.isascii() and plain.isalnum() and plain[0].isalpha() and 4 <= len(username) <= 32):
            raise bad_request("chat not found")
        if username.lower().startswith("missing"):
            raise bad_request("chat not found")
        return self._get(self.id_of(username), username)

    def _get(self, chat_id: int, username: str) -> Chat:
        chat = self._chats.get(chat_id)
        if chat is None:
            chat = self._chats[chat_id] = _new_chat(chat_id, username)
            chat.state, chat.migrate_to = self._state_of(chat_id)
            if len(self._chats) > _KEPT:
                self._chats.popitem(last=False)
        return chat

    def _state_of(self, chat_id: int) -> tuple[str, int]:
        if chat_id in self._states:
            state, migrate_to = self._states[chat_id]
        else:
            text = str(chat_id)
            state = next((name for prefix, name in _BY_CONVENTION if text.startswith(prefix)), "normal")
            migrate_to = 0
        return state, migrate_to or int(f"-100{abs(chat_id)}")


def _new_chat(chat_id: int, username: str) -> Chat:
    if chat_id > 0:
        return Chat(chat_id, "private", f"User {chat_id % 10_000:04d}")
    if username:
        return Chat(chat_id, "channel", username.replace("_", " ").title(), username)
    if chat_id > -1_000_000_000_000:
        return Chat(chat_id, "group", f"Group {-chat_id % 10_000:04d}")
    return Chat(chat_id, "supergroup", f"Team {-chat_id % 10_000:04d}")
