"""Calls on the real daemon: phones ring by a policy until somebody owns it, through a Twilio that signs callbacks."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import aiohttp
import pytest

from tests.real.payloads import webhook
from tests.real.sevrouter import Sevrouter
from tests.scenarios.alerts import affected, critical, one
from tests.standins.fixtures import pagerduty_api, twilio
from tests.standins.pagerduty import API_TOKEN
from tests.standins.slack import APP_TOKEN, SIGNING_SECRET, buttons_of
from tests.standins.twilio import ACCOUNT_SID, AUTH_TOKEN, CALLER
from tests.standins.twilio_call import Person

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.scenarios.team import Team
    from tests.standins.pagerduty import PagerDutyApi
    from tests.standins.twilio import Twilio

    Command = Callable[..., Awaitable[int]]

__all__ = ["pagerduty_api", "twilio"]

SECRET = "a-webhook-secret-of-the-tests"
ANA, BEN = "+49301111111", "+49302222222"
PEOPLE = {"ana": {"phone": ANA, "slack": "U0ANA"}, "ben": {"phone": BEN}, "eve": {}}
ROTATION = {
    "rotation": {"people": ["ben"], "starts": "2026-01-05T09:00", "timezone": "Europe/Berlin", "every": "1w"},
    "fallback": ["ana"],
}
POLICY = {
    "steps": [{"targets": ["ana", {"on_call": "shop"}], "times": 2, "every": "30s", "then": "30s"}],
    "bridge": {"SEV-2": {"url": "https://bridge.example.com/2", "dial": "+49303333333,,2#"}},
}


def calls(team: Team, twilio: Twilio, public_url: str | None, **changes: Any) -> None:
    """Have the team call by a policy: through Twilio first, and through PagerDuty where that cannot."""
    (team.folder / "twilio").write_text(AUTH_TOKEN + "\n")
    (team.folder / "pagerduty-webhooks").write_text(SECRET + "\n")
    (team.folder / "slack-signing").write_text(SIGNING_SECRET + "\n")
    services = {name: each for name, each in team.settings()["integrations"].items() if name != "call"}
    services["slack"]["signing_secret_file"] = "slack-signing"
    settings = {
        "people": PEOPLE,
        "teams": {"payments": {"slack": {"channel": "C0PAY", "mention": "S0PAY"}, "jira": {"project": "PAY"}}},
        "default_owner": "payments",
        "on_call": {"shop": ROTATION},
        "policies": {"default": POLICY},
        "integrations": services
        | {
            "call": [
                {
                    "type": "twilio",
                    "name": "main-line",
                    "url": twilio.url,
                    "account_sid": ACCOUNT_SID,
                    "auth_token_file": "twilio",
                    "caller": CALLER,
                },
                {
                    "type": "pagerduty",
                    "url": team.vendors.pagerduty.url,
                    "routing_key_file": "pagerduty",
                    "webhook_secret_files": ["pagerduty-webhooks"],
                },
            ]
        },
    }
    team.configure(**settings | ({"public_url": public_url} if public_url else {}) | changes)


@pytest.fixture
def sevrouter_command(team: Team) -> Command:
    """The command line with the team's configuration: its exit code."""

    async def run(*arguments: str) -> int:
        command = (sys.executable, "-m", "sevrouter", "--config", str(team.config), *arguments)
        ended = await asyncio.create_subprocess_exec(*command)
        return await ended.wait()

    return run


@pytest.fixture
def process(team: Team, twilio: Twilio) -> Sevrouter:
    """sevrouter that calls; not started."""
    twilio.every = 0.0
    process = Sevrouter(team.config, directory=team.folder / "run")
    calls(team, twilio, process.url)
    return process


