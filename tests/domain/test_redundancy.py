"""One less is the outage: said of counts only, and only where it is so."""

from __future__ import annotations

import math

import pytest

from sevrouter.domain.measure import parse_threshold
from sevrouter.domain.redundancy import one_less_crosses, redundancy_text
from sevrouter.domain.sev import Sev

REPLICAS = [parse_threshold(Sev.SEV_3, "< 2"), parse_threshold(Sev.SEV_1, "< 1")]


def test_the_last_replica_is_one_less_from_the_outage() -> None:
    threshold = one_less_crosses(1.0, REPLICAS, Sev.SEV_3)
    assert threshold is REPLICAS[1]
    assert redundancy_text(threshold) == "no redundancy left: one less is SEV-1"


def test_one_of_two_is_one_less_from_the_next_sev_only_where_that_is_worse() -> None:
    assert one_less_crosses(2.0, REPLICAS, Sev.SEV_4) is REPLICAS[0]
    assert one_less_crosses(2.0, REPLICAS, Sev.SEV_3) is None


@pytest.mark.parametrize("value", [0.0, 1.5, 3.0, -1.0, math.inf, -math.inf, math.nan])
def test_what_is_no_count_or_not_one_short_says_nothing(value: float) -> None:
    assert one_less_crosses(value, REPLICAS, Sev.SEV_3) is None


def test_less_than_nothing_is_no_count() -> None:
    assert one_less_crosses(0.0, [parse_threshold(Sev.SEV_1, "< 0")], Sev.SEV_3) is None


@pytest.mark.parametrize(("text", "value"), [("<= 0", 1.0), ("<= 2", 3.0), ("< 3", 3.0)])
def test_the_bound_itself_counts_as_its_operator_says(text: str, value: float) -> None:
    threshold = parse_threshold(Sev.SEV_1, text)
    assert one_less_crosses(value, [threshold], Sev.SEV_3) is threshold
    assert one_less_crosses(value + 1, [threshold], Sev.SEV_3) is None
    assert one_less_crosses(value - 1, [threshold], Sev.SEV_3) is None


@pytest.mark.parametrize("text", [">= 1", "> 0", "== 0"])
def test_only_what_is_bad_when_it_gets_less_counts(text: str) -> None:
    assert one_less_crosses(1.0, [parse_threshold(Sev.SEV_1, text)], Sev.SEV_3) is None


def test_of_two_that_are_one_less_away_the_worse_counts() -> None:
    both = [parse_threshold(Sev.SEV_2, "< 1"), parse_threshold(Sev.SEV_1, "<= 0")]
    assert one_less_crosses(1.0, both, Sev.SEV_3) is both[1]
