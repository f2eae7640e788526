"""Which deployments an incident may come from: of its systems, shortly before it began, the newest few."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from sevrouter.domain.delivery import Notice, NoticeKind
from sevrouter.domain.deployment import Deployment, NearbyDeployment, links_to, nearby
from sevrouter.domain.identity import IncidentPolicy
from sevrouter.domain.incident import Evidence, Incident, fold
from sevrouter.domain.observation import Change
from sevrouter.domain.plan import Planned, notice
from sevrouter.domain.sev import Sev
from tests.domain.building import CONFIG, NOW, OPENING, at, firing, incident, observation
from tests.domain.building import notice as a_notice

LINK = "https://ci.example/deploys/7"


def deployed(
    minute: float, *, system: str = "checkout", version: str = "2.14.0", link: str | None = None
) -> Deployment:
    return Deployment(system=system, version=version, at=at(minute), link=link)


def near(*deployments: Deployment, names: tuple[str, ...] = ("checkout",), window: float = 30) -> list[tuple[str, int]]:
    """The versions that an incident of minute 0 is told of, and how many minutes before it they went live."""
    by_system: dict[str, list[Deployment]] = {}
    for each in deployments:
        by_system.setdefault(each.system, []).append(each)
    found = nearby(by_system, names, began_at=NOW, window=at(window) - NOW)
    return [(each.version, each.minutes_before) for each in found]


@pytest.mark.parametrize(("minute", "before"), [(-30, 30), (-12.9, 12), (-0.5, 0), (0, 0), (0.5, -1), (4, -4), (5, -5)])
def test_a_deployment_within_the_window_is_near(minute: float, before: int) -> None:
    assert near(deployed(minute)) == [("2.14.0", before)]


@pytest.mark.parametrize("minute", [-30.1, 5.1, -600])
def test_a_deployment_outside_the_window_is_not(minute: float) -> None:
    assert near(deployed(minute)) == []


def test_a_deployment_of_another_system_is_not_near() -> None:
    assert near(deployed(-1, system="search")) == []
    assert near(deployed(-1, system="search"), names=("checkout", "search")) == [("2.14.0", 1)]


def test_what_is_named_twice_is_near_once() -> None:
    assert near(deployed(-1), names=("checkout", "checkout")) == [("2.14.0", 1)]


def test_the_newest_three_are_named_of_whatever_system() -> None:
    many = [deployed(-minute, version=f"v{minute}") for minute in (1, 5, 3)]
    others = [deployed(-minute, version=f"w{minute}", system="api") for minute in (2, 4)]
    assert near(*many, *others, names=("checkout", "api")) == [("v1", 1), ("w2", 2), ("v3", 3)]


@pytest.mark.parametrize(
    ("minute", "hint"),
    [
        (-12, "checkout 2.14.0 was deployed 12 min before it began: if related, roll back"),
        (-0.2, "checkout 2.14.0 was deployed just before it began: if related, roll back"),
        (3, "checkout 2.14.0 was deployed 3 min after it began: if related, roll back"),
    ],
)
def test_a_hint_says_when(minute: float, hint: str) -> None:
    assert seen(deployed(minute)).hint == hint


def test_a_hint_is_one_line_of_a_length_that_fits() -> None:
    hint = seen(deployed(-1, version="2\n☎ CALL evil\u202e" + "x" * 500)).hint
    assert hint.isprintable()
    assert len(hint) < 200


def seen(deployment: Deployment) -> NearbyDeployment:
    (found,) = nearby({deployment.system: [deployment]}, [deployment.system], began_at=NOW, window=at(30) - NOW)
    return found


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "http://169.254.169.254/latest", "https://u:p@ci.example/", ""]
)
def test_a_link_that_is_not_safe_is_shown_nowhere(link: str) -> None:
    found = seen(deployed(-1, link=link))
    assert found.link is None
    assert "link" not in found.details()
    assert links_to([found]) == {}


def test_a_timeline_is_told_all_of_it() -> None:
    assert seen(deployed(-12, link=LINK)).details() == {
        "system": "checkout",
        "version": "2.14.0",
        "at": "2026-03-01T11:48:00+00:00",
        "minutes_before": 12,
        "link": LINK,
    }


def test_the_newest_link_is_the_deployment_and_the_others_say_which() -> None:
    shown = [seen(deployed(-1)), seen(deployed(-2, link=LINK)), seen(deployed(-3, version="2.13.9", link=LINK + "0"))]
    assert links_to(shown) == {"Deployment": LINK, "Deployment of checkout 2.13.9": LINK + "0"}


def suspicious(kind: NoticeKind) -> Notice:
    """What is told of it."""
    return notice(None, suspected(Sev.SEV_2), Planned("slack", kind), now=NOW)


def suspected(sev: Sev) -> Incident:
    """An incident that began after a deployment."""
    about = incident(sev, alert=firing(generator_url="http://p:9090/g"))
    found = (seen(deployed(-12, link=LINK)),)
    return replace(about, evidence=replace(about.evidence, deployments=found))


@pytest.mark.parametrize("kind", [NoticeKind.OPENED, NoticeKind.ROSE, NoticeKind.REOPENED])
def test_a_notice_names_the_deployment_and_leads_to_it_first(kind: NoticeKind) -> None:
    told = suspicious(kind)
    assert told.deployments == ("checkout 2.14.0 was deployed 12 min before it began: if related, roll back",)
    assert list(told.links.items()) == [("Deployment", LINK), ("Source", "http://p:9090/g")]


def test_what_is_over_is_nothing_to_roll_back() -> None:
    told = suspicious(NoticeKind.RESOLVED)
    assert told.deployments == ()
    assert "Deployment" not in told.links


def test_a_rise_keeps_the_deployments_for_who_is_called_then() -> None:
    before, worse = suspected(Sev.SEV_4), observation(Change.CHANGED, Sev.SEV_2)
    risen = fold(before, [worse], opening=OPENING, policy=IncidentPolicy(), config_hash=CONFIG, now=at(60)).incident
    assert risen is not None
    assert risen.sev is Sev.SEV_2
    assert risen.evidence.deployments == before.evidence.deployments


def test_a_notice_of_another_version_can_be_read() -> None:
    written = msgspec.json.decode(msgspec.json.encode(a_notice()))
    del written["deployments"]
    older, newer = msgspec.json.encode(written), msgspec.json.encode(written | {"of_tomorrow": [1]})
    assert msgspec.json.decode(older, type=Notice) == a_notice()
    assert msgspec.json.decode(newer, type=Notice) == a_notice()


def test_the_evidence_of_another_version_can_be_read() -> None:
    evidence = incident().evidence
    written = msgspec.json.decode(msgspec.json.encode(evidence))
    del written["deployments"]
    older = msgspec.json.encode(written | {"of_tomorrow": [1]})
    assert msgspec.json.decode(older, type=Evidence).deployments == ()
