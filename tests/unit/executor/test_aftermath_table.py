"""The table from consequences to fates is whole, and agrees with who retries what."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from common.errors import Consequence, PlatformError
from common.messages import Message
from executor.aftermath import notices
from executor.aftermath.table import (
    AFTERMATH,
    PROBLEMS,
    AutomationFate,
    ConnectionFate,
    Fault,
    RunFate,
)

URL = "https://carillon.example/"
ID = UUID("018f0000-0000-7000-8000-000000000001")


def test_every_consequence_has_an_aftermath() -> None:
    assert set(AFTERMATH) == set(Consequence)


@pytest.mark.parametrize("consequence", Consequence)
def test_permanent_errors_are_not_retried(consequence: Consequence) -> None:
    error = PlatformError("no", consequence, platform="facebook")
    # REFRESH is worth another try to a client, not to a run: it comes this far when that try was in vain.
    if error.permanent or consequence is Consequence.REFRESH:
        assert AFTERMATH[consequence].run is RunFate.FAIL
    else:
        assert AFTERMATH[consequence].run is not RunFate.FAIL


@pytest.mark.parametrize("consequence", Consequence)
def test_every_effect_on_an_account_or_automation_is_notified(consequence: Consequence) -> None:
    aftermath = AFTERMATH[consequence]
    touched = (aftermath.connection, aftermath.automation) != (ConnectionFate.KEEP, AutomationFate.GO_ON)
    assert aftermath.tells_owner is touched
    assert (consequence in PROBLEMS) is (aftermath.connection is ConnectionFate.NOTE)


def test_problems_begin_differently() -> None:
    heads = list(PROBLEMS.values())
    assert not [one for one in heads for other in heads if one != other and one.startswith(other)]


@pytest.mark.parametrize(
    ("connection_id", "version", "blames"), [(ID, 3, (ID, 3)), (None, 3, None), (ID, None, None)]
)
def test_a_fault_condemns_only_a_known_token(
    connection_id: UUID | None, version: int | None, blames: tuple[UUID, int] | None
) -> None:
    fault = Fault(Consequence.REAUTH, "zoom", "dead", uuid4(), uuid4(), connection_id, version)
    assert fault.blames == blames


def reconnect(*paused: str) -> Message:
    return notices.reconnect(
        public_url=URL,
        connection_id=ID,
        platform="zoom",
        name="<Academy>",
        reason="Zoom: Invalid & old",
        paused=paused,
    )


@pytest.mark.parametrize(
    ("paused", "said"),
    [
        ((), "No automation is paused"),
        (("Daily",), "“Daily” is paused until then."),
        (("A", "B"), "2 automations are paused until then: “A”, “B”."),
        (tuple("ABCDEFG"), "7 automations are paused until then: “A”, “B”, “C”, “D”, “E” and 2 more."),
    ],
)
def test_the_message_names_the_paused_automations(paused: tuple[str, ...], said: str) -> None:
    message = reconnect(*paused)
    assert said in message.text
    assert message.data["paused_automations"] == len(paused)


def test_the_message_has_event_reason_and_link() -> None:
    message = reconnect("Daily")
    assert message.title == "Zoom account “<Academy>” must be connected again"
    assert "Zoom: Invalid & old" in message.text
    assert f"https://carillon.example/connections/{ID}" in message.text
    assert message.html is not None
    assert "&lt;Academy&gt;" in message.html
    assert "Invalid &amp; old" in message.html


def test_a_stopped_automation_without_a_known_account_links_to_itself() -> None:
    message = notices.stopped(
        public_url=URL, automation_id=ID, name="Daily", connection_id=None, platform="tiktok", detail="no"
    )
    assert f"https://carillon.example/automations/{ID}" in message.text
    assert "TikTok refuses" in message.text
