import json
import struct
from typing import Any

import pytest

from tests.unit.sandbox.conftest import BOT, SandboxApp

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 640, 480) + b"\x00" * 16


async def test_get_me(app: SandboxApp) -> None:
    answer = await app.bot("getMe")
    assert answer["ok"] is True
    assert (answer["result"]["id"], answer["result"]["is_bot"]) == (123456, True)


async def test_a_message_comes_back_with_its_entities(app: SandboxApp) -> None:
    answer = await app.bot(
        "sendMessage",
        chat_id=-1001234567890,
        text="<b>Hi</b> all",
        parse_mode="HTML",
        link_preview_options={"is_disabled": True},
    )
    message = answer["result"]
    assert message["text"] == "Hi all"
    assert message["entities"] == [{"offset": 0, "length": 2, "type": "bold"}]
    assert message["chat"]["id"] == -1001234567890
    assert message["chat"]["type"] == "supergroup"
    assert message["date"] == int(app.clock.now())
    assert message["link_preview_options"] == {"is_disabled": True}


async def test_message_ids_rise_in_each_chat_by_itself(app: SandboxApp) -> None:
    ids = []
    for chat in (1, 2, 1, 1, 2):
        ids.append((await app.bot("sendMessage", chat_id=chat, text="x"))["result"]["message_id"])
    assert ids == [1, 1, 2, 3, 2]


@pytest.mark.parametrize(
    ("chat", "kind"),
    [
        (77, "private"),
        (-77, "group"),
        (-1000000000077, "supergroup"),
        ("@team_news", "channel"),
        ("-77", "group"),
    ],
)
async def test_any_chat_exists_once_it_is_written_to(app: SandboxApp, chat: Any, kind: str) -> None:
    message = (await app.bot("sendMessage", chat_id=chat, text="x"))["result"]
    assert message["chat"]["type"] == kind
    again = (await app.bot("sendMessage", chat_id=message["chat"]["id"], text="x"))["result"]
    assert again["message_id"] == message["message_id"] + 1


async def test_form_query_and_multipart_are_taken_as_well_as_json(app: SandboxApp) -> None:
    plain = {"chat_id": "5", "text": "é&<b>", "disable_notification": "true"}
    answers = [
        await app.http.post(f"{BOT}/sendMessage", data=plain),
        await app.http.get(f"{BOT}/SENDMESSAGE", params=plain),
        await app.http.post(f"{BOT}/sendmessage", data=plain, files={"unused": b"x"}),
    ]
    assert [answer.json()["result"]["text"] for answer in answers] == ["é&<b>"] * 3
    assert all(message["silent"] for message in await app.received(kind="telegram"))


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("x" * 4096, None),
        ("x" * 4097, "Bad Request: message is too long"),
        ("👍" * 2048, None),
        ("👍" * 2049, "Bad Request: message is too long"),
        ("<b>" + "&amp;" * 4096 + "</b>", None),
        ("", "Bad Request: message text is empty"),
        ("<b> </b>\n", "Bad Request: message text is empty"),
    ],
)
async def test_length_counts_after_parsing_in_utf16_units(
    app: SandboxApp, text: str, refused: str | None
) -> None:
    answer = await app.bot("sendMessage", chat_id=1, text=text, parse_mode="HTML")
    assert answer.get("description") == refused


@pytest.mark.parametrize(
    ("chat", "code", "description"),
    [
        (-1004040000001, 400, "Bad Request: chat not found"),
        (404404001, 400, "Bad Request: chat not found"),
        ("@missing_channel", 400, "Bad Request: chat not found"),
        ("no chat", 400, "Bad Request: chat not found"),
        ("", 400, "Bad Request: chat_id is empty"),
        (None, 400, "Bad Request: chat_id is empty"),
        (403403001, 403, "Forbidden: bot was blocked by the user"),
        (410410001, 403, "Forbidden: user is deactivated"),
        (-1004030000001, 403, "Forbidden: bot was kicked from the supergroup chat"),
        (-1004004000001, 400, "Bad Request: not enough rights to send text messages to the chat"),
    ],
)
async def test_chats_that_refuse(app: SandboxApp, chat: Any, code: int, description: str) -> None:
    answer = await app.http.post(f"{BOT}/sendMessage", json={"chat_id": chat, "text": "x"})
    assert answer.status_code == code
    assert answer.json() == {"ok": False, "error_code": code, "description": description}
    assert await app.received(kind="telegram") == []
    (refused,) = await app.received(kind="refused")
    assert refused["status"] == code


async def test_an_upgraded_group_says_where_it_went(app: SandboxApp) -> None:
    answer = await app.bot("sendMessage", chat_id=-301301777, text="x")
    assert answer["description"] == "Bad Request: group chat was upgraded to a supergroup chat"
    moved = answer["parameters"]["migrate_to_chat_id"]
    assert (await app.bot("sendMessage", chat_id=moved, text="x"))["ok"] is True


