"""What is allowed and probably not meant. The files under good/warns-* show how each warning reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.config.doubts import _is_implied, contradiction
from sevrouter.domain.labels import parse_matcher
from sevrouter.domain.measure import parse_threshold
from sevrouter.domain.sev import Sev

BOUNDS = st.builds(
    lambda operator, bound: f"{operator} {bound}", st.sampled_from([">=", ">", "<=", "<", "=="]), st.integers(-3, 3)
)


@pytest.mark.parametrize(
    ("worse", "lesser", "implied"),
    [
        (">= 25", ">= 5", False),
        (">= 5", ">= 25", True),
        ("> 5", ">= 5", False),
        (">= 5", "> 5", True),
        ("< 1", "< 2", False),
        ("< 2", "< 1", True),
        ("< 1", "> 5", False),
        ("== 5", ">= 5", False),
        (">= 5", "== 7", True),
        (">= 5", "== 3", False),
        ("== 5", "== 5", True),
    ],
)
def test_a_bound_is_in_the_shadow_of_a_worse_one(worse: str, lesser: str, implied: bool) -> None:
    assert _is_implied(parse_threshold(Sev.SEV_4, lesser), parse_threshold(Sev.SEV_1, worse)) is implied


@given(BOUNDS, BOUNDS)
def test_a_bound_in_the_shadow_is_never_crossed_alone(worse: str, lesser: str) -> None:
    # Halves and a number beyond each end tell apart all that bounds of whole numbers can.
    numbers = [half / 2 for half in range(-9, 10)]
    above, below = parse_threshold(Sev.SEV_1, worse), parse_threshold(Sev.SEV_4, lesser)

    alone = [number for number in numbers if below.is_crossed_by(number) and not above.is_crossed_by(number)]

    assert _is_implied(below, above) is not bool(alone)


@pytest.mark.parametrize(
    "matchers",
    [
        ['a="x"', 'b="y"'],
        ['a="x"', 'a="x"'],
        ['a="x"', 'a!="y"'],
        ['a="x"', 'a=~"x|y"'],
        ['a="x"', 'a!~"y"'],
        ['a=~"x.*"', 'a!~"xy"'],
        ['a=~".+"', 'a!=""'],
    ],
)
def test_matchers_that_can_be_met_together_are_no_contradiction(matchers: list[str]) -> None:
    parsed = [parse_matcher(text) for text in matchers]

    assert contradiction(parsed) is None
