from dataclasses import replace
from typing import Any

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import ACCOUNT, TOKEN, SandboxApp, sandbox_app


async def start(app: SandboxApp, **params: str) -> str:
    answer = await app.http.post(
        f"/v26.0/{ACCOUNT}/insights", data={"access_token": TOKEN, "fields": "spend", **params}
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["report_run_id"])


async def status(app: SandboxApp, report: str) -> dict[str, Any]:
    document: dict[str, Any] = (await app.graph(report)).json()
    return document


async def test_a_report_goes_through_its_states_by_the_sandboxes_clock(app: SandboxApp) -> None:
    report = await start(app)
    seen = []
    for _ in range(6):
        now = await status(app, report)
        seen.append((now["async_status"], now["async_percent_completion"]))
        app.clock.advance(2)
    assert seen == [
        ("Job Not Started", 0),
        ("Job Started", 0),
        ("Job Running", 40),
        ("Job Running", 60),
        ("Job Running", 80),
        ("Job Completed", 100),
    ]
    done = await status(app, report)
    assert done["time_completed"] == done["time_ref"] + 10
    assert "is_running" not in done


async def test_a_finished_report_reads_like_the_synchronous_answer(app: SandboxApp) -> None:
    query = {"level": "ad", "date_preset": "last_7d", "time_increment": "1"}
    report = await start(app, **query)
    app.clock.advance(10)
    answer = await app.graph(f"{report}/insights", limit="40")
    rows = list(answer.json()["data"])
    while following := answer.json()["paging"].get("next"):
        answer = await app.http.get(following)
        rows += answer.json()["data"]
    assert rows == await app.insights(fields="spend", **query)


async def test_a_report_takes_what_is_too_much_at_once(settings: Settings) -> None:
    app = sandbox_app(replace(settings, facebook_sync_rows=100))
    query = {"level": "ad", "date_preset": "last_30d", "time_increment": "1", "breakdowns": "gender"}
    async with app.http:
        assert (await app.error(f"{ACCOUNT}/insights", **query))["error_subcode"] == 99
        report = await start(app, **query)
        app.clock.advance(10)
        answer = await app.graph(f"{report}/insights", limit="500")
        assert len(answer.json()["data"]) == 500


async def test_query_and_form_are_one(app: SandboxApp) -> None:
    answer = await app.http.post(
        f"/v26.0/{ACCOUNT}/insights?access_token={TOKEN}&level=nonsense", data={"level": "ad"}
    )
    assert "report_run_id" in answer.json()


async def test_an_unfinished_report_cannot_be_read(app: SandboxApp) -> None:
    report = await start(app)
    assert (await app.error(f"{report}/insights"))["code"] == 2601


async def test_a_report_that_fails_says_why(app: SandboxApp) -> None:
    await app.fault("report_failed", times=1)
    await app.graph("me")
    failing, fine = await start(app), await start(app)
    app.clock.advance(10)
    failed = await status(app, failing)
    assert failed["async_status"] == "Job Failed"
    assert (failed["error_code"], failed["error_subcode"]) == (-2, 2490547)
    assert (await status(app, fine))["async_status"] == "Job Completed"


async def test_old_reports_are_skipped(app: SandboxApp) -> None:
    report = await start(app)
    app.clock.advance(31 * 86_400)
    assert (await status(app, report))["async_status"] == "Job Skipped"


async def test_a_bad_query_fails_at_once(app: SandboxApp) -> None:
    answer = await app.http.post(
        f"/v26.0/{ACCOUNT}/insights", data={"access_token": TOKEN, "fields": "nonsense"}
    )
    assert answer.json()["error"]["code"] == 100
