"""The kinds of values that a configuration holds: each reads its text and says in plain words what is wrong.

Knows the domain's words; must not know which section a field stands in.
"""

from __future__ import annotations

import math
import re
import zoneinfo
from collections.abc import Sized
from datetime import timedelta
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainValidator,
    SecretStr,
    WithJsonSchema,
)

from sevrouter.config.bounds import at_least, at_most
from sevrouter.config.problem import FieldError
from sevrouter.config.quantity import parse_duration, parse_size
from sevrouter.config.secret import SecretError, checked_secret
from sevrouter.domain.labels import Matcher, MatcherError, parse_matcher
from sevrouter.domain.measure import parse_threshold
from sevrouter.domain.promql import QueryTemplate
from sevrouter.domain.sev import NONE, Sev, parse_sev

SEV_HINT = "write SEV-1, SEV-2, SEV-3, SEV-4, SEV-5"
TLS_MODES = ("disable", "require", "verify-ca", "verify-full")
_BY_NAME = {str(sev): sev for sev in Sev}

_Sized = TypeVar("_Sized", bound=Sized)

_PHONE = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_SLACK_ID = re.compile(r"[USW][A-Z0-9]{2,20}", re.ASCII)
_JIRA_PROJECT = re.compile(r"[A-Z][A-Z0-9_]{0,30}", re.ASCII)
# As PostgreSQL reads it without quotes, and short enough to have `_shadow` behind it.
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,55}", re.ASCII)


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are refused, nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise FieldError(f"must be text, not {kind(value)}")
    return value


def kind(value: object) -> str:
    """What a value is, in the words of the file."""
    if isinstance(value, dict):
        return "a mapping (key: value)"
    return "a list" if isinstance(value, list) else "text"


def _not_blank(value: str) -> str:
    if not value.strip():
        raise FieldError("must not be empty")
    return value


def _sev_or_none(value: object) -> Sev | None:
    text = _text(value)
    try:
        return parse_sev(text)
    except ValueError:
        raise FieldError(f"{text!r} is not a SEV", f"{SEV_HINT} or none") from None


def _sev(value: object) -> Sev:
    text = _text(value)
    sev = _BY_NAME.get(text)
    if sev is None:
        raise FieldError("'none' is not possible here" if text == NONE else f"{text!r} is not a SEV", SEV_HINT)
    return sev


def _unmatched(value: object) -> Sev:
    if value == NONE:
        hint = "an alert that no rule matches needs a person to look: a SEV, or a rule that says `sev: none` of it"
        raise FieldError("'none' would hide every alert that no rule matches", hint)
    return _sev(value)


def _matcher(value: object) -> Matcher:
    try:
        return parse_matcher(_text(value))
    except MatcherError as error:
        raise FieldError(str(error)) from None


def _bound(value: str) -> str:
    try:
        # Whether a bound can be read does not depend on the SEV that it is for.
        parse_threshold(Sev.SEV_1, value)
    except ValueError as error:
        raise FieldError(str(error)) from None
    return value


def _duration(value: object) -> timedelta:
    return parse_duration(_text(value))


def _query(value: object) -> QueryTemplate:
    try:
        return QueryTemplate.parse(_text(value))
    except ValueError as error:
        if isinstance(error, FieldError):
            raise
        raise FieldError(str(error)) from None


def _plain_query(value: object) -> str:
    template = _query(value)
    if template.labels:
        raise FieldError(f"names the label {template.labels[0]!r}, and there is no alert to take it from")
    return template.text


def _number_or_none(value: object) -> float | None:
    text = _text(value)
    if text == NONE:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise FieldError(f"{value!r} is neither a number nor none")
    return number


