"""The Bot API's methods."""

import json
import re
from collections.abc import Callable
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Answer, Call, Headerlist
from sandbox.faults import Fault, Traits
from sandbox.inbox import Inbox
from sandbox.limits import Limits
from sandbox.telegram import files
from sandbox.telegram.chats import Chat, Chats
from sandbox.telegram.errors import BotError, bad_request, scripted, too_many_requests
from sandbox.telegram.flood import FloodControl
from sandbox.telegram.html import parse_html
from sandbox.telegram.markup import FormattedText, given_entities, utf16_length

MAX_TEXT = 4096
MAX_CAPTION = 1024
_PATH = re.compile(r"/bot([^/]*)(?:/test)?/([^/]+)/?$")
_TOKEN = re.compile(r"(\d+):[A-Za-z0-9_-]{35}$")
_REVOKED_BOTS = "401401"

Handler = Callable[[str, Call], Any]


class Telegram:
    """The imitation of api.telegram.org. Any well-formed bot token is accepted."""

    name = "telegram"
    parses_bodies = True

    def __init__(self, limits: Limits, clock: Clock, inbox: Inbox) -> None:
        self._clock = clock
        self._inbox = inbox
        self.chats = Chats()
        self._flood = FloodControl(limits)
        self._methods: dict[str, Handler] = {
            "getme": lambda bot, _: _bot(bot, full=True),
            "sendmessage": self._send_message,
            "editmessagetext": self._edit_message_text,
            "sendmediagroup": self._send_media_group,
            "answercallbackquery": _answer_callback_query,
            "sendphoto": self._send_photo,
            "senddocument": self._send_document,
            "sendchataction": self._send_chat_action,
        }

    def claims(self, method: str, path: str) -> bool:
        return path.startswith("/bot")

    def label(self, path: str) -> str:
        return "/bot{token}/" + path.rpartition("/")[2].lower()

    def traits(self, call: Call) -> Traits:
        token = call.path[4:].partition("/")[0]
        return Traits(token=token, chat=str(call.params().get("chat_id", "")))

    def answer(self, call: Call) -> Answer:
        try:
            bot, handler = self._route(call.path)
            result = handler(bot, call)
        except BotError as error:
            return _refused(error)
        return Answer(200, _dump({"ok": True, "result": result}), "application/json", list(_HEADERS))

    def unreadable(self, detail: str) -> Answer:
        return _refused(bad_request(f"can't parse request: {detail}"))

    def refuse(self, fault: Fault, call: Call) -> Answer:
        if fault.kind == "rate_limit":
            return _refused(too_many_requests(max(fault.retry_after, 1)))
        if fault.kind == "expired_token":
            return _refused(BotError(401))
        if fault.kind == "code":
            return _refused(scripted(fault.number, fault.message))
        return _refused(BotError(500, "restart"))

    def observe(self, call: Call, status: int, fault: str) -> None:
        if status == 200 and not fault:
            return
        detail: dict[str, object] = {
            "method": call.path.rpartition("/")[2],
            "chat_id": call.params().get("chat_id"),
            "status": status,
        }
        if fault:
            detail["fault"] = fault
        self._inbox.add("refused", self.traits(call).chat, detail)

    def reset(self) -> None:
        self.chats.reset()
        self._flood.reset()

    def _route(self, path: str) -> tuple[str, Handler]:
        match = _PATH.match(path)
        if match is None:
            raise BotError(404)
        token, method = match.groups()
        if (
            token.startswith("0")
            or len(token) > 80
            or not token.partition(":")[0].isdigit()
            or ":" not in token
        ):
            raise BotError(401, "invalid token specified")
        parts = _TOKEN.match(token)
        if parts is None or token.startswith(_REVOKED_BOTS):
            raise BotError(401)
        handler = self._methods.get(method.lower())
        if handler is None:
            raise BotError(404, "method not found")
        return parts.group(1), handler

    def _send_chat_action(self, bot: str, call: Call) -> bool:
        self.chats.find(call.params().get("chat_id")).check()
        return True

    def _send_message(self, bot: str, call: Call) -> dict[str, Any]:
        content = self._text(call.params())
        chat = self.chats.find(call.params().get("chat_id"))
        if utf16_length(content["text"]) > MAX_TEXT:
            raise bad_request("message is too long")
        return self._deliver(bot, chat, call, content)

    def _edit_message_text(self, bot: str, call: Call) -> dict[str, Any]:
        """The text of a message that the bot sent before becomes another."""
        params = call.params()
        content = self._text(params)
        chat = self.chats.find(params.get("chat_id"))
        chat.check()
        if utf16_length(content["text"]) > MAX_TEXT:
            raise bad_request("MESSAGE_TOO_LONG")
        message_id = _integer(params, "message_id")
        if not 0 < message_id <= chat.last_message_id:
            raise bad_request("message to edit not found")
        now = int(self._clock.now())
        message = {
            "message_id": message_id,
            "from": _bot(bot, full=False),
            "chat": chat.as_json(),
            "date": now,
            "edit_date": now,
            **content,
        }
        if markup := _object(params, "reply_markup"):
            message["reply_markup"] = markup
        self._record(bot, chat, call, message)
        return message

    def _send_media_group(self, bot: str, call: Call) -> list[dict[str, Any]]:
        """An album of photos or of documents, each item a message with the album's id."""
        params = call.params()
        items = params.get("media")
        items = _decode(items, "media") if isinstance(items, str) else items
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise bad_request("media must be an Array of InputMedia")
        if len(items) not in range(2, 11):
            raise bad_request("there must be from 2 to 10 messages in an album")
        if len(kinds := {str(item.get("type")) for item in items}) > 1 or kinds - {"photo", "document"}:
            raise bad_request("photos and documents can't be mixed in an album")
        chat = self.chats.find(params.get("chat_id"))
        contents = [self._album_item(call, item) for item in items]
        group = {"media_group_id": f"{chat.last_message_id + 1:017d}"}
        return [self._deliver(bot, chat, call, {**group, **content}) for content in contents]

    def _album_item(self, call: Call, item: dict[str, Any]) -> dict[str, Any]:
        content: dict[str, Any]
        media = str(item.get("media") or "")
        if item["type"] == "photo":
            content = {"photo": files.photo(call, media)}
        else:
            content = {"document": files.document(call, media)}
        return {**content, **self._caption(item)}

    def _text(self, params: dict[str, object]) -> dict[str, Any]:
        """The text of a message with its entities and how its links are shown."""
        text = self._formatted(params, "text", "entities").trimmed()
        if not text.text:
            raise bad_request("message text is empty")
        content: dict[str, Any] = {"text": text.text}
        if text.entities:
            content["entities"] = [entity.as_json() for entity in text.entities]
        options = _object(params, "link_preview_options")
        if params.get("disable_web_page_preview") in (True, "true", "True", "1"):
            options = {"is_disabled": True}
        if options:
            content["link_preview_options"] = options
        return content

    def _send_photo(self, bot: str, call: Call) -> dict[str, Any]:
        return self._send_media(bot, call, lambda: {"photo": files.photo(call)})

    def _send_document(self, bot: str, call: Call) -> dict[str, Any]:
        return self._send_media(bot, call, lambda: {"document": files.document(call)})

    def _send_media(self, bot: str, call: Call, media: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        params = call.params()
        content = {**media(), **self._caption(params)}
        chat = self.chats.find(params.get("chat_id"))
        return self._deliver(bot, chat, call, content)

    def _caption(self, params: dict[str, object]) -> dict[str, Any]:
        caption = self._formatted(params, "caption", "caption_entities").trimmed()
        if utf16_length(caption.text) > MAX_CAPTION:
            raise bad_request("message caption is too long")
        content: dict[str, Any] = {"caption": caption.text} if caption.text else {}
        if caption.entities:
            content["caption_entities"] = [entity.as_json() for entity in caption.entities]
        return content

    def _formatted(self, params: dict[str, object], field: str, entities_field: str) -> FormattedText:
        raw = params.get(field)
        text = "" if raw is None else str(raw)
        mode = str(params.get("parse_mode") or "").lower()
        if mode == "html":
            return parse_html(text)
        if mode:
            raise bad_request("unsupported parse_mode")
        items = params.get(entities_field)
        if isinstance(items, str):
            items = _decode(items, entities_field)
        if isinstance(items, list):
            return given_entities(items, text)
        return FormattedText(text, [])

    def _deliver(self, bot: str, chat: Chat, call: Call, content: dict[str, Any]) -> dict[str, Any]:
        """Put a message into the chat; raises what the chat or flood control has against it."""
        chat.check()
        params = call.params()
        message: dict[str, Any] = {}
        if thread := _integer(params, "message_thread_id"):
            if chat.type != "supergroup":
                raise bad_request("message thread not found")
            message["message_thread_id"] = thread
            message["is_topic_message"] = True
        self._check_reply(params, chat)
        self._flood.admit(bot, chat.id, self._clock.now())
        chat.last_message_id += 1
        head: dict[str, Any] = {"message_id": chat.last_message_id}
        if chat.type != "channel":
            head["from"] = _bot(bot, full=False)
        else:
            head["sender_chat"] = chat.as_json()
        head |= {"chat": chat.as_json(), "date": int(self._clock.now())}
        message = {**head, **message, **content}
        if params.get("protect_content") in (True, "true", "True", "1"):
            message["has_protected_content"] = True
        if markup := _object(params, "reply_markup"):
            message["reply_markup"] = markup
        self._record(bot, chat, call, message)
        return message

    def _check_reply(self, params: dict[str, object], chat: Chat) -> None:
        reply = _object(params, "reply_parameters")
        wanted = reply.get("message_id", _integer(params, "reply_to_message_id"))
        if not wanted or reply.get("allow_sending_without_reply"):
            return
        if not isinstance(wanted, int) or not 0 < wanted <= chat.last_message_id:
            raise bad_request("message to be replied not found")

    def _record(self, bot: str, chat: Chat, call: Call, message: dict[str, Any]) -> None:
        detail: dict[str, object] = {
            "bot_id": int(bot),
            "chat_id": chat.id,
            "chat": message["chat"],
            "message_id": message["message_id"],
            "date": message["date"],
            "text": message.get("text", message.get("caption", "")),
            "entities": message.get("entities", message.get("caption_entities", [])),
            "silent": call.params().get("disable_notification") in (True, "true", "True", "1"),
        }
        for name in _RECORDED:
            if name in message:
                detail[name] = message[name]
        if trace := call.headers.get("traceparent"):
            detail["traceparent"] = trace
        self._inbox.add("telegram", str(chat.id), detail, len(str(detail["text"])))


_RECORDED = (
    "photo",
    "document",
    "media_group_id",
    "message_thread_id",
    "reply_markup",
    "link_preview_options",
    "edit_date",
)
_HEADERS: Headerlist = [
    ("server", "nginx/1.18.0"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    ("access-control-expose-headers", "Content-Length,Content-Type,Date,Server,Connection"),
]


def _answer_callback_query(_bot: str, call: Call) -> bool:
    if not call.params().get("callback_query_id"):
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    return True


def _refused(error: BotError) -> Answer:
    headers = list(_HEADERS)
    if error.parameters and "retry_after" in error.parameters:
        headers.append(("retry-after", str(error.parameters["retry_after"])))
    return Answer(error.code, _dump(error.envelope()), "application/json", headers)


def _bot(bot: str, *, full: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": int(bot),
        "is_bot": True,
        "first_name": "Sandbox",
        "username": f"sandbox{bot}_bot",
    }
    if full:
        shown |= {
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }
    return shown


def _dump(payload: object) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=True).encode()


def _decode(raw: str, name: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise bad_request(f"can't parse {name} JSON object") from None


def _object(params: dict[str, object], name: str) -> dict[str, Any]:
    value = params.get(name)
    if isinstance(value, str) and value:
        value = _decode(value, name)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise bad_request(f"can't parse {name}: expected an Object")
    return value


def _integer(params: dict[str, object], name: str) -> int:
    value = params.get(name)
    if value is None or value == "":
        return 0
    try:
        return int(str(value))
    except ValueError:
        raise bad_request(f"{name} must be an Integer") from None