async def test_a_chat_can_be_told_to_refuse_and_to_relent(app: SandboxApp) -> None:
    await app.bot("sendMessage", chat_id=9, text="x")
    await app.http.put("/_sandbox/chats/9", json={"state": "blocked"})
    assert await app.refusal("sendMessage", chat_id=9, text="x") == "Forbidden: bot was blocked by the user"
    await app.http.put("/_sandbox/chats/9", json={"state": "normal"})
    assert (await app.bot("sendMessage", chat_id=9, text="x"))["result"]["message_id"] == 2


async def test_a_bad_message_is_refused_before_a_missing_chat_is_noticed(app: SandboxApp) -> None:
    description = await app.refusal("sendMessage", chat_id=404404001, text="<p>x</p>", parse_mode="HTML")
    assert description == 'Bad Request: can\'t parse entities: Unsupported start tag "p" at byte offset 0'


@pytest.mark.parametrize(
    ("path", "status", "description"),
    [
        ("/bot123456:short/getMe", 401, "Unauthorized"),
        (f"/bot401401{BOT[10:]}/getMe", 401, "Unauthorized"),
        ("/bot0123:" + "A" * 35 + "/getMe", 401, "Unauthorized: invalid token specified"),
        ("/botnonsense/getMe", 401, "Unauthorized: invalid token specified"),
        (f"{BOT}/sendPigeon", 404, "Not Found: method not found"),
        (BOT, 404, "Not Found"),
    ],
)
async def test_tokens_and_methods_that_are_wrong(
    app: SandboxApp, path: str, status: int, description: str
) -> None:
    answer = await app.http.post(path, json={})
    assert (answer.status_code, answer.json()["description"]) == (status, description)
    assert answer.headers["content-type"] == "application/json"


async def test_entities_may_be_given_instead_of_markup(app: SandboxApp) -> None:
    given = [{"type": "bold", "offset": 0, "length": 2}]
    assert (await app.bot("sendMessage", chat_id=1, text="Hi", entities=given))["result"]["entities"] == given
    outside = [{"type": "bold", "offset": 1, "length": 2}]
    assert "UTF-16" in await app.refusal("sendMessage", chat_id=1, text="Hi", entities=outside)


async def test_markup_it_does_not_know_is_refused_not_ignored(app: SandboxApp) -> None:
    description = await app.refusal("sendMessage", chat_id=1, text="*x*", parse_mode="MarkdownV9")
    assert description == "Bad Request: unsupported parse_mode"


async def test_replies_and_threads(app: SandboxApp) -> None:
    first = (await app.bot("sendMessage", chat_id=-1000000000001, text="x"))["result"]["message_id"]
    reply = {"message_id": first}
    assert (await app.bot("sendMessage", chat_id=-1000000000001, text="y", reply_parameters=reply))["ok"]
    missing = await app.refusal("sendMessage", chat_id=-1000000000001, text="y", reply_to_message_id=99)
    assert missing == "Bad Request: message to be replied not found"
    lenient = {"message_id": 99, "allow_sending_without_reply": True}
    assert (await app.bot("sendMessage", chat_id=-1000000000001, text="y", reply_parameters=lenient))["ok"]
    assert (await app.bot("sendMessage", chat_id=-1000000000001, text="y", message_thread_id=3))["ok"]
    private = await app.refusal("sendMessage", chat_id=1, text="y", message_thread_id=3)
    assert private == "Bad Request: message thread not found"


async def test_documents_by_upload_attachment_link_and_id(app: SandboxApp) -> None:
    upload = {"document": ("report.csv", b"a,b\n1,2\n", "text/csv")}
    data = {"chat_id": "1", "caption": "<i>Rows</i>", "parse_mode": "HTML"}
    sent = (await app.http.post(f"{BOT}/sendDocument", data=data, files=upload)).json()["result"]
    assert sent["document"]["file_name"] == "report.csv"
    assert (sent["document"]["mime_type"], sent["document"]["file_size"]) == ("text/csv", 8)
    assert sent["caption_entities"] == [{"offset": 0, "length": 4, "type": "italic"}]
    attached = await app.http.post(
        f"{BOT}/sendDocument",
        data={"chat_id": "1", "document": "attach://f"},
        files={"f": ("other.csv", b"x", "text/csv")},
    )
    assert attached.json()["result"]["document"]["file_name"] == "other.csv"
    by_link = await app.bot("sendDocument", chat_id=1, document="https://files.example/report.pdf")
    assert by_link["result"]["document"]["file_name"] == "report.pdf"
    by_id = await app.bot("sendDocument", chat_id=1, document=sent["document"]["file_id"])
    assert by_id["result"]["document"]["file_id"] == sent["document"]["file_id"]


