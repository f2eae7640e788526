"""Queries about an alert: whatever its labels say, the same is asked, about exactly them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.promql import LONGEST_QUERY, QueryAnswer, QueryProblem, QueryTemplate
from sevrouter.domain.promql_text import unquote
from tests.domain.promql_reading import strings, tokens
from tests.real.prometheus import RealPrometheus

if TYPE_CHECKING:
    from pathlib import Path

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
# What means something in a query, in a string, in an expression or in a template.
awkward = st.text(st.sampled_from(list("\"'`\\{}()[]#=~!,.*+?|^$-nxu0QEpd \n\r\t\0\x7fé€😀\ufffd\u2028")), min_size=1)
values = texts | awkward


def rendered(template: str, **labels: str) -> str:
    """The query, which can be asked."""
    query = QueryTemplate.parse(template).render(labels)
    assert isinstance(query, str), query
    return query


def refused(template: str, **labels: str) -> QueryAnswer:
    """Why it cannot be asked."""
    answer = QueryTemplate.parse(template).render(labels)
    assert isinstance(answer, QueryAnswer), answer
    return answer


@pytest.mark.parametrize(
    ("template", "query"),
    [
        ('up{pod="{{ pod }}"}', 'up{pod="web-1"}'),
        ('up{pod="{{pod}}"}', 'up{pod="web-1"}'),
        ('up{pod="{{ $labels.pod }}"}', 'up{pod="web-1"}'),
        ("up{pod='{{ pod }}'}", "up{pod='web-1'}"),
        ('up{pod!="{{ pod }}"}', 'up{pod!="web-1"}'),
        ('up{pod = \n"{{ pod }}" , job="x"}', 'up{pod = \n"web-1" , job="x"}'),
        ('up{pod= # which\n"{{ pod }}"}', 'up{pod= # which\n"web-1"}'),
        ('up{pod="a {{ pod }} b {{ pod }}"}', 'up{pod="a web-1 b web-1"}'),
        ('up{ # "which\rpod="{{ pod }}"}', 'up{ # "which\rpod="web-1"}'),
        ('a{x="{{ pod }}"} / b{y="{{ pod }}"}', 'a{x="web-1"} / b{y="web-1"}'),
        ('{"k8s.pod"="{{ pod }}"}', '{"k8s.pod"="web-1"}'),
        ('up{pod=~"{{ pod }}|other"}', 'up{pod=~"web-1|other"}'),
        ('up{pod=~"{{ pod }}-[a-z0-9]{5}"}', 'up{pod=~"web-1-[a-z0-9]{5}"}'),
        ('up{pod=~"(?i)[^]{}[:digit:]]{{ pod }}\\\\.x"}', 'up{pod=~"(?i)[^]{}[:digit:]]web-1\\\\.x"}'),
        ('up{pod!~"{{ pod }}+"}', 'up{pod!~"(?:web-1)+"}'),
        ('up{pod!~"{{ pod }}{2}"}', 'up{pod!~"(?:web-1){2}"}'),
        ("vector(1)", "vector(1)"),
        ('label_replace(up, "a", "$1 \\" {", "b", "(.*)")', 'label_replace(up, "a", "$1 \\" {", "b", "(.*)")'),
    ],
)
def test_the_value_of_a_label_stands_in_the_value_of_a_matcher(template: str, query: str) -> None:
    assert rendered(template, pod="web-1") == query


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("k8s.pod.name", "k8s.pod.name"),
        ("$labels.k8s.pod.name", "k8s.pod.name"),
        ("größe 😀", "größe 😀"),
        ("a | b", "a | b"),
        (r"quo\"ted", 'quo"ted'),
        (r"\u0061", "a"),
    ],
)
def test_a_label_may_have_any_name(name: str, label: str) -> None:
    template = QueryTemplate.parse(f'up{{a="{{{{ {name} }}}}"}}')
    assert template.labels == (label,)
    assert template.render({label: "x"}) == 'up{a="x"}'


def test_the_labels_that_are_needed_are_each_told_once_in_their_order() -> None:
    template = QueryTemplate.parse('a{x="{{ pod }}", y=~"{{ job }}"} > b{x="{{ $labels.pod }}"}')
    assert template.labels == ("pod", "job")
    assert QueryTemplate.parse("vector(1)").labels == ()


@pytest.mark.parametrize(
    ("template", "what", "instead"),
    [
        (" \n", "is empty", "sum(up"),
        ("x" * (LONGEST_QUERY + 1), "characters", "recording rule"),
        ("up{pod={{ pod }}}", "{{ pod }} stands outside of quotes", 'up{pod="{{ pod }}"}'),
        ("sum by ({{ pod }}) (up)", "outside of quotes", 'up{pod="{{ pod }}"}'),
        ("{{ metric }}", "outside of quotes", 'up{pod="{{ pod }}"}'),
        ("up{{ pod }}", "outside of quotes", 'up{pod="{{ pod }}"}'),
        ("up # {{ pod }}", "in a comment", "leave it out"),
        ("up{pod=`{{ pod }}`}", "in backticks", '"…"'),
        ('label_replace(up, "a", "{{ pod }}", "b", ".*")', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('label_join(up, "{{ pod }}", ",")', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('count_values("{{ pod }}", up)', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('sum by ("{{ pod }}") (up)', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('{"{{ pod }}"}', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('{"{{ pod }}"="x"}', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('up{a="b"} == "{{ pod }}"', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('up{a=="{{ pod }}"}', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('up{a="b" "{{ pod }}"}', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('up{a="b"} = "{{ pod }}"', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('x = "{{ pod }}"', "no label is compared with", 'up{pod="{{ pod }}"}'),
        ('up{pod="{{ pod }}', "does not end on its line", ""),
        ('up{pod="a\n{{ pod }}"}', "does not end on its line", ""),
        ("up{pod='x", "does not end on its line", ""),
        ("up{pod=`x", "does not end on its line", ""),
        ('up{pod="{{ pod"}', "begins no placeholder", "\\x7b"),
        ('up{pod="{{ pod }"}', "begins no placeholder", "\\x7b"),
        ('up{pod="{{{{ pod }}}}"}', "begins no placeholder", "\\x7b"),
        ('up{pod="{{ }}"}', "names no label", "{{ pod }}"),
        ('up{pod="{{ $value }}"}', "names no label", "{{ pod }}"),
        ('up{pod="{{ $labels. }}"}', "names no label", "{{ pod }}"),
        ('up{pod="{{ .Labels.pod }}"}', "names no label", "{{ pod }}"),
        ('up{pod="{{ $labels.pod | toLower }}"}', "names no label", "{{ pod }}"),
    ],
)
def test_a_placeholder_anywhere_else_is_refused(template: str, what: str, instead: str) -> None:
    with pytest.raises(ValueError, match=re.escape(what)) as refusal:
        QueryTemplate.parse(template)
    assert instead in str(refusal.value)


@pytest.mark.parametrize(
    "before", ["\\", "\\\\\\", "\\x", "\\x4", "\\u00", "\\U0000004", "\\0", "\\10", "\\q", "\\400"]
)
def test_no_value_can_complete_an_escape_of_the_string(before: str) -> None:
    with pytest.raises(ValueError, match="is no escape of PromQL"):
        QueryTemplate.parse(f'up{{pod="{before}{{{{ pod }}}}"}}')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[", "]"),
        ("[^", "]"),
        ("[]", "]"),
        ("[^]", "]"),
        ("[[:alpha:]", "]"),
        ("[", "[a]"),
        ("[]", "[a]"),
        ("[^]", "[a]"),
        ("[[:alpha:]", "[a]"),
        ("[[:x]", "[a:]"),
        ("[a\\\\]", "]"),
        ("a{", "}"),
        ("a{1,", "}"),
        ("(?", ")"),
        ("(?P<", ">x)"),
        ("(?i", ")"),
        ("\\\\", ""),
        ("\\\\x", ""),
        ("\\\\x4", ""),
        ("\\\\x{", "}"),
        ("\\\\p", ""),
        ("\\\\p{", "}"),
        ("\\\\1", ""),
        ("\\\\Q", "\\\\E"),
        ("\\x5c", ""),
        ("\\x5b", "]"),
    ],
)
def test_no_value_can_complete_or_change_a_token_of_the_expression(before: str, after: str) -> None:
    around = f'"{before}{{{{ pod }}}}{after}"'
    with pytest.raises(ValueError, match="would not take it for a text"):
        QueryTemplate.parse(f"up{{pod=~{around}}}")
    assert rendered(f"up{{pod={around}}}", pod="x")


@pytest.mark.parametrize("labels", [{}, {"pod": ""}, {"other": "x"}])
def test_without_its_label_nothing_is_asked(labels: dict[str, str]) -> None:
    template = 'up{job="{{ job }}", pod=~"{{ pod }}"}'
    answer = refused(template, job="x", **labels)
    assert answer == QueryAnswer(problem=QueryProblem.LABEL_MISSING, detail="the alert has no label 'pod'")


def test_a_value_of_a_megabyte_is_not_asked_about() -> None:
    for value in ("x" * 1_000_000, "x" * LONGEST_QUERY, "\0" * (LONGEST_QUERY // 4)):
        assert refused('up{pod="{{ pod }}"}', pod=value).problem is QueryProblem.QUERY_TOO_LONG
    longest = "x" * (LONGEST_QUERY - len('up{pod=""}'))
    assert len(rendered('up{pod="{{ pod }}"}', pod=longest)) == LONGEST_QUERY


def test_a_placeholder_in_a_value_stays_a_text() -> None:
    assert rendered('up{a="{{ a }}", b="{{ b }}"}', a="{{ b }}", b="x") == 'up{a="{{ b }}", b="x"}'


def test_half_a_character_is_replaced_as_prometheus_does() -> None:
    assert rendered('up{a="{{ a }}"}', a="x\ud800") == 'up{a="x\\ufffd"}'


@pytest.mark.parametrize("mark", ['"', "'"])
@given(value=values, other=values)
def test_no_value_changes_what_a_query_consists_of(mark: str, value: str, other: str) -> None:
    template = "sum by (job) (a{x=~MA {{ x }} (b|c)M,yM!=M{{ y }}M}) # M\n or b{c=M{{ x }}{{ y }}M}".replace("yM", "y")
    query = rendered(template.replace("M", mark), x=value, y=other)
    plain = rendered(template.replace("M", mark), x="x", y="y")
    kinds, plain_kinds = (
        [bytes if isinstance(each, bytes) else each for each in tokens(text)] for text in (query, plain)
    )
    assert kinds == plain_kinds
    _, matched, both = strings(query)
    assert matched.decode() == other
    assert both.decode() == value + other
    assert query.replace("# " + mark + "\n", "").isprintable()


@given(value=values, other=values)
def test_an_expression_matches_the_value_of_the_label_alone(value: str, other: str) -> None:
    pattern = strings(rendered('a{b=~"{{ b }}"}', b=value))[0].decode()
    assert re2.fullmatch(pattern, value)
    assert (re2.fullmatch(pattern, other) is not None) == (other == value)


@given(value=values)
def test_a_repeated_value_is_repeated_as_a_whole(value: str) -> None:
    pattern = strings(rendered('a{b=~"x{{ b }}{2}y"}', b=value))[0].decode()
    assert re2.fullmatch(pattern, f"x{value}{value}y")
    assert not re2.fullmatch(pattern, f"x{value}{value[-1]}yy")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\a\b\f\n\r\t\v", "\a\b\f\n\r\t\v"),
        (r"\\\"x", '\\"x'),
        (r"\x41\101\u0041\U00000041", "AAAA"),
        (r"\xc3\xa9\303\251é\u00e9", "éééé"),
        (r"\U0001f600\0001", "😀\x001"),
        (r"\xff", "\ufffd"),
    ],
)
def test_what_is_written_around_a_placeholder_is_read_as_prometheus_reads_it(written: str, meant: str) -> None:
    assert unquote(written) == meant
    assert strings(f'"{written}"')[0].decode(errors="replace") == meant


EVIL = [
    "plain",
    "Plain",
    "plain\n",
    " plain",
    '"} or vector(1) #',
    "'} or vector(1) #",
    '"',
    "'",
    "`",
    "\\",
    "\\\\",
    "\\n",
    "\n",
    "\r",
    "\t",
    "\0",
    "a\0b",
    "\x7f",
    "\x85",
    ".*",
    ".+",
    "plain|.*",
    "(?i)plain",
    "[a-z]+",
    "^plain$",
    "pla(in)",
    "p{1}lain",
    "\\Qplain\\E",
    "\\d",
    "$1 ${1} %s {{ evil }}",
    "# not a comment",
    "größe",
    "😀",
    "\u2028",
    "\u202e",
    "\ufffd",
    "\N{NO-BREAK SPACE}",
    "x" * 5_000,
]


def rule_file(rules: list[dict[str, object]]) -> str:
    """A rule file in YAML, which knows JSON's escapes but not its pairs of them for one character."""
    written = json.dumps({"groups": [{"name": "test", "rules": rules}]}, ensure_ascii=False)
    return re.sub(r"[^ -~]", lambda found: f"\\U{ord(found[0]):08x}", written)


