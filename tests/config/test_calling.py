"""What a configuration says about calls, as the policies that are played."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sevrouter.config import ConsoleSettings, load
from sevrouter.domain.policy import Bridge, Limit, Provider, ProviderKind, Target
from sevrouter.domain.sev import Sev

GOOD = Path(__file__).parent / "good"


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def test_policies_say_who_is_called_and_the_list_says_by_what() -> None:
    configuration = load(GOOD / "call-by-policies.yaml")
    calling = configuration.routing.calling

    assert calling is not None
    service = ProviderKind.SERVICE
    assert calling.providers == (Provider("one", service), Provider("other", service), Provider("console", service))
    assert list(configuration.providers) == ["one", "other", "console"]
    assert configuration.providers["console"] == ConsoleSettings()
    assert calling.limits == (Limit(5, timedelta(hours=1)),)
    assert (calling.policy_of("payments").name, calling.policy_of("platform").name) == ("payments", "default")
    policy = calling.policy_of("payments")
    (step,) = policy.steps
    assert (step.targets, step.times) == ((Target(person="ana"), Target(person="ana")), 3)
    assert (step.every, step.then) == (minutes(1), minutes(1.5))
    assert (policy.repeat, policy.pause, policy.rings_on_rise) == (4, timedelta(hours=1), False)
    assert policy.ack_timeouts == {Sev.SEV_2: timedelta(hours=1)}
    assert policy.bridges == {Sev.SEV_1: Bridge("https://meet.example.com/1", "+4930123456,,77#")}


def test_what_is_left_out_is_as_it_is_promised() -> None:
    calling = load(GOOD / "warns-twilio-without-public-url.yaml").routing.calling

    assert calling is not None
    assert calling.providers == (Provider("twilio", ProviderKind.PHONE),)
    policy = calling.policy_of(None)
    (step,) = policy.steps
    assert (step.times, step.every, step.then) == (1, minutes(2), minutes(5))
    assert (policy.repeat, policy.pause, policy.rings_on_rise) == (1, minutes(15), True)
    assert policy.ack_timeouts == {Sev.SEV_1: minutes(30)}


@pytest.mark.parametrize("name", ["smallest", "call-as-a-list"])
def test_without_policies_the_paging_service_decides(name: str) -> None:
    configuration = load(GOOD / f"{name}.yaml")

    assert configuration.routing.calling is None
    assert list(configuration.integrations) == ["call"]