@pytest.mark.parametrize(
    ("params", "description"),
    [
        ({}, "Bad Request: there is no document in the request"),
        ({"document": "https://nodots/"}, "Bad Request: wrong HTTP URL specified"),
        ({"document": "x"}, "Bad Request: wrong file identifier/HTTP URL specified"),
        (
            {"document": "https://a.example/x", "caption": "x" * 1025},
            "Bad Request: message caption is too long",
        ),
    ],
)
async def test_documents_that_are_refused(app: SandboxApp, params: dict[str, str], description: str) -> None:
    assert await app.refusal("sendDocument", chat_id=1, **params) == description


async def test_photos_are_measured(app: SandboxApp) -> None:
    answer = await app.http.post(f"{BOT}/sendPhoto", data={"chat_id": "1"}, files={"photo": ("a.png", PNG)})
    (size,) = answer.json()["result"]["photo"]
    assert (size["width"], size["height"], size["file_size"]) == (640, 480, len(PNG))
    broken = await app.http.post(f"{BOT}/sendPhoto", data={"chat_id": "1"}, files={"photo": ("a.png", b"no")})
    assert broken.json()["description"] == "Bad Request: IMAGE_PROCESS_FAILED"
    heavy = {"photo": ("a.png", PNG + b"\x00" * (10 * 1024 * 1024))}
    too_large = await app.http.post(f"{BOT}/sendPhoto", data={"chat_id": "1"}, files=heavy)
    assert (too_large.status_code, too_large.json()["description"]) == (413, "Request Entity Too Large")


async def test_flood_control_is_off_until_it_is_switched_on(app: SandboxApp) -> None:
    for _ in range(60):
        assert (await app.bot("sendMessage", chat_id=-5, text="x"))["ok"]
    await app.http.put("/_sandbox/limits", json={"telegram_chat_per_minute": 20})
    answers = [
        await app.http.post(f"{BOT}/sendMessage", json={"chat_id": -5, "text": "x"}) for _ in range(21)
    ]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    refused = answers[-1]
    wait = refused.json()["parameters"]["retry_after"]
    assert refused.headers["retry-after"] == str(wait)
    assert refused.json()["description"] == f"Too Many Requests: retry after {wait}"
    assert (await app.bot("sendMessage", chat_id=-6, text="x"))["ok"]
    app.clock.advance(wait)
    assert (await app.bot("sendMessage", chat_id=-5, text="x"))["ok"]


async def test_json_that_is_none_is_refused(app: SandboxApp) -> None:
    headers = {"content-type": "application/json"}
    answer = await app.http.post(f"{BOT}/sendMessage", content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["ok"]) == (400, False)


async def test_a_text_is_edited(app: SandboxApp) -> None:
    sent = (await app.bot("sendMessage", chat_id=-5, text="x"))["result"]
    edited = await app.bot(
        "editMessageText", chat_id=-5, message_id=sent["message_id"], text="<b>y</b>", parse_mode="HTML"
    )
    assert (edited["result"]["message_id"], edited["result"]["text"]) == (sent["message_id"], "y")
    assert edited["result"]["edit_date"] >= sent["date"]
    missing = await app.refusal("editMessageText", chat_id=-5, message_id=99, text="y")
    assert missing == "Bad Request: message to edit not found"
    assert (await app.bot("answerCallbackQuery", callback_query_id="1"))["result"] is True


@pytest.mark.parametrize(
    ("count", "refused"),
    [
        (2, None),
        (10, None),
        (1, "Bad Request: there must be from 2 to 10 messages in an album"),
        (11, "Bad Request: there must be from 2 to 10 messages in an album"),
    ],
)
async def test_an_album_has_two_to_ten_items(app: SandboxApp, count: int, refused: str | None) -> None:
    media = [{"type": "photo", "media": f"attach://p{n}"} for n in range(count)]
    media[0]["caption"] = "All of them"
    answer = await app.http.post(
        f"{BOT}/sendMediaGroup",
        data={"chat_id": "1", "media": json.dumps(media)},
        files={f"p{n}": (f"{n}.png", PNG) for n in range(count)},
    )
    document = answer.json()
    assert document.get("description") == refused
    if refused is None:
        assert len({message["media_group_id"] for message in document["result"]}) == 1
        assert [message.get("caption") for message in document["result"]] == [
            "All of them",
            *[None] * (count - 1),
        ]


async def test_an_album_is_of_one_kind(app: SandboxApp) -> None:
    media = [
        {"type": "photo", "media": "https://a.example/a.png"},
        {"type": "document", "media": "https://a.example/a"},
    ]
    refused = await app.refusal("sendMediaGroup", chat_id=1, media=media)
    assert refused == "Bad Request: photos and documents can't be mixed in an album"