def _how_many(value: object) -> int:
    text = _text(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise FieldError(f"{value!r} is not a whole number")
    return int(text)


def _whole(value: object) -> float:
    try:
        number = float(_text(value))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise FieldError(f"{value!r} is not a number above 0")
    return number


def _whole_or_query(value: object) -> float | QueryTemplate:
    if isinstance(value, dict):
        if value.keys() != {"query"}:
            raise FieldError("is neither a number nor a query", "write 40, or {query: 'count(up)'}")
        return _query(value["query"])
    return _whole(value)


def _finite(value: object) -> float:
    try:
        number = float(_text(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FieldError(f"{value!r} is not a number", "write 40, count, {query: …} or {label: …}")
    return number


def _size(value: object) -> int:
    return parse_size(_text(value))


def _phone(value: str) -> str:
    if _PHONE.fullmatch(value) is None:
        raise FieldError(f"{value!r} is not a phone number in E.164", "write '+', country code and number: +4930123456")
    return value


def _slack_id(value: str) -> str:
    if _SLACK_ID.fullmatch(value) is None:
        raise FieldError(f"{value!r} is not a Slack id", "copy the id of the member (U…) or user group (S…), no @name")
    return value


def _jira_project(value: str) -> str:
    if _JIRA_PROJECT.fullmatch(value) is None:
        raise FieldError(
            f"{value!r} is not the key of a Jira project", "it is what issue keys begin with: PAY of PAY-7"
        )
    return value


def _schema_name(value: str) -> str:
    if _SCHEMA.fullmatch(value) is None:
        hint = "up to 56 small letters, digits and _, beginning with a letter, not with pg_"
        raise FieldError(f"{value!r} is not the name of a schema", hint)
    return value


def _tls_mode(value: object) -> str:
    text = _text(value)
    if text not in TLS_MODES:
        raise FieldError(f"{text!r} is not a mode of TLS", f"write one of {', '.join(TLS_MODES)}")
    return text


def _not_empty(value: _Sized) -> _Sized:
    # pydantic's own check of the length also complains about a list whose entries are merely wrong.
    if not value:
        raise FieldError("must not be empty")
    return value


def _one_word(value: str) -> str:
    if any(character.isspace() for character in value):
        raise FieldError(f"{value!r} holds a space", "Jira's labels and Slack's channels have none")
    return value


def _url(value: str) -> str:
    # An address may hold a password, so it is never quoted in a message.
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise FieldError("is not an address", "write https://host/…") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not value.isprintable() or " " in value:
        raise FieldError("is not an http(s) address", "write https://host/…")
    if "@" in parts.netloc:
        raise FieldError("holds a user or a password", "the address only; secrets have their own fields")
    return value


def is_url(value: str) -> bool:
    """Whether a text is an address as it may stand in a field."""
    try:
        return _url(value) == value
    except FieldError:
        return False


def _secret_url(value: SecretStr) -> SecretStr:
    _url(value.get_secret_value())
    return value


def _inline_secret(value: SecretStr) -> SecretStr:
    try:
        checked_secret(value.get_secret_value().encode())
    except SecretError as error:
        raise FieldError(str(error)) from None
    return value


def _zone(value: object) -> zoneinfo.ZoneInfo:
    text = _text(value)
    try:
        return zoneinfo.ZoneInfo(text)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise FieldError(f"{text!r} is not a time zone", "write Europe/Berlin, America/New_York, UTC …") from None


def _words(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


NOT_EMPTY = AfterValidator(_not_empty)
Text = Annotated[str, BeforeValidator(_text), AfterValidator(_not_blank), WithJsonSchema({"type": "string"})]
SevName = Annotated[Sev, PlainValidator(_sev), _words("^SEV-[1-5]$")]
UnmatchedSev = Annotated[Sev, PlainValidator(_unmatched), _words("^SEV-[1-5]$")]
SevOrNone = Annotated[Sev | None, PlainValidator(_sev_or_none), _words("^(SEV-[1-5]|none)$")]
MatcherText = Annotated[Matcher, PlainValidator(_matcher), WithJsonSchema({"type": "string"})]
Bound = Annotated[Text, AfterValidator(_bound)]
Duration = Annotated[timedelta, BeforeValidator(_duration), _words("^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$")]
Retention = Annotated[Duration, at_least(timedelta(days=1), "a day (1d)")]
Deadline = Annotated[Duration, at_least(timedelta(minutes=1), "a minute (1m)")]
Wait = Annotated[Duration, at_least(timedelta(seconds=1), "a second (1s)"), at_most(timedelta(hours=1), "an hour (1h)")]
Interval = Wait
Patience = Annotated[
    Duration, at_least(timedelta(seconds=1), "a second (1s)"), at_most(timedelta(seconds=15), "15 seconds (15s)")
]
NumberOrNone = Annotated[float | None, PlainValidator(_number_or_none), _words("^([-+0-9.eE]+|none)$")]
QueryText = Annotated[QueryTemplate, PlainValidator(_query), WithJsonSchema({"type": "string"})]
PlainQuery = Annotated[str, PlainValidator(_plain_query), WithJsonSchema({"type": "string"})]
WholeOrQuery = Annotated[
    float | QueryTemplate, PlainValidator(_whole_or_query), WithJsonSchema({"type": ["string", "object"]})
]
Number = Annotated[float, PlainValidator(_finite), _words("^[-+0-9.eE]+$")]
HowMany = Annotated[int, BeforeValidator(_how_many), _words("^[0-9]+$")]
Period = Annotated[Duration, at_least(timedelta(seconds=1), "a second (1s)"), at_most(timedelta(days=1), "a day (1d)")]
Window = Annotated[Duration, at_most(timedelta(days=1), "a day (1d)")]
Size = Annotated[int, BeforeValidator(_size), _words("^[0-9]+ ?(B|[kKMG]B|[KMG]iB)?$")]
Url = Annotated[Text, AfterValidator(_url)]
Zone = Annotated[zoneinfo.ZoneInfo, PlainValidator(_zone), WithJsonSchema({"type": "string"})]
Phone = Annotated[Text, AfterValidator(_phone)]
SlackId = Annotated[Text, AfterValidator(_slack_id)]
JiraProject = Annotated[Text, AfterValidator(_jira_project)]
SchemaName = Annotated[Text, AfterValidator(_schema_name)]
TlsMode = Annotated[
    Literal["disable", "require", "verify-ca", "verify-full"],
    PlainValidator(_tls_mode),
    WithJsonSchema({"type": "string", "enum": list(TLS_MODES)}),
]
OneWord = Annotated[Text, AfterValidator(_one_word)]
InlineSecretText = Annotated[SecretStr, AfterValidator(_inline_secret)]
SecretUrl = Annotated[SecretStr, AfterValidator(_secret_url)]
InlineSecrets = Annotated[tuple[InlineSecretText, ...], NOT_EMPTY]
SecretFiles = Annotated[tuple[Text, ...], NOT_EMPTY]
