"""What a pipeline says of a deployment, or of many. Strict: whoever makes a mistake there reads of it at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec

from sevrouter.domain.lenient import Unreadable
from sevrouter.domain.moments import FURTHEST_AHEAD, read_moment
from sevrouter.domain.text import one_line
from sevrouter.engine.deployments import Report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

MOST_REPORTS = 100

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Link = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
# RFC 3339; Python's own reader also takes dates, weeks, and times of nowhere.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class _Report(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One deployment as it is sent. A key that is misspelt must not get lost."""

    system: _Name
    version: _Name
    time: str | None = None
    link: _Link | None = None


_reports = msgspec.json.Decoder(Annotated[list[_Report], msgspec.Meta(min_length=1, max_length=MOST_REPORTS)] | _Report)


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports of one request, in order; `is_list` says whether it was a list of them."""

    reports: list[Report]
    is_list: bool


def read_reports(body: bytes, *, received_at: datetime) -> Reports:
    """Read one report, or a list of them. Raises Unreadable, with what is wrong where."""
    try:
        sent = _reports.decode(body)
    except msgspec.ValidationError as error:
        # It quotes a key that is not known, however long.
        raise Unreadable(one_line(str(error))) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unreadable("not valid JSON") from None
    is_list = isinstance(sent, list)
    members = sent if isinstance(sent, list) else [sent]
    reports = []
    for number, member in enumerate(members):
        place = f"$[{number}]" if is_list else "$"
        for key, problem in _problems(member, received_at):
            raise Unreadable(f"{problem} - at `{place}.{key}`")
        reports.append(Report(member.system, member.version, read_moment(member.time), member.link))
    return Reports(reports, is_list)


def _problems(report: _Report, received_at: datetime) -> Iterator[tuple[str, str]]:
    for key, text in (("system", report.system), ("version", report.version), ("link", report.link)):
        if text is not None and (not text.isprintable() or text != text.strip()):
            yield key, "Expected one line of printable text without spaces around it"
    if report.link is not None and not report.link.startswith(("https://", "http://")):
        yield "link", "Expected an http(s) address"
    if report.time is not None:
        moment = read_moment(report.time) if _MOMENT.fullmatch(report.time) else None
        if moment is None:
            yield "time", "Expected a time as RFC 3339 writes it, 2026-01-31T09:05:00Z"
        elif moment > received_at + FURTHEST_AHEAD:
            yield "time", "Expected a time that is not more than a day ahead"
