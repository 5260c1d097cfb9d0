from dataclasses import replace
from typing import Any

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import ACCOUNT, TOKEN, Bench, bench_of


async def start(bench: Bench, **params: str) -> str:
    answer = await bench.http.post(
        f"/v26.0/{ACCOUNT}/insights", data={"access_token": TOKEN, "fields": "spend", **params}
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["report_run_id"])


async def status(bench: Bench, report: str) -> dict[str, Any]:
    document: dict[str, Any] = (await bench.graph(report)).json()
    return document


async def test_a_report_goes_through_its_states_by_the_sandboxes_clock(bench: Bench) -> None:
    report = await start(bench)
    seen = []
    for _ in range(6):
        now = await status(bench, report)
        seen.append((now["async_status"], now["async_percent_completion"]))
        bench.clock.advance(2)
    assert seen == [
        ("Job Not Started", 0),
        ("Job Started", 0),
        ("Job Running", 40),
        ("Job Running", 60),
        ("Job Running", 80),
        ("Job Completed", 100),
    ]
    done = await status(bench, report)
    assert done["time_completed"] == done["time_ref"] + 10
    assert "is_running" not in done


async def test_a_finished_report_reads_like_the_synchronous_answer(bench: Bench) -> None:
    query = {"level": "ad", "date_preset": "last_7d", "time_increment": "1"}
    report = await start(bench, **query)
    bench.clock.advance(10)
    answer = await bench.graph(f"{report}/insights", limit="40")
    rows = list(answer.json()["data"])
    while following := answer.json()["paging"].get("next"):
        answer = await bench.http.get(following)
        rows += answer.json()["data"]
    assert rows == await bench.insights(fields="spend", **query)


async def test_a_report_takes_what_is_too_much_at_once(settings: Settings) -> None:
    bench = bench_of(replace(settings, facebook_sync_rows=100))
    query = {"level": "ad", "date_preset": "last_30d", "time_increment": "1", "breakdowns": "gender"}
    async with bench.http:
        assert (await bench.error(f"{ACCOUNT}/insights", **query))["error_subcode"] == 99
        report = await start(bench, **query)
        bench.clock.advance(10)
        answer = await bench.graph(f"{report}/insights", limit="500")
        assert len(answer.json()["data"]) == 500


async def test_query_and_form_are_one(bench: Bench) -> None:
    answer = await bench.http.post(
        f"/v26.0/{ACCOUNT}/insights?access_token={TOKEN}&level=nonsense", data={"level": "ad"}
    )
    assert "report_run_id" in answer.json()


async def test_an_unfinished_report_cannot_be_read(bench: Bench) -> None:
    report = await start(bench)
    assert (await bench.error(f"{report}/insights"))["code"] == 2601


async def test_a_report_that_fails_says_why(bench: Bench) -> None:
    await bench.fault("report_failed", times=1)
    await bench.graph("me")
    failing, fine = await start(bench), await start(bench)
    bench.clock.advance(10)
    failed = await status(bench, failing)
    assert failed["async_status"] == "Job Failed"
    assert (failed["error_code"], failed["error_subcode"]) == (-2, 2490547)
    assert (await status(bench, fine))["async_status"] == "Job Completed"


async def test_old_reports_are_skipped(bench: Bench) -> None:
    report = await start(bench)
    bench.clock.advance(31 * 86_400)
    assert (await status(bench, report))["async_status"] == "Job Skipped"


async def test_a_bad_query_fails_at_once(bench: Bench) -> None:
    answer = await bench.http.post(
        f"/v26.0/{ACCOUNT}/insights", data={"access_token": TOKEN, "fields": "nonsense"}
    )
    assert answer.json()["error"]["code"] == 100