async def test_two_phones_ring_at_once_and_who_presses_one_owns_it(
    process: Sevrouter, team: Team, twilio: Twilio
) -> None:
    async with process as sevrouter:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        ana, ben = await twilio.expect_call(ANA), await twilio.expect_call(BEN)
        await ben.until("ringing")
        ana.answer()
        await ana.until_heard("Press 1 to acknowledge, 2 to hear it again, 3 to pass it on, 4 to be connected")
        assert "SEV-2, on checkout. Checkout fails for some customers" in ana.text
        assert "It is a SEV-2 because" in ana.text
        ana.press("1")
        await ana.until_heard("You own it now. Press 4 to be connected to the bridge.")
        ana.press("4")
        # Whose phone still rings is rung no more.
        await ben.until("canceled")
        await ana.until("completed")
        assert ana.dialled == [("+49303333333", "wwwwwwww2#")]
        await team.vendors.slack.expect_reply(message, "acknowledged by ana")
        await sevrouter.wait_for_log("called", person="ana", end="acknowledged")
        metrics = await sevrouter.metrics()
        assert metrics.metric("sevrouter_incidents", sev="SEV-2", state="acknowledged") == 1
        assert metrics.metric("sevrouter_calls_total", provider="main-line", outcome="acknowledged") == 1
        assert (await sevrouter.post(one(critical(status="resolved")))).status == 200
        await team.vendors.slack.expect_reply(message, "resolved")
    assert ana.errors == []


async def test_a_key_that_somebody_else_presses_is_nobodys(process: Sevrouter, team: Team, twilio: Twilio) -> None:
    async with process as sevrouter, aiohttp.ClientSession() as session:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        ana, ben = await twilio.expect_call(ANA), await twilio.expect_call(BEN)
        await asyncio.gather(ana.until("ringing"), ben.until("ringing"))
        address = ana.form["StatusCallback"][0].replace("/progress", "/pressed")
        async with session.post(address, data={"Digits": "1", "CallSid": ana.sid}) as answer:
            assert answer.status == 403
        signed = {"X-Twilio-Signature": "c2lnbmVkIGJ5IG1lLCBub3QgYnkgdGhlbSE="}
        async with session.post(address, data={"Digits": "1", "CallSid": ana.sid}, headers=signed) as answer:
            assert answer.status == 403
        metrics = await sevrouter.metrics()
        assert metrics.metric("sevrouter_incidents", sev="SEV-2", state="triggered") == 1
        assert (ana.status, ben.status) == ("ringing", "ringing")
        # The rightful one is heard all the same.
        ben.press("1")
        await ana.until("canceled")
        await team.vendors.slack.expect_reply(message, "acknowledged by ben")
        ben.hang_up()


async def test_a_call_goes_on_after_the_daemon_was_killed(process: Sevrouter, team: Team, twilio: Twilio) -> None:
    async with process as sevrouter:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        ana, ben = await twilio.expect_call(ANA), await twilio.expect_call(BEN)
        await asyncio.gather(ana.until("ringing"), ben.until("ringing"))
        await sevrouter.kill9()
        await sevrouter.start()
        ben.press("1")
        await ben.until_heard("You own it now")
        await ana.until("canceled")
        await team.vendors.slack.expect_reply(message, "acknowledged by ben")
        ben.hang_up()
        metrics = await sevrouter.metrics()
        assert metrics.metric("sevrouter_incidents", sev="SEV-2", state="acknowledged") == 1


@pytest.mark.parametrize("seed", range(2))
async def test_whenever_it_is_killed_a_phone_rings_once_and_never_more_than_twice(
    process: Sevrouter, team: Team, twilio: Twilio, seed: int
) -> None:
    # What it says on Slack is another story; here it is killed there, too.
    calls(team, twilio, process.url, responses={"SEV-1": ["call"], "SEV-2": ["call"]})
    delays = random.Random(seed)  # noqa: S311  no secret is made of it
    async with process as sevrouter:
        for _ in range(4):
            posted = asyncio.create_task(sevrouter.post(one(critical())))
            await asyncio.sleep(delays.uniform(0, 0.12))  # somewhere between two steps; where does not matter
            await sevrouter.kill9()
            await asyncio.gather(posted, return_exceptions=True)
            await sevrouter.start()
        # Alertmanager sends again what it was not thanked for.
        assert (await sevrouter.post(one(critical()))).status == 200
        await sevrouter.poll(lambda: is_called(twilio, ANA), "has called nobody", within=60)
        placed = [each for each in twilio.effects if each.to == ANA]
        assert 1 <= len(placed) <= 2
        next(each for each in placed if not each.is_over).press("1")
        await sevrouter.poll(lambda: owned(sevrouter, 1, sev="SEV-2"), "was not owned by a key", within=60)
        for each in twilio.effects:
            each.claimed = True
        assert sum(each.to == BEN for each in twilio.effects) <= 2


