"""One incident as Markdown, for those who look back: each decision with its evidence, who was told, what is proposed.

Text from alerts and people stays literal.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING

from sevrouter.domain.explanation import headline, reasons
from sevrouter.domain.incident import Fact, Incident, TimelineEntry
from sevrouter.domain.sev import sev_name
from sevrouter.domain.text import duration_text, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    Column = Callable[[TimelineEntry], object]

# What the machine concluded by itself.
_DECISIONS = {
    Fact.OPENED: "opened",
    Fact.REOPENED: "reopened",
    Fact.ROSE: "rose",
    Fact.LIKELY: "likely to get worse",
    Fact.READING_RETURNED: "a reading came back",
    Fact.SUPPRESSED: "suppressed",
    Fact.UNSUPPRESSED: "no longer suppressed",
    Fact.STALE: "stale",
    Fact.HEARD_AGAIN: "heard of again",
    Fact.QUIET: "went quiet",
    Fact.RESOLVED: "resolved",
}
_DELIVERIES = frozenset(
    {
        Fact.DELIVERED,
        Fact.DELIVERY_RETRIED,
        Fact.DELIVERY_UNKNOWN,
        Fact.DELIVERY_REJECTED,
        Fact.DELIVERY_EXPIRED,
        Fact.SUPERSEDED,
        Fact.SHADOWED,
    }
)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#!~&$])")


def postmortem(incident: Incident, timeline: Sequence[TimelineEntry], *, now: datetime) -> str:
    """The whole document. The timeline in order, times in UTC."""
    by_machine = [each for each in timeline if each.fact in _DECISIONS and "by" not in each.details]
    by_people = [each for each in timeline if each.fact is Fact.SEV_SET]
    lowering = [each for each in timeline if each.fact is Fact.MILDER]
    deployed = [each for each in timeline if each.fact is Fact.DEPLOYMENT_NEARBY]
    told = [each for each in timeline if each.fact in _DELIVERIES]
    return "\n".join(
        [
            *_head(incident, now),
            *_section("Why it was as bad as it was", [f"- {_text(line)}" for line in reasons(incident)]),
            *_section("Decided automatically", _table(by_machine, _DECISION)),
            *_section("Decided by people", _table(by_people, _OVERRULING), or_else="Nobody set its SEV."),
            *_section("Proposals to lower it", [*_table(lowering, _PROPOSAL), *_would_be(incident)], or_else="None."),
            *_section("Deployments nearby", _table(deployed, _DEPLOYMENT), or_else="None known."),
            *_section("Who was told", _table(told, _DELIVERY), or_else="Nobody."),
            *_section("All that happened", _table(timeline, _ANYTHING)),
        ]
    )


def _head(incident: Incident, now: datetime) -> Iterator[str]:
    ended = incident.resolved_at
    lasted = duration_text((ended or now) - incident.opened_at)
    yield f"# {_text(headline(incident))}"
    yield ""
    yield f"- State: {incident.state.value}" + (
        f", suppressed: {_text(incident.suppressed)}" if incident.suppressed else ""
    )
    yield f"- Opened: {_time(incident.opened_at)}"
    yield f"- Resolved: {_time(ended)}, after {lasted}" if ended else f"- Open for {lasted}"
    yield f"- System: {_text(incident.system or 'unknown')}, owner: {_text(incident.owner or 'nobody')}"
    yield f"- Configuration that set its SEV: {_text(incident.evidence.config_hash)}"


def _section(title: str, lines: Iterable[str], *, or_else: str = "Nothing.") -> Iterator[str]:
    found = [*lines]
    yield from ("", f"## {title}", "")
    yield from found or [or_else]


def _would_be(incident: Incident) -> Iterator[str]:
    milder = incident.standing.milder
    if milder is not None:
        yield ""
        yield f"By now its measures say {sev_name(milder.sev)}, since {_time(milder.since)}."


def _table(entries: Sequence[TimelineEntry], columns: Mapping[str, Column]) -> Iterator[str]:
    if not entries:
        return
    titles = ["When", *columns]
    yield f"| {' | '.join(titles)} |"
    yield f"|{' --- |' * len(titles)}"
    for entry in entries:
        cells = [_time(entry.at), *(_text(column(entry)) for column in columns.values())]
        yield f"| {' | '.join(cells)} |"


def _detail(name: str) -> Column:
    return lambda entry: entry.details.get(name, "")


def _evidence(entry: TimelineEntry) -> str:
    details = entry.details
    doubt = "unsure: " if details.get("unsure") else ""
    return doubt + str(details.get("why") or details.get("note") or details.get("reason") or "")


def _what(entry: TimelineEntry) -> str:
    before = f" from {entry.details['from']}" if "from" in entry.details else ""
    return f"{_DECISIONS[entry.fact]}{before}"


def _everything(entry: TimelineEntry) -> str:
    return ", ".join(f"{name}: {value}" for name, value in entry.details.items())


_DECISION: dict[str, Column] = {
    "What": _what,
    "SEV": _detail("sev"),
    "Rule": _detail("rule"),
    "Evidence": _evidence,
    "Configuration": _detail("config"),
}
_OVERRULING: dict[str, Column] = {name: _detail(name.lower()) for name in ("From", "SEV", "By", "Reason")}
_PROPOSAL: dict[str, Column] = {name: _detail(name.lower()) for name in ("From", "To", "Since", "Why")}
_DEPLOYMENT: dict[str, Column] = {
    "System": _detail("system"),
    "Version": _detail("version"),
    "Minutes before": _detail("minutes_before"),
    "Link": _detail("link"),
}
_DELIVERY: dict[str, Column] = {
    "Integration": _detail("integration"),
    "Of what": _detail("kind"),
    "Outcome": lambda entry: entry.fact.value,
    "Attempt": _detail("attempt"),
    "Detail": lambda entry: entry.details.get("detail") or entry.details.get("reason", ""),
}
_ANYTHING: dict[str, Column] = {"Fact": lambda entry: entry.fact.value, "Details": _everything}


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _text(value: object) -> str:
    """One line in which Markdown sees nothing but text."""
    return _SPECIAL.sub(r"\\\1", one_line(str(value), 1_000))
