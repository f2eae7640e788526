"""What people and Prometheus write as a number is read; what is none is never taken for one."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sevrouter.domain.measure import (
    LONGEST_NUMBER,
    Measure,
    Problem,
    Source,
    parse_threshold,
    read_number,
)
from sevrouter.domain.sev import Sev
from tests.domain.building import firing
from tests.domain.prometheus_formats import humanize, humanize1024, humanize_duration, humanize_percentage

# Four digits are written, so half of the fourth is lost.
FOUR_DIGITS = 5.1e-4

magnitudes = st.builds(
    lambda digits, exponent, sign: sign * digits * 10.0**exponent,
    st.floats(1, 10),
    st.integers(-29, 29),
    st.sampled_from([1, -1]),
)
numbers = st.one_of(magnitudes, st.integers(-5000, 5000).map(float))


def reads_back(text: str, number: float) -> bool:
    return any(math.isclose(each, number, rel_tol=FOUR_DIGITS) for each in read_number(text))


@given(numbers)
@example(999.95)
@example(0.9999999)
@example(1e30)
def test_what_humanize_writes_is_read_back(number: float) -> None:
    assert reads_back(humanize(number), number)


@given(numbers)
@example(1023.99)
@example(1048575.0)
def test_what_humanize1024_writes_is_read_back(number: float) -> None:
    assert reads_back(humanize1024(number), number)


@given(numbers)
def test_what_humanize_percentage_writes_is_read_back_as_percent(number: float) -> None:
    text = humanize_percentage(number)
    assert reads_back(text, number * 100)
    assert len(read_number(text)) == 1


@given(st.one_of(st.floats(-1e15, 1e15), magnitudes.filter(lambda each: abs(each) < 1)))
@example(59.9999)
@example(60.0)
@example(86399.0)
@example(-90061.5)
@example(3e-11)
@example(2e-23)
def test_what_humanize_duration_writes_is_read_back_as_seconds(seconds: float) -> None:
    read = read_number(humanize_duration(seconds))
    if abs(seconds) < 60:
        assert any(math.isclose(each, seconds, rel_tol=FOUR_DIGITS) for each in read)
    else:
        # From a minute on it writes whole seconds, cut and not rounded.
        assert read == (math.copysign(int(abs(seconds)), seconds),)


@pytest.mark.parametrize("write", [humanize, humanize1024, humanize_percentage, humanize_duration])
def test_what_is_not_finite_is_read_back_from_every_format(write: type[str]) -> None:
    assert read_number(write(math.inf)) == (math.inf,)
    assert read_number(write(-math.inf)) == (-math.inf,)
    assert [math.isnan(each) for each in read_number(write(math.nan))] == [True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.5", 12.5), ("12.5%", 12.5), ("12.5 %", 12.5), (" 12 ", 12), ("-3", -3), ("+3", 3), ("1.", 1), (".5", 0.5),
        ("1e3", 1000), ("1.5E-3", 0.0015), ("0", 0), ("-0", 0), ("1.2k", 1200), ("1.2K", 1200), ("3.4M", 3.4e6),
        ("2G", 2e9), ("1.5E", 1.5e18), ("1.5Gi", 1.5 * 2**30), ("1.5GiB", 1.5 * 2**30), ("1Ki", 1024), ("1ki", 1024),
        ("3kB", 3000), ("5B", 5), ("20MB", 2e7), ("3m20s", 200), ("3m 20s", 200), ("1d 2h 3m 4s", 93784), ("1h", 3600),
        ("-1h 30m", -5400), ("2w", 1209600), ("1y1d", 31622400), ("250ms", 0.25), ("3 h", 10800), ("40us", 4e-5),
        ("40µs", 4e-5), ("40μs", 4e-5), ("1.5h", 5400), ("inf", math.inf), ("+Inf", math.inf), ("-Inf", -math.inf),
        ("Infinity", math.inf), ("+Inf%", math.inf), ("1e999", math.inf), ("-1e999", -math.inf),
    ],
)  # fmt: skip
def test_what_people_write_is_read(text: str, expected: float) -> None:
    assert read_number(text) == pytest.approx((expected,))


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "abc", "%", "k", "s", ".", "-", "1,5", "1.234.567", "1,000", "12 of 40", "1..2", "5mm", "5 5", "1h30",
        "0x10", "1_000", "\u0663", "\uff11\uff12", "{{ $value }}", "<no value>", "%!f(string=x)", "1e", "--1", "5%%",
        "5k%", "12.5\x00", "nano", "infinite", "1h-30m", "5\u00a0%", "3H", "$5", "€5", "5/s", "1dB", "1e5e5", "1m1",
        "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_number_is_not_taken_for_one(text: str) -> None:
    assert read_number(text) == ()


def test_five_m_is_five_minutes_to_people_and_five_thousandths_to_humanize() -> None:
    assert read_number("5m") == pytest.approx((300, 0.005))
    assert read_number("1y") == pytest.approx((31536000, 1e-24))


@given(st.text(max_size=40))
def test_any_text_is_read_or_not_and_never_more_than_twice(text: str) -> None:
    assert len(read_number(text)) <= 2


@pytest.mark.parametrize("text", ["9" * 1_000_000, "1s" * 500_000, "1" + " " * 1_000_000 + "s", "0." + "1" * 1_000_000])
def test_a_megabyte_of_digits_is_no_number(text: str) -> None:
    reading = Measure(Source.ANNOTATION, "value").read(firing(annotations={"value": text}))
    assert reading.problem is Problem.UNREADABLE
    assert len(str(reading)) < LONGEST_NUMBER + 50


@pytest.mark.parametrize(
    ("source", "name"), [(Source.LABEL, "percent"), (Source.ANNOTATION, "affected"), (Source.VALUE, "B")]
)
def test_a_measure_reads_the_part_of_the_alert_that_it_names(source: Source, name: str) -> None:
    alert = firing(percent="1", affected="11", B="111", annotations={"affected": "2", "percent": "22", "B": "222"},
                   values={"B": "3", "percent": "33", "affected": "333"})  # fmt: skip
    expected = {Source.LABEL: 1.0, Source.ANNOTATION: 2.0, Source.VALUE: 3.0}
    assert Measure(source, name).read(alert).numbers == (expected[source],)


@pytest.mark.parametrize(
    ("text", "problem"),
    [(None, Problem.MISSING), ("", Problem.MISSING), ("  ", Problem.MISSING), ("many", Problem.UNREADABLE),
     ("NaN", Problem.NOT_A_NUMBER), ("-nan %", Problem.NOT_A_NUMBER)],
)  # fmt: skip
def test_a_reading_says_why_there_is_no_number(text: str | None, problem: Problem) -> None:
    annotations = {} if text is None else {"affected": text}
    reading = Measure(Source.ANNOTATION, "affected").read(firing(annotations=annotations))
    assert reading.problem is problem
    assert reading.numbers == ()


def test_a_reading_names_its_source_and_quotes_what_it_read() -> None:
    measure = Measure(Source.ANNOTATION, "affected")
    assert str(measure.read(firing(annotations={"affected": "12 %"}))) == "annotation affected '12 %'"
    assert str(measure.read(firing())) == "annotation affected missing"


@pytest.mark.parametrize(
    ("text", "bad", "good"),
    [
        (">= 25", [25, 25.1, math.inf], [24.9, -math.inf, 0]),
        ("> 0", [0.001, math.inf], [0, -1]),
        ("<= 1", [1, 0, -math.inf], [1.001, math.inf]),
        ("< 2", [1.99, -5], [2, 3]),
        ("== 0", [0, -0.0], [0.1, -1]),
        (">=4h", [14400], [14399]),
        ("> 5m", [301], [300, 1]),
        ("  <  1.5Gi ", [2.0**30], [2.0**31]),
        (">= 5%", [5], [4.99]),
        ("== +Inf", [math.inf], [-math.inf, 1e308]),
    ],
)
def test_a_threshold_is_crossed_on_its_bad_side_only(text: str, bad: list[float], good: list[float]) -> None:
    threshold = parse_threshold(Sev.SEV_1, text)
    assert all(threshold.is_crossed_by(number) for number in bad)
    assert not any(threshold.is_crossed_by(number) for number in good)


def test_a_threshold_is_shown_as_it_was_written() -> None:
    assert parse_threshold(Sev.SEV_1, " >=4h ").text == ">= 4h"


@pytest.mark.parametrize(
    "text", ["", "25", "=> 25", "> = 5", "!= 3", ">", ">= many", ">= NaN", "> 5 > 3", "=5", ">>5", "~5"]
)
def test_what_is_no_threshold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        parse_threshold(Sev.SEV_1, text)


@given(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12),
    st.sampled_from([">=", "<=", "=="]),
)
def test_a_number_stands_on_its_own_bound(number: float, operator: str) -> None:
    assert parse_threshold(Sev.SEV_2, f"{operator} {number!r}").is_crossed_by(number)