async def test_a_key_is_heard_by_whichever_replica_is_left(
    process: Sevrouter, team: Team, twilio: Twilio, postgres_database: str
) -> None:
    parts = urlsplit(postgres_database)
    (team.folder / "password").write_text(unquote(parts.password or ""))
    address = f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}"
    store = {"url": address, "password_file": "password", "tls": {"mode": "disable"}}
    other = Sevrouter(team.config, directory=team.folder / "other")
    calls(team, twilio, other.url, store=store, responses={"SEV-1": ["call"], "SEV-2": ["call"]})
    async with other, process as first:
        assert (await first.post(one(critical()))).status == 200
        ana, ben = await twilio.expect_call(ANA), await twilio.expect_call(BEN)
        await asyncio.gather(ana.until("ringing"), ben.until("ringing"))
        # Who took the alert is gone, and with it perhaps who rings; what is pressed comes to the other one.
        await first.kill9()
        ana.press("1")
        await other.wait_for_log("incident_acknowledged", by="ana")
        ana.hang_up()
        ben.decline()
        assert await other.metric("sevrouter_incidents", sev="SEV-2", state="acknowledged") == 1
    assert len(twilio.effects) == 2


async def is_called(twilio: Twilio, number: str) -> bool:
    """Whether somebody's phone rings."""
    return any(each.to == number and each.status == "ringing" for each in twilio.effects)


async def test_the_command_line_owns_what_rings(
    process: Sevrouter, team: Team, twilio: Twilio, sevrouter_command: Command
) -> None:
    async with process as sevrouter:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        ana, ben = await twilio.expect_call(ANA), await twilio.expect_call(BEN)
        await asyncio.gather(ana.until("ringing"), ben.until("ringing"))
        assert await sevrouter_command("ack", "1", "--by", "eve") == 0
        await asyncio.gather(ana.until("canceled"), ben.until("canceled"))
        await team.vendors.slack.expect_reply(message, r"acknowledged by eve \(cli\)")


async def test_a_button_on_slack_owns_what_rings(process: Sevrouter, team: Team, twilio: Twilio) -> None:
    async with process as sevrouter:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        ana, ben = await twilio.expect_call(ANA), await twilio.expect_call(BEN)
        await asyncio.gather(ana.until("ringing"), ben.until("ringing"))
        assert await team.vendors.slack.press(message, f"{sevrouter.url}/callbacks/slack") == 200
        await asyncio.gather(ana.until("canceled"), ben.until("canceled"))
        await team.vendors.slack.expect_reply(message, r"acknowledged by ana \(slack\)")
        # Whoever presses it afterwards hears whose it is.
        assert await team.vendors.slack.press(message, f"{sevrouter.url}/callbacks/slack", user="U0BEN") == 200
        await team.vendors.slack.until(lambda: bool(team.vendors.slack.shown))
        assert team.vendors.slack.shown[0].text == "ana owns it already (slack)."
        assert await team.vendors.slack.press(message, f"{sevrouter.url}/callbacks/slack", action="explain") == 200
        await team.vendors.slack.until(lambda: len(team.vendors.slack.shown) == 2)
        assert "SEV-2 by rule" in team.vendors.slack.shown[1].text
        edited = await team.vendors.slack.expect_edit(message, "acknowledged")
        assert [each["action_id"] for each in buttons_of(edited)] == ["resolve", "explain"]
        assert await team.vendors.slack.press(edited, f"{sevrouter.url}/callbacks/slack", action="resolve") == 200
        await team.vendors.slack.until(lambda: len(team.vendors.slack.shown) == 3)
        assert "It still fires: ana owns it" in team.vendors.slack.shown[2].text


