"""Answers: what a service says of itself, and when it wants to be asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.redaction import REDACTED, redact
from sevrouter.notifiers.answers import LONGEST_WISH, Answer, Meaning, judge, not_done, read_answer, retry_after
from tests.notifiers.notices import NOW


def read(body: bytes, *secrets: str, status: int = 400, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_answer(status, named, body, secrets=secrets, now=NOW)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "answered 400"),
        (b"plain words", "answered 400: plain words"),
        (b'{"message": "a", "errors": ["b", 7, "c"]}', "answered 400: a; b; c"),
        (b'{"errorMessages": ["a"], "errors": {"f": "b", "g": 7}}', "answered 400: a; f: b"),
        (b'{"ok": false, "error": "missing_scope", "needed": "chat:write"}', "answered 400: missing_scope; chat:write"),
        (b'{"other": 1}', 'answered 400: {"other": 1}'),
        (b'{"message": 7}', 'answered 400: {"message": 7}'),
        (b"\xff\xfe", "answered 400: \ufffd\ufffd"),
    ],
)
def test_the_detail_is_the_status_and_their_words(body: bytes, detail: str) -> None:
    assert read(body).detail == detail


def test_headers_are_never_told() -> None:
    assert "sekrit" not in repr(read(b"", Set_Cookie="sekrit", Authorization="sekrit"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30", NOW + timedelta(seconds=30)),
        ("1.5", NOW + timedelta(seconds=1.5)),
        ("inf", NOW + LONGEST_WISH),
        ("9" * 400, NOW + LONGEST_WISH),
        ("Sat, 31 Jan 2026 09:06:00 GMT", NOW + timedelta(minutes=1)),
        ("Sat, 31 Jan 2026 10:06:00 +0100", NOW + timedelta(minutes=1)),
        ("Sat, 31 Jan 2026 09:06:00 -0000", NOW + timedelta(minutes=1)),
        ("Sun, 01 Feb 2026 09:06:00 GMT", NOW + LONGEST_WISH),
        ("Sat, 31 Jan 2026 09:00:00 GMT", None),
        ("-5", None),
        ("nan", None),
        ("-inf", None),
        ("tomorrow", None),
        ("", None),
        ("Sat, 31 Jan 99999 09:00:00 GMT", None),
        ("Sat, 31 Jan 2026 09:06:00 +9999", None),
    ],
)
def test_a_wish_is_honoured_up_to_an_hour(text: str, expected: datetime | None) -> None:
    assert retry_after(text, now=NOW) == expected


@given(st.text(max_size=40))
def test_no_wish_is_an_exception_or_far_away(text: str) -> None:
    found = retry_after(text, now=NOW)
    assert found is None or (found.tzinfo is not None and NOW <= found <= NOW + LONGEST_WISH)


STATUSES = {
    503: (Meaning.NOT_DONE_IF_TOLD_WHEN, OutcomeReason.SERVER_ERROR),
    5: (Meaning.MAYBE_DONE, OutcomeReason.SERVER_ERROR),
    429: (Meaning.NOT_DONE, OutcomeReason.RATE_LIMITED),
}


def test_a_status_comes_before_its_class_and_both_before_a_refusal() -> None:
    soon = NOW + timedelta(seconds=1)
    assert judge(Answer(500, detail="d"), STATUSES) == Unknown(OutcomeReason.SERVER_ERROR, "d")
    assert judge(Answer(503), STATUSES) == Unknown(OutcomeReason.SERVER_ERROR)
    assert judge(Answer(503, not_before=soon), STATUSES) == Retry(OutcomeReason.SERVER_ERROR, "", soon)
    assert judge(Answer(429), STATUSES) == Retry(OutcomeReason.RATE_LIMITED)
    assert judge(Answer(418), STATUSES) == Rejected(OutcomeReason.REFUSED)


def test_a_question_without_an_answer_has_changed_nothing() -> None:
    assert not_done(Unknown(OutcomeReason.TIMED_OUT, "d")) == Retry(OutcomeReason.TIMED_OUT, "d")
    rejected = Rejected(OutcomeReason.REFUSED)
    assert not_done(rejected) is rejected
    retry = Retry(OutcomeReason.RATE_LIMITED, "d", NOW)
    assert not_done(retry) is retry


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60), st.text(max_size=20))
def test_a_secret_is_redacted_wherever_it_stands(secret: str, around: str) -> None:
    assert secret not in redact(f"{around}{secret}{around}{secret}", [secret]).replace(REDACTED, "")


def test_a_secret_inside_another_leaves_no_rest() -> None:
    assert redact("user:password", ["user", "user:password"]) == REDACTED


def test_an_empty_secret_redacts_nothing() -> None:
    assert redact("text", [""]) == "text"


def test_now_is_aware() -> None:
    assert NOW.tzinfo is UTC
