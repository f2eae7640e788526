"""What a configuration says about calls: through what, in which steps, and to whom.

Each field's description holds its unit, its default and why. Must not know how anybody is called.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import time, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from sevrouter.config.bounds import between, lasting
from sevrouter.config.document import EACH
from sevrouter.config.fields import NOT_EMPTY, Duration, HowMany, Section, SevName, Text, Url, Zone
from sevrouter.config.problem import FieldError, did_you_mean
from sevrouter.config.providers import PHONES, name_of
from sevrouter.config.quantity import parse_duration
from sevrouter.domain import policy as domain
from sevrouter.domain.address import is_address
from sevrouter.domain.drill import DrillPlan
from sevrouter.domain.policy import DEFAULT, LIMITS, Calling, Limit, Provider, ProviderKind, Target
from sevrouter.domain.sev import Sev

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sevrouter.config.document import Document, Tree
    from sevrouter.config.problem import Problem, Steps
    from sevrouter.config.providers import AnyProvider
    from sevrouter.domain.ownership import Person

OFF = "off"
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_DIAL = re.compile(r"\+[1-9]\d{6,14}[0-9,;*#]{0,64}", re.ASCII)
_TARGET_HINT = "write the name of a person, or {on_call: the name of a schedule}"


def _dial(value: str) -> str:
    if _DIAL.fullmatch(value) is None:
        raise FieldError(f"{value!r} is not a dial string", "a number in E.164, and then digits, * # and , (a pause)")
    return value


def _target(value: object) -> Target:
    if isinstance(value, str) and value.strip():
        return Target(person=value)
    if isinstance(value, dict) and len(value) == 1:
        (key, name) = next(iter(value.items()))
        if key in ("person", "on_call") and isinstance(name, str) and name.strip():
            return Target(**{key: name})
    raise FieldError("is nobody to call", _TARGET_HINT)


def _time_of_day(value: object) -> time:
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise FieldError("is not a time of the day", "write '10:00', quoted")
    return time.fromisoformat(value)


def _timeout(value: object) -> timedelta | None:
    if not isinstance(value, str):
        raise FieldError("must be a duration, or off")
    if value == OFF:
        return None
    found = parse_duration(value)
    if found < timedelta(minutes=1):
        raise FieldError("is shorter than a minute (1m)", "write off to never ask again")
    return found


Pause = Annotated[Duration, lasting(timedelta(seconds=30), timedelta(days=1))]
TimeOfDay = Annotated[time, PlainValidator(_time_of_day), WithJsonSchema({"type": "string"})]
TargetText = Annotated[Target, PlainValidator(_target), WithJsonSchema({"type": ["string", "object"]})]
Timeout = Annotated[timedelta | None, PlainValidator(_timeout), WithJsonSchema({"type": "string"})]


class Step(Section):
    """People who are called at the same time."""

    targets: Annotated[tuple[TargetText, ...], NOT_EMPTY] = Field(
        description="Names of people, or {on_call: the name of a schedule}: whoever is on call then. Required."
    )
    times: Annotated[HowMany, between(1, 10)] = Field(1, description="How often they are called. Default: 1.")
    every: Pause = Field(
        timedelta(minutes=2), description="A duration, from 30s to 1d. Default: 2m. From one call to the next."
    )
    then: Pause = Field(
        timedelta(minutes=5),
        description="A duration, from 30s to 1d. Default: 5m. From the last call to the next step.",
    )


class Bridge(Section):
    """A standing conference."""

    url: Url | None = Field(None, description="An address to open. Default: none.")
    dial: Annotated[Text, AfterValidator(_dial)] | None = Field(
        None, description="A number to phone, with the keys to press then: +4930123456,,77#. Default: none."
    )


class Policy(Section):
    """Who is called for an incident until somebody owns it."""

    steps: Annotated[tuple[Step, ...], NOT_EMPTY] = Field(description="Who is called, in this order. Required.")
    repeat: Annotated[HowMany, between(1, 100)] = Field(1, description="How often all of it is done. Default: 1.")
    pause: Pause = Field(
        timedelta(minutes=15),
        description="A duration, from 30s to 1d. Default: 15m. Once nobody has answered, Slack is told loudly, and it "
        "starts over after this.",
    )
    ack_timeout: dict[SevName, Timeout] = Field(
        {Sev.SEV_1: timedelta(minutes=30)},
        description="For a SEV, after how long it is called again what somebody owns, or off. Default: {SEV-1: 30m}.",
    )
    rings_on_rise: bool = Field(
        True, description="Whether a rise of its SEV calls again what somebody owns already. Default: true."
    )
    bridge: dict[SevName, Bridge] = Field({}, description="The conference for each SEV. Default: none.")


class Drills(Section):
    """Calls while nothing is wrong, which prove that everybody with a phone is reached by every provider."""

    every: Annotated[Duration, lasting(timedelta(days=1), timedelta(days=366))] = Field(
        timedelta(days=7), description="A duration of days, from 1d to 366d. Default: 7d. How often each is called."
    )
    at: TimeOfDay = Field(description="The time of the day, as 10:00, by the clock of `timezone`. Required.")
    timezone: Zone = Field(description="The time zone, as Europe/Berlin. Required.")


class CallLimit(Section):
    """No more than so many calls to one person within a time."""

    calls: Annotated[HowMany, between(1, 1_000)] = Field(description="How many. Required.")
    within: Pause = Field(description="A duration, from 30s to 1d. Required.")


Policies = dict[str, Policy]
CALL_LIMITS = tuple(CallLimit.model_construct(calls=each.calls, within=each.within) for each in LIMITS)


def calling(
    policies: Mapping[str, Policy],
    *,
    providers: tuple[AnyProvider, ...],
    of_teams: Mapping[str, str],
    people: Mapping[str, Person],
    limits: tuple[CallLimit, ...],
) -> Calling | None:
    """Who is called and by what; None where no policy says it."""
    if not policies:
        return None
    return Calling(
        policies={name: _policy(name, each) for name, each in policies.items()},
        of_teams=of_teams,
        providers=tuple(Provider(name_of(each), _kind(each)) for each in providers),
        people=people,
        limits=tuple(Limit(each.calls, each.within) for each in limits),
    )


def drill_plan(drills: Drills | None) -> DrillPlan | None:
    """When everybody is called while nothing is wrong."""
    return None if drills is None else DrillPlan(every=drills.every, at=drills.at, zone=drills.timezone)


def _kind(provider: AnyProvider) -> ProviderKind:
    return ProviderKind.PHONE if provider.type in PHONES else ProviderKind.SERVICE


def _policy(name: str, policy: Policy) -> domain.Policy:
    return domain.Policy(
        name=name,
        steps=tuple(
            domain.Step(each.targets, times=each.times, every=each.every, then=each.then) for each in policy.steps
        ),
        repeat=policy.repeat,
        pause=policy.pause,
        ack_timeouts={sev: after for sev, after in policy.ack_timeout.items() if after is not None},
        rings_on_rise=policy.rings_on_rise,
        bridges={sev: domain.Bridge(each.url, each.dial) for sev, each in policy.bridge.items()},
    )


def providers_of(document: Document) -> list[tuple[Steps, Mapping[str, Tree]]]:
    """The entries of `integrations.call`, whether it is a list or one of them."""
    is_list = isinstance(document.at("integrations", "call"), list)
    found = document.find("integrations", "call", *([EACH] if is_list else []))
    return [(steps, each) for steps, each in found if isinstance(each, dict)]


def check_calling(document: Document) -> Iterator[Problem]:
    """Names that nothing defines, and what can never call anybody."""
    providers, policies = providers_of(document), _section(document, "policies")
    yield from _providers(document, providers, has_policies=bool(policies))
    if policies and DEFAULT not in policies:
        yield document.problem(("policies",), f"needs one of the name {DEFAULT!r}, for who has no other", at_key=True)
    for steps, name in document.find("teams", EACH, "policy"):
        if isinstance(name, str) and name and name not in policies:
            hint = did_you_mean(name, list(policies)) or "define it under policies"
            yield document.problem(steps, f"the policy {name!r} is not defined", hint=hint)
    people, schedules = _section(document, "people"), _section(document, "on_call")
    only_phones = bool(providers) and all(str(each.get("type")) in PHONES for _, each in providers)
    for steps, target in document.find("policies", EACH, "steps", EACH, "targets", EACH):
        yield from _named(document, steps, target, people, schedules, only_phones=only_phones)


def _providers(
    document: Document, providers: list[tuple[Steps, Mapping[str, Tree]]], *, has_policies: bool
) -> Iterator[Problem]:
    names = Counter(str(each.get("name", each.get("type"))) for _, each in providers)
    for steps, each in providers:
        called = str(each.get("name", each.get("type")))
        if names[called] > 1:
            hint = "give each a name of its own"
            yield document.problem(steps, f"more than one provider is called {called!r}", hint=hint)
            break
    yield from _pagertrees(document, providers)
    for steps, each in providers:
        if each.get("type") == "sip" and each.keys() & {"password_file", "password"} and "username" not in each:
            yield document.problem((*steps, "username"), "is missing: whose password is it?", at_key=True)
        if each.get("type") == "sip" and each.get("transport") == "tls" and is_address(str(each.get("server", ""))):
            hint = "write the name that is in its certificate"
            yield document.problem((*steps, "server"), "by TLS a server has to be named", hint=hint)
    has_phones = any(str(each.get("type")) in PHONES for _, each in providers)
    if (len(providers) > 1 or has_phones) and not has_policies:
        hint = "policies: {default: {steps: [{targets: [ana]}]}}"
        yield document.problem(("integrations", "call"), "whom to call? policies is missing", hint=hint, at_key=True)
    elif has_policies and not providers:
        yield document.problem(("policies",), "nothing to call through: integrations.call is missing", at_key=True)
    if document.at("drills") is not None and not has_phones:
        hint = "a paging service has tests of its own"
        yield document.problem(("drills",), "no provider here phones anybody", hint=hint, at_key=True)


def _pagertrees(document: Document, providers: list[tuple[Steps, Mapping[str, Tree]]]) -> Iterator[Problem]:
    api, integration = {"api_token_file", "api_token"}, {"integration_url_file", "integration_url"}
    destinations = {"teams", "routers", "account_users"}
    for steps, each in providers:
        if each.get("type") != "pagertree":
            continue
        if bool(each.keys() & api) == bool(each.keys() & integration):
            hint = "api_token_file for its API, integration_url_file for a webhook integration"
            yield document.problem(steps, "needs exactly one of a token and an integration", hint=hint)
        elif each.keys() & api and not each.keys() & destinations:
            yield document.problem(steps, f"calls nobody: needs one of {', '.join(sorted(destinations))}")


def _named(
    document: Document,
    steps: Steps,
    target: Tree,
    people: Mapping[str, Tree],
    schedules: Mapping[str, Tree],
    *,
    only_phones: bool,
) -> Iterator[Problem]:
    if isinstance(target, dict) and isinstance(name := target.get("on_call"), str) and name not in schedules:
        hint = did_you_mean(name, list(schedules)) or "define it under on_call"
        yield document.problem((*steps, "on_call"), f"the schedule {name!r} is not defined", hint=hint)
    person = target.get("person") if isinstance(target, dict) else target
    if not isinstance(person, str) or not person:
        return
    if person not in people:
        hint = did_you_mean(person, list(people)) or "define it under people"
        yield document.problem(steps, f"the person {person!r} is not defined", hint=hint)
    elif only_phones and isinstance(known := people[person], dict) and "phone" not in known:
        yield document.problem(steps, f"{person!r} cannot be called", hint=f"set people.{person}.phone")


def _section(document: Document, name: str) -> Mapping[str, Tree]:
    tree = document.at(name)
    return tree if isinstance(tree, dict) else {}