async def test_a_shadow_calls_nobody(team: Team, twilio: Twilio) -> None:
    shadow = Sevrouter(team.config, directory=team.folder / "shadow", arguments=["--shadow"])
    calls(team, twilio, shadow.url)
    async with shadow:
        assert (await shadow.post(one(critical()))).status == 200
        await shadow.wait_for_log("would_deliver", integration="call")
        await shadow.wait_for_log("would_deliver", integration="slack")
        assert await shadow.metric("sevrouter_unanswered_incidents") == 0
    assert twilio.requests == []


async def test_a_policy_may_be_taken_up_while_it_runs(process: Sevrouter, team: Team, twilio: Twilio) -> None:
    team.configure()
    async with process as sevrouter:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        call = await team.vendors.pagerduty.expect_call("SEV-2", severity="critical")
        calls(team, twilio, process.url)
        assert (await sevrouter.post(b"", path="/-/reload")).status == 200
        # What was told to the service before goes on there; what is new is called for by the policy.
        assert (await sevrouter.post(one(affected("40%", service="search")))).status == 200
        await team.vendors.slack.expect_message("SEV-1", channel="C0PAY")
        ana, ben = await twilio.expect_call(ANA), await twilio.expect_call(BEN)
        ana.press("1")
        await ben.until("canceled")
        ana.hang_up()
        await sevrouter.wait_for_log("incident_acknowledged", by="ana")
        for each in team.vendors.slack.messages:
            each.claimed = True
        assert (message.channel, call.summary != "") == ("C0PAY", True)


async def test_a_drill_calls_somebody_and_its_success_is_a_metric(
    process: Sevrouter, twilio: Twilio, sevrouter_command: Command
) -> None:
    twilio.people[ANA] = Person(answers=True, keys=("1",))
    async with process as sevrouter:
        name, labels = "sevrouter_drill_last_success_timestamp_seconds", {"person": "ana", "provider": "main-line"}
        assert await sevrouter.metric(name, **labels) == 0
        assert await sevrouter_command("drill", "--person", "ana") == 0
        ana = await twilio.expect_call(ANA)
        assert "This is a drill by sevrouter: nothing is wrong." in ana.text
        assert time.time() - await sevrouter.metric(name, **labels) < 60
        # Who does not answer has not confirmed it.
        twilio.people[BEN] = Person(answers=False, status="busy")
        assert await sevrouter_command("drill", "--person", "ben") == 1
        await twilio.expect_call(BEN)
        assert await sevrouter.metric(name, person="ben", provider="main-line") == 0


async def test_ten_thousand_major_incidents_ring_once_and_one_key_owns_them_all(
    process: Sevrouter, team: Team, twilio: Twilio
) -> None:
    everything = [affected("40%", service=f"service-{number}") for number in range(10_000)]
    calls(team, twilio, process.url, responses={"SEV-1": ["call"], "SEV-2": ["call"]})
    async with process as sevrouter:
        assert (await sevrouter.post(webhook(everything))).status == 200
        ana, ben = await twilio.expect_call(ANA), await twilio.expect_call(BEN)
        await sevrouter.poll(lambda: taken(sevrouter, 10_000), "has not taken all of them", within=60)
        # What came since the call was asked for joins it: whoever listens is told all of it.
        ana.answer()
        ana.be_silent()
        await ana.until_heard("And 9999 more incidents, the worst a SEV-1 on")
        ana.press("1")
        await ana.until_heard("Thank you. You own all 10000 now.")
        ana.hang_up()
        await ben.until("canceled")
        await sevrouter.poll(lambda: owned(sevrouter, 10_000), "has lost some of them", within=60)
        # Nobody was called a second time, and nothing is left that could ring.
        assert len(twilio.effects) == 2
        assert await sevrouter.metric("sevrouter_incidents", sev="SEV-1", state="triggered") == 0


async def taken(sevrouter: Sevrouter, count: int) -> bool:
    """Whether the calls of so many incidents were begun."""
    done = await sevrouter.metric("sevrouter_deliveries_total", integration="call", outcome="delivered")
    return done >= count


async def owned(sevrouter: Sevrouter, count: int, *, sev: str = "SEV-1") -> bool:
    """Whether so many incidents are somebody's."""
    return await sevrouter.metric("sevrouter_incidents", sev=sev, state="acknowledged") == count


