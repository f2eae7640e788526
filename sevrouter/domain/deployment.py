"""A deployment, and which deployments an incident began so soon after that somebody should think of a rollback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from sevrouter.domain.explanation import is_safe_link
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sevrouter.domain.promql import QueryAnswer

# How long after the beginning of an incident a deployment may still be its cause: it is reported when it is done, an
# alert may be quicker than that, and clocks differ.
SHORTLY_AFTER = timedelta(minutes=5)
# More than the newest few are no hint any more.
MOST_NAMED = 3
# Characters of a name that a query gives.
LONGEST_NAME = 200

_MINUTE = timedelta(minutes=1)


class Deployment(Struct, frozen=True, kw_only=True, gc=False):
    """A version of a system that went live. `link` is as it was sent, and not to be shown before it is checked."""

    system: str
    version: str
    at: datetime
    link: str | None = None


class NearbyDeployment(Struct, frozen=True, kw_only=True, gc=False):
    """A deployment that an incident may come from. `minutes_before` its beginning, negative after it.

    `link` is a checked http(s) address.
    """

    system: str
    version: str
    at: datetime
    minutes_before: int
    link: str | None = None

    @property
    def name(self) -> str:
        """`checkout 2.14.0`, as one clean line."""
        return f"{one_line(self.system, 60)} {one_line(self.version, 60)}"

    @property
    def hint(self) -> str:
        """`checkout 2.14.0 was deployed 12 min before it began: if related, roll back`."""
        return f"{self.name} was deployed {self._when()}: if related, roll back"

    def _when(self) -> str:
        if self.minutes_before < 0:
            return f"{-self.minutes_before} min after it began"
        return f"{self.minutes_before} min before it began" if self.minutes_before else "just before it began"

    def details(self) -> dict[str, object]:
        """What a timeline says of it, as JSON values."""
        told: dict[str, object] = {
            "system": self.system,
            "version": self.version,
            "at": self.at.isoformat(),
            "minutes_before": self.minutes_before,
        }
        return told if self.link is None else told | {"link": self.link}


def running(answer: QueryAnswer, *, now: datetime) -> list[Deployment]:
    """What runs, as a query says: of each `system` the `version` whose number, seconds since 1970, is the last.

    What names neither, or a time that is none or lies in the future, says nothing.
    """
    newest: dict[str, Deployment] = {}
    for series in answer.series:
        system, version = (one_line(series.labels.get(name, ""), LONGEST_NAME) for name in ("system", "version"))
        if not system or not version or not 0 < series.number <= (now + SHORTLY_AFTER).timestamp():
            continue
        at = datetime.fromtimestamp(int(series.number), UTC)
        known = newest.get(system)
        if known is None or at > known.at:
            newest[system] = Deployment(system=system, version=version, at=at, link=series.labels.get("link"))
    return list(newest.values())


def nearby(
    by_system: Mapping[str, Sequence[Deployment]], names: Iterable[str], *, began_at: datetime, window: timedelta
) -> tuple[NearbyDeployment, ...]:
    """The newest deployments of these systems that an incident began within `window` after, or just before."""
    found = [
        each
        for name in dict.fromkeys(names)
        for each in by_system.get(name, ())
        if -SHORTLY_AFTER <= began_at - each.at <= window
    ]
    found.sort(key=lambda each: each.at, reverse=True)
    return tuple(_seen_from(began_at, each) for each in found[:MOST_NAMED])


def _seen_from(began_at: datetime, deployment: Deployment) -> NearbyDeployment:
    link = deployment.link
    return NearbyDeployment(
        system=deployment.system,
        version=deployment.version,
        at=deployment.at,
        # Whole minutes, and what came after is never called "before".
        minutes_before=(began_at - deployment.at) // _MINUTE,
        link=link if link is not None and is_safe_link(link) else None,
    )


def links_to(deployments: Sequence[NearbyDeployment]) -> dict[str, str]:
    """Their addresses by what they are called: `Deployment` is the newest that has one."""
    found: dict[str, str] = {}
    for each in deployments:
        if each.link is not None:
            found[f"Deployment of {each.name}" if found else "Deployment"] = each.link
    return found
