from tests.unit.sandbox.conftest import ACCOUNT, PAGE, PAGE_TOKEN, TOKEN, SandboxApp


async def test_ad_accounts_show_only_their_ids_without_fields(app: SandboxApp) -> None:
    answer = await app.graph("me/adaccounts")
    first = answer.json()["data"][0]
    assert first == {"account_id": ACCOUNT.removeprefix("act_"), "id": ACCOUNT}


async def test_ad_account_fields_have_the_platforms_types(app: SandboxApp) -> None:
    fields = (
        "account_id,name,account_status,currency,timezone_name,timezone_offset_hours_utc,amount_spent,balance"
    )
    first = (await app.graph("me/adaccounts", fields=fields)).json()["data"][0]
    assert first["account_status"] == 1
    assert first["timezone_name"] == "Europe/Berlin"
    assert first["timezone_offset_hours_utc"] == 1
    assert isinstance(first["amount_spent"], str)
    assert isinstance(first["balance"], str)


async def test_following_next_visits_every_account_once(app: SandboxApp) -> None:
    seen: list[str] = []
    answer = await app.graph("me/adaccounts", limit="1")
    while True:
        page = answer.json()
        seen += [account["id"] for account in page["data"]]
        assert page["paging"]["cursors"]["after"]
        if "next" not in page["paging"]:
            break
        assert f"access_token={TOKEN}" in page["paging"]["next"]
        answer = await app.http.get(page["paging"]["next"])
    assert len(seen) == len(set(seen)) == 4


async def test_next_keeps_host_and_version_and_names_the_person(app: SandboxApp) -> None:
    answer = await app.http.get(
        "https://sandbox.internal:8443/v25.0/me/adaccounts", params={"limit": "1"}, headers=_bearer(TOKEN)
    )
    following = answer.json()["paging"]["next"]
    assert following.startswith("https://sandbox.internal:8443/v25.0/122094530778001/adaccounts?")
    assert f"access_token={TOKEN}" in following


async def test_previous_leads_back(app: SandboxApp) -> None:
    first = (await app.graph("me/adaccounts", limit="2")).json()
    second = (await app.http.get(first["paging"]["next"])).json()
    back = (await app.http.get(second["paging"]["previous"])).json()
    assert back["data"] == first["data"]


async def test_a_made_up_cursor_is_refused(app: SandboxApp) -> None:
    error = await app.error("me/adaccounts", after="bm90aGluZw")
    assert (error["code"], error["message"]) == (100, "(#100) Invalid cursors values")


async def test_pages_come_with_tokens_that_read_them(app: SandboxApp) -> None:
    pages = (await app.graph("me/accounts", summary="true")).json()
    assert pages["summary"] == {"total_count": 3}
    page = pages["data"][0]
    assert "ANALYZE" in page["tasks"]
    described = await app.graph(page["id"], page["access_token"], fields="name,fan_count,followers_count")
    assert described.json()["name"] == page["name"]
    assert isinstance(described.json()["fan_count"], int)
    assert described.json()["fan_count"] < described.json()["followers_count"]


async def test_a_page_is_me_to_its_own_token(app: SandboxApp) -> None:
    assert (await app.graph("me", PAGE_TOKEN)).json()["id"] == PAGE


async def test_a_person_without_the_permission_sees_no_pages_and_no_ads(app: SandboxApp) -> None:
    assert (await app.graph("me/accounts", "unscoped-1")).json() == {"data": []}
    answer = await app.graph(f"{ACCOUNT}/insights", "unscoped-1")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == 200
    assert "insufficient_scope" in answer.headers["www-authenticate"]


async def test_permissions_tell_granted_from_declined(app: SandboxApp) -> None:
    rows = (await app.graph("me/permissions", "unscoped-1")).json()["data"]
    states = {row["permission"]: row["status"] for row in rows}
    assert states["public_profile"] == "granted"
    assert states["ads_read"] == "declined"


async def test_an_unknown_field_names_the_node_type(app: SandboxApp) -> None:
    error = await app.error(ACCOUNT, fields="name,colour")
    assert error["code"] == 100
    assert error["message"] == "(#100) Tried accessing nonexisting field (colour) on node type (AdAccount)"


async def test_several_objects_at_once_by_ids(app: SandboxApp) -> None:
    found = (await app.graph("", ids=f"{ACCOUNT},{PAGE}", fields="name")).json()
    assert found[ACCOUNT]["name"] == found[PAGE]["name"] == "Brightpath Courses"


async def test_field_expansion_narrows_an_inner_object(app: SandboxApp) -> None:
    shown = (await app.graph(ACCOUNT, fields="name,business{name}")).json()
    assert set(shown["business"]) == {"id", "name"}


async def test_structure_below_an_account(app: SandboxApp) -> None:
    campaigns = (await app.graph(f"{ACCOUNT}/campaigns", fields="name,effective_status")).json()["data"]
    assert {campaign["effective_status"] for campaign in campaigns} == {"ACTIVE", "PAUSED"}
    ads = (await app.graph(f"{campaigns[0]['id']}/ads", fields="campaign_id")).json()["data"]
    assert {ad["campaign_id"] for ad in ads} == {campaigns[0]["id"]}


async def test_an_unchanged_answer_is_304(app: SandboxApp) -> None:
    first = await app.graph("me/adaccounts")
    again = await app.http.get(
        "/v26.0/me/adaccounts",
        params={"access_token": TOKEN},
        headers={"if-none-match": first.headers["etag"]},
    )
    assert (again.status_code, again.content) == (304, b"")


async def test_posting_to_a_list_is_not_supported(app: SandboxApp) -> None:
    answer = await app.http.post("/v26.0/me/adaccounts", data={"access_token": TOKEN})
    assert answer.json()["error"]["error_subcode"] == 33
    assert answer.json()["error"]["message"].startswith("Unsupported post request.")


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
