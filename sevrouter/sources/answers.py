"""What Prometheus' HTTP API answered to an instant query, and what that says: a status and a body, made a value.

Pure: knows the API's words. Must not know a connection.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from sevrouter.domain.promql import QueryAnswer, QueryProblem, Series
from sevrouter.domain.redaction import redact
from sevrouter.domain.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

# More series than this are no answer to "how bad is it?"; a query that gives them has lost a `sum` or a `max`.
MOST_SERIES = 10_000
MOST_WARNINGS = 5
LONGEST_DETAIL = 240
# Characters. Redacting costs time, so no more than this much is looked at.
_MOST_WORDS = 4_000

P = QueryProblem

# The API's error types; a type that is not here is judged by its status.
_BY_ERROR_TYPE = {
    "bad_data": P.BAD_QUERY, "execution": P.BAD_QUERY, "timeout": P.TIMED_OUT, "canceled": P.AWAY,
    "unavailable": P.AWAY, "internal": P.AWAY,
}  # fmt: skip
# Of an error in the API's words, where others that speak it have their own types.
_BY_ERROR_STATUS = {400: P.BAD_QUERY, 422: P.BAD_QUERY}
# By status, or by its first digit. A redirect leads to a page to log in, or the address is not quite right.
_BY_STATUS = {401: P.REFUSED, 403: P.REFUSED, 407: P.REFUSED, 408: P.TIMED_OUT, 429: P.AWAY, 3: P.REFUSED, 5: P.AWAY}

_Sample = tuple[float, str]


class _Series(Struct, gc=False):
    metric: dict[str, str]
    value: _Sample


class _Data(Struct, rename="camel"):
    result_type: str
    result: Raw


class _Document(Struct, rename="camel"):
    status: str
    data: Raw = Raw()
    error_type: str = ""
    error: str = ""
    warnings: Any = None
    infos: Any = None


def read_answer(status: int, body: bytes, *, secrets: Sequence[str] = ()) -> QueryAnswer:
    """Make a value of what was received. `secrets` are kept out of its words."""
    document = _decoded(body)
    if document is None or document.status != "success" or status // 100 != 2:
        return _refusal(status, document, body, secrets)
    try:
        answer = _numbers(document.data)
    except (msgspec.MsgspecError, ValueError) as error:
        detail = (
            f"answered {status} in a shape that cannot be read: {one_line(redact(str(error)[:_MOST_WORDS], secrets))}"
        )
        answer = QueryAnswer(problem=P.UNREADABLE, detail=detail)
    return msgspec.structs.replace(answer, warnings=_warnings(document, secrets))


def _decoded(body: bytes) -> _Document | None:
    try:
        return msgspec.json.decode(body, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _refusal(status: int, document: _Document | None, body: bytes, secrets: Sequence[str]) -> QueryAnswer:
    words = document.error if document else body[:_MOST_WORDS].decode(errors="replace")
    said = one_line(redact(words[:_MOST_WORDS], secrets), LONGEST_DETAIL)
    hint = "a redirect, which is not followed" if status // 100 == 3 else ""
    detail = ": ".join(filter(None, (f"answered {status}", hint, said)))
    warnings = _warnings(document, secrets) if document else ()
    return QueryAnswer(problem=_problem(status, document), detail=one_line(detail, LONGEST_DETAIL), warnings=warnings)


def _problem(status: int, document: _Document | None) -> QueryProblem:
    problem = _BY_STATUS.get(status)
    if problem is None and document is not None and document.status == "error":
        problem = _BY_ERROR_TYPE.get(document.error_type) or _BY_ERROR_STATUS.get(status)
    return problem or _BY_STATUS.get(status // 100) or P.UNREADABLE


def _numbers(data: Raw) -> QueryAnswer:
    """The numbers. Raises MsgspecError or ValueError where there are none in it."""
    found = msgspec.json.decode(data, type=_Data)
    match found.result_type:
        case "scalar":
            _, number = msgspec.json.decode(found.result, type=_Sample)
            return _answer((Series({}, float(number)),))
        case "vector":
            series = msgspec.json.decode(found.result, type=list[_Series])
            if len(series) > MOST_SERIES:
                detail = f"{len(series)} series, more than {MOST_SERIES}: take the sum() or max() of them"
                return QueryAnswer(problem=P.TOO_MANY, detail=detail)
            return _answer(tuple(Series(each.metric, float(each.value[1])) for each in series))
        case "matrix":
            raise ValueError("a range of samples: ask for one number of it, as in max_over_time(…[5m])")
        case _:
            raise ValueError(f"a {one_line(found.result_type, 40)} is no number")


def _answer(series: tuple[Series, ...]) -> QueryAnswer:
    if not series:
        return QueryAnswer(problem=P.EMPTY, detail="no series")
    nans = sum(math.isnan(each.number) for each in series)
    if nans:
        return QueryAnswer(series, P.NOT_A_NUMBER, f"{nans} of {len(series)} series NaN")
    return QueryAnswer(series)


def _warnings(document: _Document, secrets: Sequence[str]) -> tuple[str, ...]:
    told = [each for part in (document.warnings, document.infos) if isinstance(part, list) for each in part]
    texts = [each for each in told if isinstance(each, str)]
    return tuple(one_line(redact(each[:_MOST_WORDS], secrets), LONGEST_DETAIL) for each in texts[:MOST_WARNINGS])
