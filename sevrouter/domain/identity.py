"""What makes alerts one incident, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sevrouter.domain.labels import pairs_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "alertname"
SEVERITY = "severity"

# Identities whose dedup key is remembered; the alerts of a webhook share most of theirs.
REMEMBERED_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class IncidentPolicy:
    """What makes alerts one incident, and when it ends."""

    group_by: tuple[str, ...] = ("cluster", "service", "alertname")
    resolve_after: timedelta = timedelta(minutes=5)
    reopen_within: timedelta = timedelta(hours=4)
    _remembered: dict[tuple[str | None, ...], str] = field(default_factory=dict, compare=False, repr=False)

    def identity(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The labels that identify the incident of an alert.

        An alert without its name, or with none of the `group_by` labels, is told apart by all that it has but
        its severity: alerts that nothing groups must not hide behind one another.
        """
        return self._grouped(labels) or {name: value for name, value in labels.items() if name != SEVERITY and value}

    def _grouped(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        grouped = {name: labels[name] for name in self.group_by if labels.get(name)}
        is_named = NAME not in self.group_by or NAME in grouped
        return grouped if is_named else {}

    def dedup_key(self, labels: Mapping[str, str]) -> str:
        """The incident's identity as text: 32 hexadecimal digits."""
        values = tuple(map(labels.get, self.group_by))
        known = self._remembered.get(values)
        if known is not None:
            return known
        grouped = self._grouped(labels)
        if not grouped:
            return pairs_digest(self.identity(labels)).hex()
        if len(self._remembered) >= REMEMBERED_KEYS:
            self._remembered.clear()
        key = self._remembered[values] = pairs_digest(grouped).hex()
        return key
