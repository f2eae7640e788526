"""An alert is identified by its labels alone; what can change while they stay is its content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.alert import Alert
from tests.domain.building import NOW, at, firing

texts = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


@given(texts, texts, texts)
def test_two_alerts_with_the_same_labels_are_the_same_alert(
    labels: dict[str, str], some: dict[str, str], other: dict[str, str]
) -> None:
    one = Alert(labels=labels, annotations=some, values=other, starts_at=NOW, generator_url="http://a:9090")
    again = Alert(labels=labels, annotations=other, values=some, starts_at=at(9), generator_url="http://b:9090")
    assert one.digest == again.digest


def test_an_alert_with_another_label_is_another_alert() -> None:
    assert firing(pod="a").digest != firing(pod="b").digest


def test_a_digest_that_is_given_is_kept() -> None:
    assert Alert(labels={"a": "b"}, starts_at=NOW, digest=b"given").digest == b"given"


def test_the_content_of_an_alert_changes_with_its_annotations_and_values() -> None:
    contents = {
        firing(annotations={"a": "1"}).content,
        firing(annotations={"a": "2"}).content,
        firing(values={"a": "1"}).content,
        firing(annotations={"a": "1"}, values={"a": "1"}).content,
        firing().content,
    }
    assert len(contents) == 5


def test_the_content_of_an_alert_is_not_touched_by_what_differs_between_replicas() -> None:
    assert firing(start=0, generator_url="http://a").content == firing(start=1, generator_url="http://b").content


def test_an_alert_without_labels_has_an_identity_too() -> None:
    assert len(Alert(labels={}, starts_at=NOW).digest) == 16


@pytest.mark.parametrize("value", ["x" * 1_000_000, "\x00", "\u2028", "😀"])
def test_any_label_value_makes_a_digest(value: str) -> None:
    assert len(firing(text=value).digest) == 16
