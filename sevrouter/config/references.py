"""Names that must exist elsewhere in the configuration, and names that must be there once.

Checked on what is written, so that an undefined team is reported in the same run as a mistake anywhere else.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sevrouter.config.document import EACH, Document, Tree
from sevrouter.config.problem import Level, Problem, did_you_mean
from sevrouter.domain.delivery import INTEGRATIONS
from sevrouter.domain.labels import MatcherError, parse_matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sevrouter.config.problem import Steps
    from sevrouter.domain.labels import Matcher

# Where a name is used, the section whose keys define it, and what it is called.
_REFERENCES = (
    (("systems", EACH, "owner"), "teams", "team"),
    (("default_owner",), "teams", "team"),
    (("teams", EACH, "jira", "assignee"), "people", "person"),
    (("tests", EACH, "owner"), "teams", "team"),
)
_UNIQUE = ((("rules", EACH, "name"), "rule"), (("systems", EACH, "name"), "system"))


def check_references(document: Document) -> Iterator[Problem]:
    """Every name that nothing defines, and every name that two things have."""
    for pattern, section, noun in _REFERENCES:
        yield from _undefined(document, pattern, section, noun)
    yield from _responses(document)
    yield from _readings(document)
    for pattern, noun in _UNIQUE:
        yield from _twice(document, document.find(*pattern), noun)
    yield from _twice(document, _heartbeats(document), "heartbeat")


def find_nowhere_to_go(document: Document) -> Iterator[Problem]:
    """Warnings about teams that a message or a ticket could not reach; those end as dead letters."""
    yield from _nowhere_to_go(document, "slack", "channel")
    yield from _nowhere_to_go(document, "jira", "project")


def _defined(document: Document, section: str) -> Mapping[str, Tree]:
    tree = document.at(section)
    return tree if isinstance(tree, dict) else {}


def _undefined(document: Document, pattern: tuple[str, ...], section: str, noun: str) -> Iterator[Problem]:
    known = _defined(document, section)
    for steps, name in document.find(*pattern):
        if isinstance(name, str) and name and name not in known:
            hint = did_you_mean(name, list(known)) or f"define it under {section}"
            yield document.problem(steps, f"the {noun} {name!r} is not defined", hint=hint)


def _readings(document: Document) -> Iterator[Problem]:
    rules = [rule for _, rule in document.find("rules", EACH) if isinstance(rule, dict)]
    asking = [
        name
        for rule in rules
        if isinstance(name := rule.get("name"), str)
        and isinstance(measure := rule.get("measure"), dict)
        and _asks(measure)
    ]
    for steps, readings in document.find("tests", EACH, "readings"):
        for name in readings if isinstance(readings, dict) else ():
            if name not in asking:
                hint = did_you_mean(name, asking)
                yield document.problem((*steps, name), f"no rule {name!r} asks a query", hint=hint, at_key=True)


def _asks(measure: Mapping[str, Tree]) -> bool:
    """Whether a measure asks a query, itself or in one of its parts."""
    parts = (value for value in measure.values() if isinstance(value, dict))
    return "query" in measure or any(_asks(part) for part in parts)


def _responses(document: Document) -> Iterator[Problem]:
    configured = _defined(document, "integrations")
    if not configured:
        return
    for steps, name in document.find("responses", EACH, EACH):
        if not isinstance(name, str) or not name or name in configured:
            continue
        if name in INTEGRATIONS:
            hint = f"add it under integrations, or leave it out here; configured: {', '.join(configured)}"
            yield document.problem(steps, f"the integration {name!r} is not configured", hint=hint)
        else:
            yield document.problem(steps, f"there is no integration {name!r}", hint=did_you_mean(name, INTEGRATIONS))


def default_name(matchers: Iterable[Matcher]) -> str:
    """What a heartbeat is called that has no name."""
    return ", ".join(map(str, matchers))


def _heartbeats(document: Document) -> Iterator[tuple[Steps, Tree]]:
    """The names of heartbeats, those included that come of their matchers."""
    for steps, heartbeat in document.find("heartbeats", EACH):
        if not isinstance(heartbeat, dict):
            continue
        matchers = heartbeat.get("matchers")
        if "name" in heartbeat:
            yield (*steps, "name"), heartbeat["name"]
        elif isinstance(matchers, list):
            # Those that cannot be read are reported elsewhere.
            with suppress(MatcherError):
                yield (*steps, "matchers"), default_name(parse_matcher(str(each)) for each in matchers)


def _twice(document: Document, names: Iterable[tuple[Steps, Tree]], noun: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for steps, name in names:
        if not isinstance(name, str):
            continue
        if name in seen:
            yield document.problem(steps, f"a second {noun} of the name {name!r}", hint="names are unique")
        seen.add(name)


def _nowhere_to_go(document: Document, integration: str, field: str) -> Iterator[Problem]:
    """An integration without a default needs one in every team that can own an alert."""
    settings = document.at("integrations", integration)
    if not isinstance(settings, dict) or settings.get("type", integration) != integration or field in settings:
        return
    default_owner = document.at("default_owner")
    hint = f"set {field} there, or integrations.{integration}.{field}"
    if default_owner is None:
        message = f"{field} is missing, and without default_owner there is none for what no system matches"
        yield document.problem(("integrations", integration), message, level=Level.WARNING, at_key=True)
    owners = [default_owner, *(owner for _, owner in document.find("systems", EACH, "owner"))]
    for team in dict.fromkeys(owner for owner in owners if isinstance(owner, str)):
        if document.at("teams", team) is not None and document.at("teams", team, integration, field) is None:
            steps = ("teams", team)
            message = f"owns alerts and has no {integration} {field}"
            yield document.problem(steps, message, hint=hint, level=Level.WARNING, at_key=True)
