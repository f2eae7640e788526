"""A real telephone call, from an alert to its acknowledgement: SIP, speech, and a key that is pressed in the call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sevrouter.notifiers.speaking import Speech, espeak
from tests.real.phone import Phone, likeness
from tests.real.sevrouter import Sevrouter
from tests.scenarios.alerts import critical, one

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenarios.team import Team

ALIKE = 0.98
BRIDGE = "+49303333333"


@pytest_asyncio.fixture
async def phone(tmp_path: Path, baresip: None) -> AsyncIterator[Phone]:
    """Everybody's telephone, and the server that it hangs on."""
    async with Phone(tmp_path / "telephone") as started:
        yield started


@pytest.fixture
def process(team: Team, phone: Phone, espeak_binary: Path) -> Sevrouter:
    """sevrouter that calls Ana and Ben at the same time, without an address that anybody could reach."""
    services = {name: each for name, each in team.settings()["integrations"].items() if name != "call"}
    provider: dict[str, Any] = {
        "type": "sip",
        "server": phone.server,
        "interface": "127.0.0.1",
        "caller": "+4930999",
        "speech": list(espeak(program=str(espeak_binary))),
    }
    team.configure(
        people={"ana": {"phone": "+49301111111"}, "ben": {"phone": "+49302222222"}},
        teams={"payments": {"slack": {"channel": "C0PAY"}, "jira": {"project": "PAY"}}},
        default_owner="payments",
        policies={"default": {"steps": [{"targets": ["ana", "ben"], "every": "30s", "then": "30s"}]}},
        integrations=services | {"call": provider},
    )
    return Sevrouter(team.config, directory=team.folder / "run")


async def test_two_real_phones_ring_at_once_and_one_key_owns_the_incident(
    process: Sevrouter, team: Team, phone: Phone, espeak_binary: Path
) -> None:
    async with process as sevrouter:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        # Both ring before either is answered.
        await asyncio.gather(phone.expect("rings", call=1), phone.expect("rings", call=2))
        await phone.answer(call=1)
        await phone.expect_heard(4, call=1)
        await phone.press("1", call=1)
        await team.vendors.slack.expect_reply(message, r"acknowledged by (ana|ben) \(phone\)")
        # Who did not answer is rung no more, and who did hears that it is theirs.
        await phone.expect("over", call=2)
        await phone.expect("over", call=1)
        await sevrouter.wait_for_log("called", end="acknowledged")
        await sevrouter.wait_for_log("called", end="cancelled")
        said = await Speech(espeak(program=str(espeak_binary))).speak("Thank you. You own it now. Good bye.")
        assert likeness(phone.recording(call=1), said) > ALIKE
        metrics = await sevrouter.metrics()
        assert metrics.metric("sevrouter_incidents", sev="SEV-2", state="acknowledged") == 1
        assert metrics.metric("sevrouter_calls_total", provider="sip", outcome="acknowledged") == 1
    assert phone.rung == 2


async def test_who_is_busy_is_called_again_and_who_passes_it_on_is_not_the_last(
    process: Sevrouter, team: Team, phone: Phone
) -> None:
    async with process as sevrouter:
        assert (await sevrouter.post(one(critical()))).status == 200
        message = await team.vendors.slack.expect_message("SEV-2", channel="C0PAY")
        await phone.reject(call=1)
        await phone.answer(call=2)
        await phone.expect_heard(2, call=2)
        await phone.press("3", call=2)
        await sevrouter.wait_for_log("called", end="busy")
        await sevrouter.wait_for_log("called", end="passed_on")
        assert await sevrouter.metric("sevrouter_incidents", sev="SEV-2", state="triggered") == 1
        # Nobody has answered: it is said loudly, and it starts over.
        await team.vendors.slack.expect_reply(message, "nobody has acknowledged this", within=60)
        assert await sevrouter.metric("sevrouter_unanswered_incidents") == 1
