"""The words are clean, short and true; a link leads to a named host or is not given at all."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from sevrouter.domain.alert import Alert
from sevrouter.domain.explanation import headline, is_safe_link, safe_links, title_of, why
from sevrouter.domain.grading import Grader
from sevrouter.domain.sev import Sev
from sevrouter.domain.text import ELLIPSIS, many_lines, one_line, shorten, shown_labels
from tests.domain.building import NOW, by_number, firing, fixed, incident

anything = st.text(st.characters(exclude_categories=[]), max_size=400)
nasty = st.text(
    st.sampled_from(list("a b\r\n\t\x00\x1b\x7f\x85\u2028\u2029\u202e\u2066\u200e\u200f\u061c\u200b\ufeff\u00ad😀")),
    max_size=60,
)


def is_clean(line: str) -> bool:
    categories = {unicodedata.category(each) for each in line if each not in "\u200c\u200d"}
    return categories.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"}) and len(line.splitlines()) <= 1


@given(st.one_of(anything, nasty), st.integers(1, 300))
@example("a" * 301, 300)
@example("\u202etxt.exe", 5)
def test_one_line_is_one_clean_line_within_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert is_clean(line)
    assert line == line.strip()
    assert "  " not in line


@given(st.one_of(anything, nasty))
def test_a_clean_line_stays_as_it_is(text: str) -> None:
    line = one_line(text)
    assert one_line(line) == line


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "grüße 😀",
        "a👩\u200d💻b",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "日本語",
        "<!channel> & {x}",
    ],
)
def test_what_is_clean_already_is_not_touched(text: str) -> None:
    assert one_line(text) == text


def test_a_fake_log_line_stays_on_the_line() -> None:
    assert one_line('x\r\n{"level":"info"}\x1b[31m\u2028y') == 'x {"level":"info"} [31m y'


def test_a_cut_is_marked() -> None:
    assert shorten("a" * 10, 10) == "a" * 10
    assert shorten("a" * 11, 10) == "a" * 9 + ELLIPSIS
    assert one_line("word " * 100, 8) == "word wo…"


def test_a_megabyte_is_cut() -> None:
    assert len(one_line("x" * 1_000_000)) == 300
    assert len(many_lines("x\n" * 1_000_000)) == 8_000
    assert len(title_of(firing("n" * 1_000_000, annotations={"summary": "s" * 1_000_000}), "y" * 1_000_000)) < 400


@given(st.one_of(anything, nasty), st.integers(10, 300))
def test_many_lines_are_clean_lines_within_their_limit(text: str, limit: int) -> None:
    lines = many_lines(text, limit)
    assert len(lines) <= limit
    assert all(is_clean(line) for line in lines.split("\n"))


def test_many_lines_keep_their_breaks() -> None:
    assert many_lines("\n one \r\n\ttwo\x00\n\nthree\rfour\n") == "one\ntwo\n\nthree four"


@pytest.mark.parametrize(
    ("annotations", "system", "title"),
    [
        ({"summary": "No answer"}, "checkout", "checkout: No answer (Down)"),
        ({"summary": "checkout is Down"}, "checkout", "checkout: checkout is Down"),
        ({"summary": "\x00 ", "description": "No answer"}, None, "No answer (Down)"),
        ({"title": "A title", "description": "long"}, None, "A title (Down)"),
        ({}, "checkout", "checkout: Down"),
        ({}, None, "Down"),
    ],
)
def test_a_title_names_the_system_what_is_wrong_and_the_alert(
    annotations: dict[str, str], system: str | None, title: str
) -> None:
    assert title_of(firing(annotations=annotations), system) == title


def test_a_title_without_a_name_shows_the_labels() -> None:
    assert title_of(Alert(labels={"pod": "a", "app": "b"}, starts_at=NOW), None) == "app=b, pod=a"


@pytest.mark.parametrize(("system", "title"), [(None, ""), ("checkout", "checkout: ")])
def test_an_alert_without_anything_has_a_title_too(system: str | None, title: str) -> None:
    assert title_of(Alert(labels={}, starts_at=NOW), system) == f"{title}an alert without labels"


def test_a_headline_says_how_bad_it_is_and_whether_that_is_sure() -> None:
    about = incident(Sev.SEV_2, alert=firing(annotations={"summary": "No answer"}))
    assert headline(about) == "[SEV-2] checkout: No answer (Down)"
    assert headline(replace(about, unsure=True)) == "[SEV-2, unsure] checkout: No answer (Down)"


def test_the_reasons_are_lines_and_the_deciding_one_is_the_first() -> None:
    rules = [fixed("mild", Sev.SEV_4), by_number("customers", {Sev.SEV_1: ">= 25"})]
    alert = firing(annotations={"users_affected_percent": "40%"})
    assert why(Grader(rules, unmatched=Sev.SEV_2).grade(alert)) == (
        "SEV-1 by rule 'customers': annotation users_affected_percent '40%' is >= 25",
        "SEV-4 by rule 'mild': matches every alert",
    )


@given(nasty)
def test_a_reason_is_one_clean_line_whatever_was_measured(text: str) -> None:
    rules = [by_number("customers", {Sev.SEV_1: ">= 25"})]
    alert = firing(annotations={"users_affected_percent": text * 50})
    assert all(is_clean(line) and len(line) <= 500 for line in why(Grader(rules, unmatched=Sev.SEV_2).grade(alert)))


def test_labels_are_shown_in_order_and_clean() -> None:
    shown = shown_labels({"b": "2\n3", "a\u202e": "1", "big": "x" * 1_000_000})
    assert list(shown) == ["a", "b", "big"]
    assert shown["b"] == "2 3"
    assert len(shown["big"]) == 300


def test_the_many_labels_of_a_broken_exporter_are_cut_and_counted() -> None:
    shown = shown_labels({f"label{number:03}": "x" for number in range(100)})
    assert len(shown) == 31
    assert shown[ELLIPSIS] == "and 70 more"


SAFE = [
    "http://prometheus.example:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
    "http://3f2a9c1b:9090/graph?g0.expr=up",
    "http://prometheus-server-0.monitoring.svc.cluster.local:9090/graph?g0.expr=sum%28rate%28x%5B5m%5D%29%29&g0.tab=1",
    "http://prometheus_1:9090/graph?g0.expr=%7Bjob%3D%22node%22%7D+%3E+5",
    "http://localhost:9090/graph?g0.expr=up",
    "http://127.0.0.1:9090/",
    "http://10.1.2.3:9090/graph",
    "http://[2001:db8::1]:9090/graph",
    "https://grafana.example/alerting/grafana/abc-123/view?orgId=1",
    "HTTPS://Runbooks.Example/x#anchor",
    "https://prom.example./graph",
    "https://example/path@2x.png",
    "http://host-1:9090/?q=grüße",
    "https://xn--bcher-kva.example/",
]

UNSAFE = [
    "", " ", "prometheus:9090", "/graph", "//evil.example/x", "http:", "http://", "http:///x", "http:evil.example",
    "javascript:alert(1)", "JavaScript:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "file:///etc/passwd",
    "ftp://host/x", "gopher://host/x", "vbscript:x", "mailto:a@b", "tel:+49301234", "slack://open",
    "http://user@host/", "http://user:secret@host/", "http://good.example@evil.example/", "http://@host/",
    "http://host:99999/", "http://host:port/", "http://[::1", "http://[evil.example]/",
    "http://host/<script>", 'http://host/"onclick="x', "http://host/|text", "http://host/a b", "http://host/a\tb",
    "http://host/\x00", "http://host\\@evil.example/", "http://host/{x}", "http://host/`x`", "http://host/^",
    "http://host/\u202egnp.exe", "http://host/\u2028x", "http://" + "a" * 2_000,
    "http://%65vil.example/", "http://bücher.example/", "http://ho;st/", "http://a,b/", "http://./", "http://.../",
]  # fmt: skip

METADATA = [
    "http://169.254.169.254/latest/meta-data/", "http://169.254.169.254./", "http://169.254.170.2/",
    "http://2852039166/", "http://0xa9fea9fe/", "http://0XA9FEA9FE/", "http://0xa9.0xfe.0xa9.0xfe/",
    "http://0251.0376.0251.0376/", "http://169.254.43518/", "http://169.16689662/", "http://025177524776/",
    "http://169.254.169%2e254/", "http://169.254.169。254/", "http://\uff11\uff16\uff19.254.169.\uff12\uff15\uff14/", "http://①⑥⑨.254.169.254/",
    "http://[::ffff:169.254.169.254]/", "http://[::ffff:a9fe:a9fe]/", "http://[fe80::1]/", "http://[fe80::1%25eth0]/",
    "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::]/",
    "http://[fd00:ec2::254]/", "http://[fd00:0ec2:0:0:0:0:0:254]/", "http://[fd00:ec2::254%251]/",
    "http://100.100.100.200/", "http://168.63.129.16/", "http://192.0.0.192/", "http://[::ffff:100.100.100.200]/",
    "http://metadata/", "http://metadata.google.internal/computeMetadata/v1/", "http://METADATA.google.internal./",
    "http://ⓜetadata.google.internal/", "http://instance-data/", "http://224.0.0.1/",
]  # fmt: skip


@pytest.mark.parametrize("url", SAFE)
def test_an_ordinary_address_is_a_link(url: str) -> None:
    assert is_safe_link(url)


@pytest.mark.parametrize("url", UNSAFE)
def test_what_is_no_plain_address_is_no_link(url: str) -> None:
    assert not is_safe_link(url)


@pytest.mark.parametrize("url", METADATA)
def test_a_metadata_service_is_no_link_however_it_is_written(url: str) -> None:
    assert not is_safe_link(url)


@given(st.one_of(anything, anything.map("http://{}".format), anything.map("http://[{}]/".format)))
def test_any_text_is_a_link_or_not(text: str) -> None:
    if is_safe_link(text):
        assert text.lower().startswith(("http://", "https://"))
        assert is_clean(text)


def test_the_links_of_an_alert_are_named_by_what_they_lead_to() -> None:
    alert = firing(
        generator_url="http://prometheus:9090/graph",
        annotations={
            "runbook_url": "https://runbooks.example/down",
            "dashboard_url": "javascript:alert(1)",
            "dashboardURL": "https://grafana.example/d/1",
            "evil_url": "https://evil.example",
        },
    )
    assert safe_links(alert) == {
        "Source": "http://prometheus:9090/graph",
        "Runbook": "https://runbooks.example/down",
        "Dashboard": "https://grafana.example/d/1",
    }


def test_an_alert_without_links_has_none() -> None:
    assert safe_links(firing()) == {}
