"""The ledger: what was sent and answered, against what is stored and what the vendors did.

Each check is one promise. Knows the tables and the vendors' records; must not know how sevrouter gets there.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sevrouter.domain.sev import Sev
from tests.chaos.records import CALLED_FOR
from tests.chaos.stage import Trouble
from tests.standins.pagerduty import Did

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.chaos.records import Stored
    from tests.chaos.senders import Group
    from tests.chaos.vendors import Call, FickleVendors

# Violations of one kind that are shown.
_SHOWN = 5


@dataclass(slots=True)
class Ledger:
    """The figures, and what was violated."""

    figures: dict[str, int] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=lambda: collections.defaultdict(list))

    def violated(self, promise: str, *what: str) -> None:
        """Take note."""
        if what:
            self.violations[promise] += what

    def __str__(self) -> str:
        width = max(map(len, self.figures), default=0)
        lines = [f"{name:<{width}}  {value}" for name, value in self.figures.items()]
        for promise, found in self.violations.items():
            lines += ["", f"VIOLATED {len(found)} times: {promise}", *(f"  {each}" for each in found[:_SHOWN])]
        return "\n".join([*lines, "", "violated" if self.violations else "every promise was kept"])


@dataclass(frozen=True, slots=True)
class Workers:
    """What is known of the processes of the replicas: when they were killed or frozen, and what they wrote down.

    `recorded` holds the calls (key, SEV, whether again) that a process has said to be delivered, which it does after
    the commit.
    """

    troubles: Sequence[Trouble]
    recorded: Set[tuple[str, str, str, bool]]

    def may_not_know(self, call: Call) -> bool:
        """Whether who made a call was killed or frozen before it had written down that it was made."""
        if (call.worker, call.key, call.sev, call.again) in self.recorded:
            return False
        return any(each.worker == call.worker and each.until >= call.at for each in self.troubles)


def check(ledger: Ledger, stored: Stored, groups: Sequence[Group], vendors: FickleVendors, workers: Workers) -> None:
    """Everything that is promised about alerts, incidents, calls, tickets and deliveries."""
    check_alerts(ledger, stored, groups)
    check_incidents(ledger, stored, groups)
    check_calls(ledger, stored, vendors, workers)
    check_tickets(ledger, stored, vendors)
    check_outbox(ledger, stored)


def check_alerts(ledger: Ledger, stored: Stored, groups: Sequence[Group]) -> None:
    """Every alert that was answered 200 is there, once, as it was said last, and in exactly one incident."""
    ledger.figures["groups of alerts"] = len(groups)
    ledger.figures["alerts answered 200"] = sum(len(group.acked) for group in groups)
    by_service = stored.alerts_by_service()
    incidents = {each.id: each for each in stored.incidents}
    for group in groups:
        found = collections.Counter(alert.pod for alert in by_service.get(group.service, ()))
        lost = [f"{group.service}/{pod}: {found[pod]} rows" for pod in sorted(group.acked) if found[pod] != 1]
        ledger.violated("an alert answered with 200 has exactly one row", *lost)
        for alert in by_service.get(group.service, ()):
            name = f"{group.service}/{alert.pod}"
            if alert.status != group.statuses.get(alert.pod):
                ledger.violated("an alert is as it was said last", f"{name}: {alert.status}")
            incident = incidents.get(alert.incident or 0)
            is_one = incident is not None and incident.service == group.service
            if is_one != (alert.sev is not None):
                ledger.violated(
                    "an alert with a SEV is in one incident, of its own group", f"{name} SEV {alert.sev}: {incident}"
                )


def check_incidents(ledger: Ledger, stored: Stored, groups: Sequence[Group]) -> None:
    """One incident of a dedup key is open at most, there is one where anything fired, as bad as its worst alert."""
    ledger.figures["incidents"] = len(stored.incidents)
    opened = collections.Counter(each.dedup_key for each in stored.incidents if each.is_open)
    ledger.violated(
        "one incident of a dedup key is open at most", *(f"{key}: {n}" for key, n in opened.items() if n > 1)
    )
    by_service = stored.incidents_by_service()
    for group in groups:
        of_group = by_service.get(group.service, [])
        # What comes back soon is the same incident again.
        if len(of_group) not in (range(1, group.episodes + 1) if group.worst else (0,)):
            what = f"{group.service}: {len(of_group)} of {group.episodes}, worst {group.worst}: {of_group}"
            ledger.violated("a group has one incident each time it fires, or the same again", what)
        wrong = [f"{each}: not {group.worst}" for each in of_group if each.sev is not group.worst]
        ledger.violated("an incident is as bad as its worst alert", *wrong)
        is_over = all(status == "resolved" for status in group.statuses.values())
        still = [str(each) for each in of_group[-1:] if each.is_open == is_over]
        ledger.violated("an incident ends with its alerts, and not before", *still)


def check_calls(ledger: Ledger, stored: Stored, vendors: FickleVendors, workers: Workers) -> None:
    """Each rise to a SEV that calls rang: once, and again only where an answer or a worker was lost."""
    calls: dict[tuple[str, str, bool], list[Call]] = collections.defaultdict(list)
    for call in vendors.pagerduty.calls:
        calls[call.key, call.sev, call.again].append(call)
    rises = {(each.key, *rise) for each in stored.incidents for rise in each.rises}
    worst = {(each.key, str(each.sev), False) for each in stored.incidents if str(each.sev) in CALLED_FOR}
    repeated = [call for times in calls.values() for call in times[:-1]]
    ledger.figures |= {
        "major incidents": len(worst),
        "calls accepted": sum(map(len, calls.values())),
        **{f"rises that rang {n} times": sum(len(each) == n for each in calls.values()) for n in (1, 2, 3)},
        "rises that rang more often": sum(len(each) > 3 for each in calls.values()),
        "calls that were repeated": len(repeated),
        "… because their answer was lost": sum(call.lost for call in repeated),
        "… because their worker was": sum(not call.lost and workers.may_not_know(call) for call in repeated),
    }
    ledger.violated("a rise that asks for a call rings", *map(str, sorted((rises | worst) - calls.keys())))
    ledger.violated("nobody is called for nothing", *map(str, sorted(calls.keys() - rises)))
    bare = [f"{call}" for call in repeated if not call.lost and not workers.may_not_know(call)]
    ledger.violated("a call is repeated only where its answer or its worker was lost", *bare)
    ringing = collections.Counter(each.dedup_key for each in vendors.pagerduty.effects if each.did is Did.RANG)
    due = collections.Counter(key for key, _, _ in rises)
    twice = [f"{key}: {count}" for key, count in ringing.items() if count > due[key]]
    ledger.violated("a phone rings no more often than an incident rose, at PagerDuty, which knows its key", *twice)


def check_tickets(ledger: Ledger, stored: Stored, vendors: FickleVendors) -> None:
    """A SEV-5 incident has exactly one ticket, and nothing else has one."""
    tickets = vendors.jira.tickets()
    wanted = {each.key for each in stored.incidents if each.asked_for_ticket}
    ledger.figures["SEV-5 incidents"] = sum(each.sev is Sev.SEV_5 for each in stored.incidents)
    ledger.figures["tickets"] = sum(map(len, tickets.values()))
    wrong = (f"{key}: {len(tickets.get(key, ()))}" for key in wanted | tickets.keys())
    due = {key: int(key in wanted) for key in wanted | tickets.keys()}
    ledger.violated(
        "a SEV-5 incident has exactly one ticket",
        *(text for text, (key, count) in zip(wrong, due.items(), strict=True) if len(tickets.get(key, ())) != count),
    )


def check_outbox(ledger: Ledger, stored: Stored) -> None:
    """Nothing is stuck, and nothing was given up."""
    states = collections.Counter(each.state for each in stored.deliveries)
    ledger.figures |= {f"deliveries {state}": count for state, count in sorted(states.items())}
    ledger.figures["messages that a vendor may have got twice"] = sum(each.unknowns > 0 for each in stored.deliveries)
    stuck = [str(each) for each in stored.deliveries if each.state in ("pending", "sending")]
    ledger.violated("no delivery is stuck", *stuck)
    ledger.violated("no delivery is given up", *(str(each) for each in stored.deliveries if each.state == "dead"))


def check_logs(ledger: Ledger, lines: Mapping[str, Sequence[str]], secrets: Sequence[str]) -> None:
    """No traceback, and no secret."""
    ledger.figures["lines of log"] = sum(map(len, lines.values()))
    for name, printed in lines.items():
        ledger.violated("no log has a traceback", *(f"{name}: {line[-600:]}" for line in _tracebacks(printed)))
        told = [f"{name}: {secret!r}" for secret in secrets if any(secret in line for line in printed)]
        ledger.violated("no log has a secret", *told)


def _tracebacks(lines: Sequence[str]) -> Iterator[str]:
    return (line for line in lines if "Traceback" in line or '"exception"' in line)
