"""The two ways of reading a payload, the quick one and the forgiving one, never disagree."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sevrouter.domain import member
from sevrouter.domain.alert import AlertStatus
from sevrouter.domain.lenient import Number, Unreadable, clean, load_json, number_text
from sevrouter.ingest import payload as payload_module
from sevrouter.ingest.payload import Outline, read_payload
from tests.domain.building import at
from tests.real.payloads import alert, grafana_alert, grafana_webhook, webhook

if TYPE_CHECKING:
    from sevrouter.domain.alert import Alert
    from sevrouter.ingest.payload import Payload

NOW = at(0)

texts = st.text(max_size=20)
# What JSON can say, surrogates and all; NaN is Python's own invention.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
maps = st.dictionaries(texts, texts, max_size=4)
moments = texts | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
statuses = st.sampled_from(["firing", "resolved", "FIRING", ""])
proper = st.fixed_dictionaries(
    {"labels": maps},
    optional={
        "annotations": maps,
        "status": statuses,
        "startsAt": moments,
        "endsAt": moments,
        "generatorURL": texts,
        "fingerprint": texts,
        "values": st.dictionaries(texts, anything, max_size=3) | st.none(),
    },
)
odd = st.fixed_dictionaries(
    {},
    optional={
        "labels": maps | anything,
        "annotations": anything,
        "status": statuses | anything,
        "startsAt": moments | anything,
        "endsAt": anything,
        "generatorURL": anything,
        "values": anything,
    },
)
groups = st.fixed_dictionaries(
    {"alerts": st.lists(proper | odd | anything, max_size=4)},
    optional={"version": st.just("4") | anything, "truncatedAlerts": st.integers(-1, 3) | anything, "status": anything},
)


def leniently(body: bytes) -> Payload:
    """Read a body the forgiving way alone."""
    return payload_module._read_leniently(body, NOW)


def strictly(body: bytes, monkeypatch: pytest.MonkeyPatch) -> Payload:
    """Read a body the quick way alone; fails where that one gives up."""

    def give_up(*_: object) -> Any:
        raise AssertionError("the quick way gave up")

    monkeypatch.setattr(payload_module, "_read_leniently", give_up)
    monkeypatch.setattr(payload_module, "_take_leniently", give_up)
    return read_payload(body, received_at=NOW)


def _as_read(alert: Alert) -> Alert:
    """All that both ways have to agree on: how it was sent only one of them knows."""
    return replace(alert, content=b"not compared", sighting=b"")


@given(groups)
@settings(deadline=None, max_examples=150)
def test_both_ways_of_reading_agree(group: dict[str, Any]) -> None:
    body = json.dumps(group).encode()
    quick, forgiving = read_payload(body, received_at=NOW), leniently(body)
    assert [_as_read(each) for each in quick.alerts] == [_as_read(each) for each in forgiving.alerts]
    assert [each.reason for each in quick.rejected] == [each.reason for each in forgiving.rejected]
    assert (quick.truncated, quick.version) == (forgiving.truncated, forgiving.version)


@given(groups)
@settings(deadline=None, max_examples=100)
def test_every_member_is_taken_or_kept(group: dict[str, Any]) -> None:
    payload = read_payload(json.dumps(group).encode(), received_at=NOW)
    assert len(payload.alerts) + len(payload.rejected) == len(group["alerts"])


@given(st.binary(max_size=200) | texts.map(str.encode) | anything.map(lambda value: json.dumps(value).encode()))
@settings(deadline=None, max_examples=150)
def test_no_body_is_an_error_of_ours(body: bytes) -> None:
    payload = read_payload(body, received_at=NOW)
    assert payload.alerts or payload.rejected or json.loads(body)["alerts"] == []


@given(groups)
@settings(deadline=None, max_examples=100)
def test_every_text_can_be_stored(group: dict[str, Any]) -> None:
    for each in read_payload(json.dumps(group).encode(), received_at=NOW).alerts:
        for text in (*each.labels, *each.labels.values(), *each.annotations.values(), *each.values, each.generator_url):
            assert type(text) is str
            assert text.encode().decode() == text


def test_what_can_just_be_read_but_not_be_written_again_is_kept() -> None:
    # Where that is depends on how deep in the stack we are, so every depth is tried.
    for depth in range(800, 1_001):
        nested = b"[" * depth + b"]" * depth
        payload = read_payload(b'{"alerts":[{"labels":{"a":' + nested + b"}}]}", received_at=NOW)
        assert len(payload.alerts) + len(payload.rejected) == 1
        assert {each.reason for each in payload.rejected} <= {"nested too deeply"}


def test_what_alertmanager_sends_is_read_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(webhook([alert({"alertname": "Down"}), alert({"alertname": "Up"}, status="resolved")])).encode()
    payload = strictly(body, monkeypatch)
    assert [(each.labels["alertname"], each.status) for each in payload.alerts] == [
        ("Down", AlertStatus.FIRING),
        ("Up", AlertStatus.RESOLVED),
    ]
    assert (payload.version, payload.truncated, payload.rejected) == ("4", False, [])


def test_what_grafana_sends_is_read_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = grafana_webhook([grafana_alert({"alertname": "Down"}, values={"A": 1.5}), grafana_alert(values=None)])
    payload = strictly(json.dumps(sent).encode(), monkeypatch)
    assert [each.values for each in payload.alerts] == [{"A": "1.5"}, {}]
    assert payload.version == "1"


def test_all_of_an_alert_is_read() -> None:
    sent = alert(
        {"alertname": "Down"}, {"summary": "s"}, "resolved", "2026-03-01T11:00:00+01:00", "2026-03-01T11:00:00.5Z"
    )
    (read,) = read_payload(json.dumps(webhook([sent])).encode(), received_at=NOW).alerts
    assert (read.labels, read.annotations, read.status) == (
        {"alertname": "Down"},
        {"summary": "s"},
        AlertStatus.RESOLVED,
    )
    assert (read.starts_at, read.ends_at) == (at(-120), at(-60 + 0.5 / 60))
    assert read.generator_url == sent["generatorURL"]


def test_a_number_stays_as_it_was_written() -> None:
    assert load_json(b"[1.50, -0, 1e2, 12345678901234567890]") == ["1.50", "-0", "1e2", "12345678901234567890"]
    assert type(number_text(Number("1.50"))) is str


def test_half_a_character_becomes_a_mark() -> None:
    assert clean("a\ud800b\udfff") == "a\ufffdb\ufffd"
    assert clean("ü🔥") == "ü🔥"


@pytest.mark.parametrize(
    "body", [b"NaN", b"[Infinity]", b"1e999", b"9" * 5_000, b"\xff", b"", b" ", b"[" * 99_999, b"{"]
)
def test_what_is_unreadable_says_why_without_what_was_sent(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        load_json(body)
    assert 0 < len(caught.value.reason) < 60


@pytest.mark.parametrize(
    ("said", "truncated"),
    [
        (0, False),
        ("0", False),
        ("", False),
        (None, False),
        (1, True),
        (-1, True),
        ("many", True),
        ([], True),
        (1.5, True),
    ],
)
def test_a_count_that_makes_no_sense_may_hide_an_alert(said: object, *, truncated: bool) -> None:
    body = json.dumps({"alerts": [], "truncatedAlerts": said}).encode()
    assert read_payload(body, received_at=NOW).truncated is truncated
    assert leniently(body).truncated is truncated


def test_a_second_list_of_alerts_hides_none_of_the_first() -> None:
    payload = read_payload(b'{"alerts":[{"labels":{"a":"1"}}],"alerts":[{"labels":{"a":"2"}}]}', received_at=NOW)
    assert [alert.labels for alert in payload.alerts] == [{"a": "1"}, {"a": "2"}]


def test_annotations_that_cannot_be_read_cost_no_labels() -> None:
    payload = read_payload(b'{"alerts":[{"labels":{"a":"1"},"annotations":["x"]}]}', received_at=NOW)
    assert [(alert.labels, alert.annotations) for alert in payload.alerts] == [({"a": "1"}, {})]
    assert payload.rejected == []


def body_of(*members: bytes) -> bytes:
    """A webhook of members just as they are written here."""
    return b'{"version":"4","alerts":[' + b" ,\n".join(members) + b"]}"


def sighting(member: bytes) -> bytes:
    """What a member is recognised by."""
    return sha256(member).digest()


def read_one(member: bytes) -> Alert:
    """The only alert of a webhook."""
    (read,) = read_payload(body_of(member), received_at=NOW).alerts
    return read


DOWN = (
    b'{"labels": {"alertname": "Down", "pod": "1"}, "annotations": {"summary": "s"},'
    b' "startsAt": "2026-03-01T11:00:00Z"}'
)


def test_an_alert_is_recognised_by_all_of_it_just_as_it_was_sent() -> None:
    assert read_one(DOWN).sighting == sighting(DOWN)
    payload = read_payload(body_of(b'{"labels":{"a":"1"}}', DOWN), received_at=NOW)
    assert [each.sighting for each in payload.alerts] == [sighting(b'{"labels":{"a":"1"}}'), sighting(DOWN)]


@pytest.mark.parametrize(
    "member", [b'{"labels":{"a":1}}', b'{"labels":{"a":"\\ud800"}}', b'{"labels":{"a":"1"},"annotations":null}']
)
def test_an_alert_that_only_the_forgiving_way_can_read_is_not_recognised(member: bytes) -> None:
    assert read_one(member).sighting == b""


def test_what_is_remembered_is_not_decoded() -> None:
    # Nothing but its outline is looked at.
    repeat, unheard = b'{"labels": 5, "never": "decoded"}', b'{"labels":{"a":"1"}}'
    outline = Outline(body_of(repeat, unheard, repeat, DOWN), received_at=NOW)
    payload = outline.read({sighting(repeat), sighting(DOWN)})
    assert payload.repeats == [sighting(repeat), sighting(repeat), sighting(DOWN)]
    assert [each.labels for each in payload.alerts] == [{"a": "1"}]
    assert payload.rejected == []
    assert len(read_payload(body_of(repeat), received_at=NOW).rejected) == 1, "where it is not remembered it is read"


def test_beside_repeats_what_cannot_be_read_is_kept() -> None:
    bad = b'{"labels": [1, 2]}'
    payload = Outline(body_of(DOWN, bad), received_at=NOW).read({sighting(DOWN)})
    assert (payload.repeats, payload.alerts) == ([sighting(DOWN)], [])
    assert [each.raw for each in payload.rejected] == [bad]


def test_repeats_do_not_hide_that_alerts_were_left_out() -> None:
    body = body_of(DOWN)[:-1] + b',"truncatedAlerts":2}'
    outline = Outline(body, received_at=NOW)
    payload = outline.read(outline.sightings)
    assert (outline.is_plain, payload.truncated, payload.repeats) == (False, True, [sighting(DOWN)])


@pytest.mark.parametrize("body", [b'{"alerts":[%b],"alerts":[%b]}', b'{"alerts":[%b,%b],"x":NaN}'])
def test_a_body_that_only_the_forgiving_way_can_read_has_no_repeats(body: bytes) -> None:
    outline = Outline(body % (DOWN, DOWN), received_at=NOW)
    payload = outline.read({sighting(DOWN)})
    assert (outline.is_plain, outline.sightings, payload.repeats) == (False, [], [])
    assert [each.labels["alertname"] for each in payload.alerts] == ["Down"] * 2 or payload.rejected


OTHERWISE = [
    DOWN.replace(b'"alertname": "Down", "pod": "1"', b'"pod": "1", "alertname": "Down"'),
    DOWN.replace(b": ", b":"),
    DOWN.replace(b"{", b"{\n\t"),
    DOWN.replace(b'"pod"', b'"p\\u006fd"'),
]


@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_labels_in_another_order_or_spelling_are_the_same_alert(otherwise: bytes) -> None:
    one, other = read_one(DOWN), read_one(otherwise)
    assert otherwise != DOWN
    assert (other.digest, other.labels) == (one.digest, one.labels)
    assert other.sighting != one.sighting
    assert one.digest == leniently(body_of(otherwise)).alerts[0].digest


@pytest.mark.parametrize(
    "labels",
    [
        b'{"alertname":"Down","pod":"2"}',
        b'{"alertname":"Down"}',
        b'{"alertname":"Down","pod":"1","a":"1"}',
    ],
)
def test_other_labels_are_another_alert(labels: bytes) -> None:
    assert read_one(b'{"labels":' + labels + b"}").digest != read_one(DOWN).digest


def test_the_content_is_that_of_annotations_and_values_alone() -> None:
    def content(**changes: Any) -> bytes:
        member = {"labels": {"a": "1"}, "annotations": {"s": "t"}, "values": {"A": 1.5}, **changes}
        return read_one(json.dumps(member).encode()).content

    same = [
        content(),
        content(status="resolved"),
        content(labels={"a": "2"}),
        content(startsAt="2026-03-01T11:00:00Z", endsAt="2026-03-01T11:00:00Z", generatorURL="x", fingerprint="f"),
    ]
    others = [
        content(annotations={"s": "u"}),
        content(annotations={}),
        content(values={"A": 1.6}),
        content(values=None),
    ]
    assert len({*same}) == 1
    assert len({*same, *others}) == 1 + len(others)


def test_the_identities_that_are_known_are_bounded_and_the_first_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[bytes, bytes] = {}
    monkeypatch.setattr(member, "_identities", known)
    monkeypatch.setattr(member, "MOST_IDENTITIES", 16)
    members = [alert({"alertname": "X", "instance": str(number)}) for number in range(100)]
    read = [read_payload(json.dumps(webhook([each])).encode(), received_at=NOW).alerts[0] for each in members]
    assert 14 <= len(known) <= 16
    assert list(known.values()) == [each.digest for each in read[-len(known) :]]