async def test_a_real_prometheus_gives_exactly_what_is_asked_for(prometheus_binary: Path, tmp_path: Path) -> None:
    rules: list[dict[str, object]] = [
        {"record": "evil", "expr": f"vector({number})", "labels": {"text": text}} for number, text in enumerate(EVIL)
    ]
    alone = [
        'evil{text="{{ evil }}"}',
        "evil{text='{{ evil }}'}",
        'evil{text=~"{{ evil }}"}',
        "evil{text=~'{{ evil }}'}",
    ]
    alone += ['evil{text=~"({{ evil }}|nothing)"}', 'evil{text=~"{{ evil }}{1}"}']
    others = ['evil{text!="{{ evil }}"}', 'evil{text!~"{{ evil }}"}']
    async with RealPrometheus(prometheus_binary, directory=tmp_path, rules=rule_file(rules)) as prometheus:
        await prometheus.wait_for("count(evil)", lambda samples: bool(samples) and samples[0].value == len(EVIL))
        for number, text in enumerate(EVIL):
            for template in alone:
                found = await prometheus.query(rendered(template, evil=text))
                assert [(sample.labels["text"], sample.value) for sample in found] == [(text, number)], (template, text)
            for template in others:
                found = await prometheus.query(rendered(template, evil=text))
                assert {sample.value for sample in found} == {*range(len(EVIL))} - {number}, (template, text)
