"""Severities compare by what they mean, never by their number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.sev import Sev, parse_sev, sev_name, worst

anything = st.sampled_from([*Sev, None])


def test_sev_1_is_worse_than_sev_2() -> None:
    assert Sev.SEV_1.is_worse_than(Sev.SEV_2)
    assert not Sev.SEV_2.is_worse_than(Sev.SEV_1)


def test_no_sev_is_worse_than_itself() -> None:
    assert not any(sev.is_worse_than(sev) for sev in Sev)


def test_any_sev_is_worse_than_no_incident() -> None:
    assert all(sev.is_worse_than(None) for sev in Sev)


def test_people_are_called_for_the_two_worst_only() -> None:
    assert [sev for sev in Sev if sev.is_major] == [Sev.SEV_1, Sev.SEV_2]


def test_a_smaller_number_cannot_be_mistaken_for_a_milder_sev() -> None:
    with pytest.raises(TypeError):
        _ = Sev.SEV_1 < Sev.SEV_2  # type: ignore[operator]


@pytest.mark.parametrize("sev", [*Sev, None])
def test_a_sev_is_read_as_it_is_written(sev: Sev | None) -> None:
    assert parse_sev(sev_name(sev)) is sev


@pytest.mark.parametrize(
    "text", ["SEV-6", "SEV-0", "sev-1", "SEV1", " SEV-1", "1", "", "NONE", "SEV-1\n", "SEV-\u0661"]
)
def test_what_is_nearly_a_sev_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a SEV"):
        parse_sev(text)


def test_the_worst_of_nothing_is_no_incident() -> None:
    assert worst([]) is None
    assert worst([None, None]) is None


@given(st.lists(anything))
def test_nothing_among_them_is_worse_than_the_worst(sevs: list[Sev | None]) -> None:
    result = worst(sevs)
    assert result in sevs or not sevs
    assert not any(sev is not None and sev.is_worse_than(result) for sev in sevs)