async def test_a_button_is_heard_over_a_connection_of_ours(process: Sevrouter, team: Team, twilio: Twilio) -> None:
    (team.folder / "slack-app").write_text(APP_TOKEN + "\n")
    settings = json.loads(team.config.read_text())
    del settings["integrations"]["slack"]["signing_secret_file"], settings["public_url"]
    settings["integrations"]["slack"]["app_token_file"] = "slack-app"
    team.config.write_text(json.dumps(settings))
    async with process as sevrouter:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        ana, ben = await twilio.expect_call(ANA), await twilio.expect_call(BEN)
        await asyncio.gather(ana.until("ringing"), ben.until("ringing"))
        await team.vendors.slack.press_by_socket(message)
        await team.vendors.slack.until(lambda: len(team.vendors.slack.acknowledged) == 1)
        await asyncio.gather(ana.until("canceled"), ben.until("canceled"))
        await team.vendors.slack.expect_reply(message, r"acknowledged by ana \(slack\)")


async def test_who_owns_it_at_pagerduty_is_asked_where_it_cannot_tell_us(
    process: Sevrouter, team: Team, pagerduty_api: PagerDutyApi
) -> None:
    (team.folder / "pagerduty-api").write_text(API_TOKEN + "\n")
    settings = json.loads(team.config.read_text())
    service = settings["integrations"]["call"][1]
    del service["webhook_secret_files"]
    settings["integrations"]["call"] = service | {"api_url": pagerduty_api.url, "api_token_file": "pagerduty-api"}
    team.config.write_text(json.dumps(settings))
    async with process as sevrouter:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        call = await team.vendors.pagerduty.expect_call("SEV-2.*checkout", severity="critical")
        await team.vendors.pagerduty.acknowledge(call.dedup_key)
        reply = r"acknowledged by Ana Example \(pagerduty\)"
        await team.vendors.slack.expect_reply(message, reply, within=45)


async def test_a_drill_that_is_due_is_begun_by_itself(process: Sevrouter, team: Team, twilio: Twilio) -> None:
    # A minute ago, so that it is due whenever this is run, but for the first minute of a day.
    due = datetime.now(UTC) - timedelta(minutes=1)
    calls(team, twilio, process.url, drills={"at": f"{due:%H:%M}", "timezone": "UTC"})
    twilio.people |= {ANA: Person(answers=True, keys=("1",)), BEN: Person(answers=False)}
    async with process as sevrouter:
        ana, _ = await twilio.expect_call(ANA), await twilio.expect_call(BEN)
        await sevrouter.wait_for_log("drilled", person="ana", end="acknowledged")
        await sevrouter.wait_for_log("drilled", person="ben", end="no_answer")
        assert "This is a drill" in ana.text
        # Who has been called is not called again.
        await sevrouter.restart()
        await sevrouter.wait_for_log("started")
    assert len(twilio.effects) == 2


async def test_where_twilio_is_down_pagerduty_is_told(process: Sevrouter, team: Team, twilio: Twilio) -> None:
    await twilio.go_down()
    async with process as sevrouter:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        call = await team.vendors.pagerduty.expect_call("SEV-2.*checkout", severity="critical", within=60)
        await sevrouter.wait_for_log("delivered", integration="pagerduty")
        metrics = await sevrouter.metrics()
        assert metrics.metric("sevrouter_deliveries_total", integration="pagerduty", outcome="delivered") == 1
        # Who owns it there owns it here, which is told on Slack, and not there again.
        team.vendors.pagerduty.subscriptions = [(f"{sevrouter.url}/callbacks/pagerduty/pagerduty", SECRET)]
        assert await team.vendors.pagerduty.acknowledge(call.dedup_key) == [200]
        await team.vendors.slack.expect_reply(message, r"acknowledged by Ana Example \(pagerduty\)")
        assert (await sevrouter.post(one(critical(status="resolved")))).status == 200
        await team.vendors.pagerduty.expect_resolve(call.dedup_key)
        await team.vendors.slack.expect_reply(message, "resolved")
