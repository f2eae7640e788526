"""Who is called for an incident, in which order, and for how long: escalation policies, and what they are made of."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from sevrouter.domain.ownership import Person
from sevrouter.domain.sev import Sev

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a step calls: a person by name, or whoever is on call in an on-call schedule of that name."""

    person: str | None = None
    on_call: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Rings all targets at the same time: `times` times, `every` so often; `then` is waited after the last time."""

    targets: tuple[Target, ...]
    times: int = 1
    every: timedelta = timedelta(minutes=2)
    then: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A standing conference: an address to open, a dial string to phone (`+4930123,,77#`); None where there is none."""

    url: str | None = None
    dial: str | None = None


NO_BRIDGE = Bridge()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Steps, played `repeat` times; then it has run out, which is said loudly, and starts over after `pause`.

    `ack_timeouts` say after how long an acknowledged incident of a SEV rings again; without an entry it never does.
    `rings_on_rise`: a rise after an acknowledgement calls again. `bridges` are by SEV.
    """

    name: str
    steps: tuple[Step, ...]
    repeat: int = 1
    pause: timedelta = timedelta(minutes=15)
    ack_timeouts: Mapping[Sev, timedelta] = field(default_factory=lambda: MappingProxyType({}))
    rings_on_rise: bool = True
    bridges: Mapping[Sev, Bridge] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Limit:
    """No more than so many calls to one person within a time."""

    calls: int
    within: timedelta


LIMITS = (Limit(1, timedelta(minutes=1)), Limit(3, timedelta(minutes=15)), Limit(7, timedelta(hours=1)))


class ProviderKind(enum.Enum):
    """A phone rings the people whom we choose; a paging service is told of the incident and rings people by itself."""

    PHONE = "phone"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Provider:
    """What can call. `name` is unique among all that is told of incidents, and is what its lane is called."""

    name: str
    kind: ProviderKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """All that decides who is called and by what. `providers` come in the order in which they are tried.

    `policies` hold one of the name `default_policy`, and `of_teams` are the names of teams' own.
    """

    policies: Mapping[str, Policy]
    default_policy: str = DEFAULT
    of_teams: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    providers: tuple[Provider, ...] = ()
    people: Mapping[str, Person] = field(default_factory=lambda: MappingProxyType({}))
    limits: Sequence[Limit] = LIMITS

    def policy_of(self, owner: str | None) -> Policy:
        """The policy of the owning team, or the default one."""
        name = self.of_teams.get(owner or "", self.default_policy)
        return self.policies.get(name) or self.policies[self.default_policy]

    def kind_of(self, provider: str) -> ProviderKind | None:
        """What a provider is; None where it is configured no more."""
        return next((each.kind for each in self.providers if each.name == provider), None)
