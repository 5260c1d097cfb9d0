from typing import Any

from tests.unit.sandbox.conftest import ACCOUNT, TOKEN, SandboxApp


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


async def test_old_reports_are_skipped(app: SandboxApp) -> None:
    report = await start(app)
    app.clock.advance(31 * 86_400)
    assert (await status(app, report))["async_status"] == "Job Skipped"
