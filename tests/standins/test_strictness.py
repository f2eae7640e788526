"""The fake vendors are worth something: they refuse what the vendor refuses, and notice what nobody expected."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.standins.contract import PLACE, Contract, Exchange
from tests.standins.hook import Hook
from tests.standins.jira import Jira
from tests.standins.pagerduty import ROUTING_KEY, PagerDuty
from tests.standins.pagertree import API_TOKEN, TEAM, WEBHOOK_TOKEN, PagerTree
from tests.standins.slack import TOKEN, Slack

EVENT: dict[str, Any] = {
    "routing_key": ROUTING_KEY,
    "event_action": "trigger",
    "dedup_key": "k",
    "payload": {"summary": "s", "source": "here", "severity": "critical"},
}
LONG = {"type": "context", "elements": [{"type": "plain_text", "text": "x" * 999}] * 9}
MESSAGE: dict[str, Any] = {"channel": "C0PAY", "text": "hello"}
DOCUMENT = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "t"}]}]}
ISSUE: dict[str, Any] = {
    "project": {"key": "PAY"},
    "issuetype": {"name": "Bug"},
    "summary": "s",
    "description": DOCUMENT,
    "labels": ["a"],
}


ALERT: dict[str, Any] = {"title": "t", "urgency": "high", "destination_team_ids": [TEAM], "description": "d"}
SIGNAL: dict[str, Any] = {"event_type": "create", "Id": "i", "Title": "t", "Description": "d"}


async def post(url: str, body: object, **headers: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as response:
        return response.status, await response.json()


async def enqueue(vendor: PagerDuty, **changes: object) -> int:
    return (await post(f"{vendor.url}/v2/enqueue", EVENT | changes))[0]


async def say(vendor: Slack, **changes: object) -> Any:
    url = f"{vendor.base_url}chat.postMessage"
    return (await post(url, MESSAGE | changes, Authorization=f"Bearer {TOKEN}"))[1]


def authorised(vendor: Jira) -> str:
    return vendor._authorization


async def create(vendor: Jira, **changes: object) -> tuple[int, Any]:
    url = f"{vendor.url}/rest/api/3/issue"
    return await post(url, {"fields": ISSUE | changes}, Authorization=authorised(vendor))


async def test_a_call_that_nobody_expected_fails_the_test() -> None:
    async with PagerDuty() as vendor:
        assert await enqueue(vendor) == 202
        with pytest.raises(AssertionError, match="unexpected"):
            vendor.assert_nothing_unexpected()
        await vendor.expect_call("s", severity="critical", dedup_key="k")
        vendor.assert_nothing_unexpected()


async def test_a_refusal_that_nobody_allowed_fails_the_test() -> None:
    async with PagerDuty() as vendor:
        assert await enqueue(vendor, dedup_key="") == 400
        with pytest.raises(AssertionError, match="1 refusals, 0 of them allowed"):
            vendor.assert_nothing_unexpected()
        vendor.allow_refusals()
        vendor.assert_nothing_unexpected()


async def test_what_does_not_come_fails_the_test_and_tells_what_did() -> None:
    async with PagerDuty() as vendor:
        await enqueue(vendor)
        with pytest.raises(AssertionError, match=r"(?s)no call 'other' within 0.05 s.*POST /v2/enqueue"):
            await vendor.expect_call("other", within=0.05)
        await vendor.expect_call()


async def test_what_comes_later_is_waited_for() -> None:
    async with PagerDuty() as vendor:
        expected = asyncio.create_task(vendor.expect_call())
        await enqueue(vendor)
        assert (await expected).dedup_key == "k"


async def test_an_effect_is_claimed_once() -> None:
    async with PagerDuty() as vendor:
        await enqueue(vendor)
        await vendor.expect_call()
        with pytest.raises(AssertionError):
            await vendor.expect_call(within=0.05)


@pytest.mark.parametrize(
    "changes",
    [
        {"routing_key": "short"},
        {"routing_key": "X" * 32},
        {"event_action": "page"},
        {"dedup_key": "k" * 256},
        {"payload": None},
        {"payload": {"summary": "s", "source": "here"}},
        {"payload": EVENT["payload"] | {"severity": "sev-1"}},
        {"payload": EVENT["payload"] | {"summary": "s" * 1_025}},
        {"payload": EVENT["payload"] | {"source": ""}},
        {"payload": EVENT["payload"] | {"surprise": "s"}},
        {"payload": EVENT["payload"] | {"custom_details": ["s"]}},
        {"links": [{"href": "javascript:x"}]},
        {"links": {}},
        {"surprise": 1},
    ],
)
async def test_pagerduty_refuses_what_it_refuses(changes: dict[str, object]) -> None:
    async with PagerDuty() as vendor:
        assert await enqueue(vendor, **changes) == 400
        assert vendor.open_alerts == {}


async def test_a_trigger_after_the_resolve_rings_again() -> None:
    async with PagerDuty() as vendor:
        for action in ("trigger", "trigger", "resolve", "trigger"):
            await enqueue(vendor, event_action=action)
        await vendor.expect_call()
        await vendor.expect_resolve()
        await vendor.expect_call()
        vendor.assert_nothing_unexpected()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"channel": "C0NONE"}, "channel_not_found"),
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"surprise": 1}, "invalid_arguments"),
        ({"thread_ts": "1.2"}, "thread_not_found"),
        ({"blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "plain_text", "text": "x" * 3_001}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "plain_text", "text": ""}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "surprise"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "plain_text", "text": "x"}, "more": 1}]}, "invalid_blocks"),
        ({"blocks": [LONG] * 2}, "msg_blocks_too_long"),
    ],
)
async def test_slack_refuses_what_it_refuses(changes: dict[str, object], error: str) -> None:
    async with Slack() as vendor:
        assert (await say(vendor, **changes))["error"] == error
        assert vendor.messages == []


async def alarm(vendor: PagerTree, **changes: object) -> int:
    url = f"{vendor.url}/api/v4/alerts"
    return (await post(url, ALERT | changes, Authorization=f"Bearer {API_TOKEN}"))[0]


async def signal(vendor: PagerTree, **changes: object) -> int:
    return (await post(vendor.integration_url, SIGNAL | changes, **{"pagertree-token": WEBHOOK_TOKEN}))[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"title": ""},
        {"title": " "},
        {"title": "t" * 256},
        {"urgency": "urgent"},
        {"urgency": None},
        {"destination_team_ids": []},
        {"destination_team_ids": ["tem_other"]},
        {"destination_router_ids": "rtr_all"},
        {"meta": {"incident": True, "incident_severity": "SEV-6", "incident_message": "m"}},
        {"meta": {"incident": True, "incident_severity": "SEV-1", "incident_message": ""}},
        {"meta": {"surprise": 1}},
        {"surprise": 1},
    ],
)
async def test_pagertree_refuses_what_it_refuses(changes: dict[str, object]) -> None:
    async with PagerTree() as vendor:
        assert await alarm(vendor, **changes) == 422
        assert vendor.alerts == []


@pytest.mark.parametrize(
    "changes",
    [{"event_type": "page"}, {"Id": ""}, {"Title": None}, {"Description": ""}, {"Urgency": "urgent"}, {"Extra": 1}],
)
async def test_pagertrees_webhook_refuses_what_it_refuses(changes: dict[str, object]) -> None:
    async with PagerTree() as vendor:
        assert await signal(vendor, **changes) == 422
        assert vendor.alerts == []


async def test_pagertree_wants_its_tokens() -> None:
    async with PagerTree() as vendor:
        assert (await post(f"{vendor.url}/api/v4/alerts", ALERT))[0] == 401
        assert (await post(vendor.integration_url, SIGNAL))[0] == 401


async def test_what_is_acknowledged_rings_no_more_by_the_same_id() -> None:
    async with PagerTree() as vendor:
        for kind in ("create", "create", "acknowledge", "create", "acknowledge"):
            assert await signal(vendor, event_type=kind) == 200
        assert [effect.did.value for effect in vendor.effects] == ["rang", "acknowledged"]
        with pytest.raises(AssertionError, match="unexpected"):
            vendor.assert_nothing_unexpected()


async def test_an_alert_is_acknowledged_once_and_never_after_its_end() -> None:
    async with PagerTree() as vendor:
        await alarm(vendor)
        statuses = []
        for action in ("acknowledge", "acknowledge", "resolve", "resolve", "acknowledge", "surprise"):
            url = f"{vendor.url}/api/v4/alerts/alt_1/{action}"
            statuses.append((await post(url, {}, Authorization=f"Bearer {API_TOKEN}"))[0])
        assert statuses == [200, 422, 200, 422, 422, 404]


@pytest.mark.parametrize("header", ["", "t=1,v1=00", f"t=1,v1={'0' * 64}"])
async def test_a_forged_event_is_refused(header: str) -> None:
    async with Hook() as vendor:
        assert (await post(vendor.hook_url, {}, **{"X-Sevrouter-Signature": header}))[0] == 401
        assert vendor.effects == []


async def test_slack_sees_what_an_unescaped_label_would_do() -> None:
    async with Slack() as vendor:
        text = {"type": "mrkdwn", "text": "<!channel> <@U1> <http://evil.example|click> &lt;@U2&gt;"}
        await say(vendor, blocks=[{"type": "section", "text": text}])
        message = await vendor.expect_message()
        assert message.mentions == ("!channel", "@U1")
        assert message.links == ("http://evil.example",)


async def test_slack_wants_its_token() -> None:
    async with Slack() as vendor:
        url = f"{vendor.base_url}chat.postMessage"
        assert (await post(url, MESSAGE))[1]["error"] == "not_authed"
        assert (await post(url, MESSAGE, Authorization="Bearer other"))[1]["error"] == "invalid_auth"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"project": {"key": "NOPE"}}, "project"),
        ({"issuetype": {"name": "Epic"}}, "issuetype"),
        ({"summary": ""}, "summary"),
        ({"summary": "two\nlines"}, "summary"),
        ({"summary": "x" * 256}, "summary"),
        ({"description": "text"}, "description"),
        ({"description": {"type": "doc", "version": 1, "content": [{"type": "surprise"}]}}, "description"),
        ({"description": DOCUMENT | {"content": [{"type": "bulletList", "content": []}]}}, "description"),
        ({"labels": ["with a space"]}, "labels"),
        ({"labels": ["x" * 256]}, "labels"),
        ({"assignee": {"accountId": "nobody"}}, "assignee"),
        ({"priority": {"id": "1"}}, "priority"),
    ],
)
async def test_jira_refuses_what_it_refuses(changes: dict[str, object], field: str) -> None:
    async with Jira() as vendor:
        status, answer = await create(vendor, **changes)
        assert (status, set(answer["errors"])) == (400, {field})
        assert vendor.issues == {}


async def test_jira_wants_to_know_who_asks() -> None:
    async with Jira() as vendor:
        assert (await post(f"{vendor.url}/rest/api/3/issue", {"fields": ISSUE}))[0] == 401


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("search", {"jql": 'labels = "a"'}, 410),
        ("search/jql", {"jql": ""}, 400),
        ("search/jql", {"jql": "ORDER BY created"}, 400),
        ("search/jql", {"jql": 'labels = "a"', "surprise": 1}, 400),
        ("issue/PAY-9/comment", {"body": DOCUMENT}, 404),
        ("issue/PAY-1/comment", {"body": "text"}, 400),
        ("surprise", {}, 404),
    ],
)
async def test_jira_refuses_what_is_gone_or_unbounded(path: str, body: object, status: int) -> None:
    async with Jira() as vendor:
        await create(vendor)
        url = f"{vendor.url}/rest/api/3/{path}"
        assert (await post(url, body, Authorization=authorised(vendor)))[0] == status


async def test_jiras_search_lags_as_long_as_it_is_told_to() -> None:
    async with Jira() as vendor:
        vendor.search_lag = 2
        await create(vendor)
        found = []
        for _ in range(3):
            url = f"{vendor.url}/rest/api/3/search/jql"
            query = {"jql": 'labels = "a"', "fields": ["key"]}
            found.append((await post(url, query, Authorization=authorised(vendor)))[1]["issues"])
        assert found == [[], [], [{"id": "10000", "key": "PAY-1"}]]


@pytest.mark.parametrize("name", ["pagerduty-events-v2.json", "jira-cloud-v3.json"])
def test_the_vendors_own_contract_is_there_to_check_against(name: str) -> None:
    if Contract.load(name) is None:
        pytest.skip(f"{PLACE / name} is not there: the fake vendor is checked by its own rules alone")


async def test_a_breach_of_the_vendors_contract_fails_the_test() -> None:
    contract = Contract.load(str(PagerDuty.contract_file))
    if contract is None:
        pytest.skip(f"no contracts in {PLACE}")
    body = json.dumps(EVENT | {"event_action": "page"}).encode()
    breach = Exchange(PagerDuty.contract_host, "POST", "/v2/enqueue", {}, body, 202, {"status": "success"})
    assert len(list(contract.violations(breach))) == 1
    wrong_answer = Exchange(PagerDuty.contract_host, "POST", "/v2/enqueue", {}, json.dumps(EVENT).encode(), 202, {})
    assert len(list(contract.violations(wrong_answer))) == 1
