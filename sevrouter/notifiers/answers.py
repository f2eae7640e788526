"""What a service answered, and what that says of the effect: the status as data, not as branches.

Pure: knows HTTP's words and our outcomes. Must not know a vendor or a connection.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, assert_never

import msgspec

from sevrouter.domain.delivery import OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.redaction import redact
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A service that asks for more than this is asked again anyway: an hour's silence is too long for an incident.
LONGEST_WISH = timedelta(hours=1)
LONGEST_EXCERPT = 240

# Where the services write what is wrong. Redacting costs time, so no more than this much of it is looked at.
_WORDS = ("error", "message", "errorMessages", "errors", "needed")
_MOST_WORDS = 4_000

Failure = Retry | Unknown | Rejected


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `document` is empty where it is no JSON object; `detail` is one line without secrets."""

    status: int
    document: Mapping[str, object] = field(default_factory=dict)
    detail: str = ""
    not_before: datetime | None = None


class Meaning(enum.Enum):
    """What a status says of the effect that was asked for."""

    NOT_DONE = "not_done"
    NOT_DONE_IF_TOLD_WHEN = "not_done_if_told_when"
    MAYBE_DONE = "maybe_done"
    NEVER = "never"


# By status, or by its first digit. What is in neither place is refused for good.
Statuses = Mapping[int, tuple[Meaning, OutcomeReason]]
_REFUSED = (Meaning.NEVER, OutcomeReason.REFUSED)


def read_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: datetime
) -> Answer:
    """Make an answer of what was received."""
    document = decode_object(body)
    words = "; ".join(_words(document)) or body[:_MOST_WORDS].decode(errors="replace")
    said = one_line(redact(words[:_MOST_WORDS], secrets), LONGEST_EXCERPT)
    return Answer(
        status,
        document,
        f"answered {status}: {said}" if said else f"answered {status}",
        retry_after(headers.get("Retry-After", ""), now=now),
    )


def judge(answer: Answer, statuses: Statuses) -> Failure:
    """The outcome of an answer that is not a success."""
    meaning, reason = statuses.get(answer.status) or statuses.get(answer.status // 100) or _REFUSED
    return failure(meaning, reason, answer)


def failure(meaning: Meaning, reason: OutcomeReason, answer: Answer) -> Failure:
    """An outcome with the answer's words and its wish."""
    match meaning:
        case Meaning.NOT_DONE:
            return Retry(reason, answer.detail, answer.not_before)
        case Meaning.NOT_DONE_IF_TOLD_WHEN if answer.not_before is not None:
            return Retry(reason, answer.detail, answer.not_before)
        case Meaning.NOT_DONE_IF_TOLD_WHEN | Meaning.MAYBE_DONE:
            return Unknown(reason, answer.detail)
        case Meaning.NEVER:
            return Rejected(reason, answer.detail)
    assert_never(meaning)


def not_done(outcome: Failure) -> Retry | Rejected:
    """The outcome of a question: one that got no answer has changed nothing."""
    return Retry(outcome.reason, outcome.detail) if isinstance(outcome, Unknown) else outcome


def retry_after(text: str, *, now: datetime) -> datetime | None:
    """When a service wants to be asked again (seconds or an HTTP date), at most an hour ahead.

    None where it does not say, or says nonsense.
    """
    wish = _wish(text.strip(), now)
    if wish is None or wish < timedelta(0):
        return None
    return now + min(wish, LONGEST_WISH)


def _wish(text: str, now: datetime) -> timedelta | None:
    try:
        seconds = float(text)
    except ValueError:
        return _until(text, now)
    # Not `< 0`: that would let "nan" pass.
    return timedelta(seconds=min(seconds, LONGEST_WISH.total_seconds())) if seconds >= 0 else None


def _until(text: str, now: datetime) -> timedelta | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)) - now


def decode_object(body: bytes) -> Mapping[str, object]:
    """A JSON object, or an empty one where the text is something else."""
    try:
        document: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _words(document: Mapping[str, object]) -> Iterator[str]:
    for name in _WORDS:
        match document.get(name):
            case str(text):
                yield text
            case list(texts):
                for each in texts:
                    match each:
                        case str(text) | {"message": str(text)}:
                            yield text
            case dict(texts):
                yield from (f"{field}: {text}" for field, text in texts.items() if isinstance(text, str))
