"""What is allowed and probably not meant: warnings about a configuration that is otherwise valid.

Knows the domain's words; must not refuse anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.config.problem import Level, Problem, Steps
from sevrouter.config.providers import PHONES
from sevrouter.domain.delivery import CALL
from sevrouter.domain.labels import Matcher, MatchOp, all_match
from sevrouter.domain.measure import Threshold, parse_threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sevrouter.config.document import Document
    from sevrouter.config.schema import Heartbeat, Root, Rule
    from sevrouter.domain.sev import Sev

_UPWARD = {">", ">="}
_INCLUSIVE = {">=", "<="}


def find_doubts(document: Document, root: Root) -> Iterator[Problem]:
    """Every warning about a configuration that passed the schema."""
    for steps, message, hint in _doubts(root):
        yield document.problem(steps, message, hint=hint, level=Level.WARNING, at_key=True)


Doubt = tuple[Steps, str, str]


def _doubts(root: Root) -> Iterator[Doubt]:
    for index, rule in enumerate(root.rules):
        yield from _rule(("rules", index), rule)
    for index, system in enumerate(root.systems):
        yield from _never(("systems", index), system.matchers)
        yield from _mixed(("systems", index), system.matchers, root.incidents.group_by)
    for index, heartbeat in enumerate(root.heartbeats):
        yield from _heartbeat(("heartbeats", index), heartbeat, root)
    yield from _unheard(root)
    yield from _phones(root)
    if root.store.lock_timeout >= root.store.statement_timeout:
        message = f"is never reached: a statement is ended after {root.store.statement_timeout.total_seconds():g}s"
        yield ("store", "lock_timeout"), message, "make it shorter than statement_timeout"


def _phones(root: Root) -> Iterator[Doubt]:
    providers = root.integrations.call or ()
    if root.public_url is None and any(each.type == "twilio" for each in providers):
        message = "calls by Twilio, and without public_url no key can be pressed in them"
        yield ("integrations", "call"), message, "set public_url, or acknowledge on Slack"
    # Where there are only phones it is refused.
    if len({each.type in PHONES for each in providers}) < 2:
        return
    for name, policy in root.policies.items():
        for number, step in enumerate(policy.steps):
            for place, target in enumerate(step.targets):
                person = root.people.get(target.person or "")
                if person is not None and person.phone is None:
                    message = f"{target.person!r} has no phone, and is called by no phone"
                    yield ("policies", name, "steps", number, "targets", place), message, ""


def _rule(steps: Steps, rule: Rule) -> Iterator[Doubt]:
    yield from _never(steps, rule.matchers)
    if not rule.matchers and rule.sev is None and "sev" in rule.model_fields_set:
        message = "says of every alert that it is not an incident"
        yield (*steps, "sev"), message, "give it matchers; every grade of another rule disagrees with it"
    thresholds = sorted_thresholds(rule)
    for number, lesser in enumerate(thresholds):
        shadow = next((worse for worse in thresholds[:number] if _is_implied(lesser, worse)), None)
        if shadow is not None:
            message = f"is never reached: whatever is {lesser.text} is {shadow.text}, which is {shadow.sev}"
            yield (*steps, "thresholds", str(lesser.sev)), message, ""


def _heartbeat(steps: Steps, heartbeat: Heartbeat, root: Root) -> Iterator[Doubt]:
    yield from _never(steps, heartbeat.matchers)
    if all_match(heartbeat.matchers, {}):
        message = "are met by alerts that have none of these labels: they would be beats, and no incidents"
        yield (*steps, "matchers"), message, 'name what has to keep arriving: alertname="Watchdog"'
    if not root.responses.get(heartbeat.missed):
        message = f"{heartbeat.missed} has no response: nobody would be told that it stays away"
        yield (*steps, "missed"), message, f"add {heartbeat.missed} to responses"


def sorted_thresholds(rule: Rule) -> tuple[Threshold, ...]:
    """The thresholds of a rule, the worst SEV's first. Raises ValueError where one cannot be read."""
    parsed = [parse_threshold(sev, text) for sev, text in (rule.thresholds or {}).items()]
    return tuple(sorted(parsed, key=lambda each: each.sev.value))


def _is_implied(lesser: Threshold, worse: Threshold) -> bool:
    """Whether every number that crosses `lesser` crosses `worse` too."""
    if lesser.operator == "==":
        return worse.is_crossed_by(lesser.bound)
    upward = lesser.operator in _UPWARD
    if worse.operator == "==" or (worse.operator in _UPWARD) is not upward:
        return False
    if lesser.operator in _INCLUSIVE:
        return worse.is_crossed_by(lesser.bound)
    return worse.bound <= lesser.bound if upward else worse.bound >= lesser.bound


def _never(steps: Steps, matchers: Sequence[Matcher]) -> Iterator[Doubt]:
    pair = contradiction(matchers)
    if pair is not None:
        yield (*steps, "matchers"), f"can never match: {pair[0]} and {pair[1]} exclude each other", ""


def contradiction(matchers: Sequence[Matcher]) -> tuple[Matcher, Matcher] | None:
    """Two of the matchers that no label value meets both, as far as that is easy to see."""
    fixed: dict[str, Matcher] = {}
    for each in matchers:
        if each.op is MatchOp.EQUAL:
            fixed.setdefault(each.name, each)
    for each in matchers:
        one = fixed.get(each.name)
        if one is not None and not each.matches({one.name: one.value}):
            return one, each
    wanted = {(each.name, each.value): each for each in matchers if each.op is MatchOp.REGEX}
    unwanted = (each for each in matchers if each.op is MatchOp.NOT_REGEX)
    return next(((wanted[key], each) for each in unwanted if (key := (each.name, each.value)) in wanted), None)


def _mixed(steps: Steps, matchers: Sequence[Matcher], group_by: Sequence[str]) -> Iterator[Doubt]:
    apart = sorted({each.name for each in matchers} - set(group_by))
    if apart:
        message = f"matches by {', '.join(apart)}, which incidents.group_by does not hold"
        hint = "alerts of two systems could become one incident, which the first of them owns; add it to group_by"
        yield (*steps, "matchers"), message, hint


def _unheard(root: Root) -> Iterator[Doubt]:
    if not root.responses.get(root.unmatched):
        message = f"{root.unmatched} of an alert that no rule matches has no response: nobody would be told"
        yield ("unmatched",) if "unmatched" in root.model_fields_set else ("responses",), message, ""
    for sev in sorted(_possible(root), key=lambda sev: sev.value):
        told = root.responses.get(sev)
        if sev.is_major and CALL not in (told or ()):
            steps: Steps = ("responses",) if told is None else ("responses", str(sev))
            yield steps, f"{sev} is a major incident and triggers no call", f"add {CALL} to {sev}"
        elif told is None and sev is not root.unmatched:
            yield ("responses",), f"rules give {sev}, which has no response", f"write {sev}: [] where that is meant"


def _possible(root: Root) -> set[Sev]:
    """Every SEV that can come out, and every one that has a response."""
    found = {root.unmatched, *root.responses}
    for rule in root.rules:
        found |= {rule.sev} if rule.sev is not None else set()
        found |= set(rule.thresholds or {}) | {sev for sev in (rule.values or {}).values() if sev is not None}
    return found
