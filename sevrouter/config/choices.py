"""Fields that go together or exclude each other, checked on what is written.

They are checked here and not by the schema so that they are reported together with everything else that is
wrong. Skips whatever has not the expected shape: the schema says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sevrouter.config.calling import check_calling
from sevrouter.config.document import EACH, Document, Tree
from sevrouter.config.on_call import check_on_call
from sevrouter.config.storage import check_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sevrouter.config.problem import Problem, Steps

_TEXTS = ("label", "annotation", "value")
_TIMED = ("query", "firing_for", "count", "ratio")
_SIDES = (*_TEXTS, "query", "count", "number")
# Where in a measure a query may stand.
_QUERIES = (("query",), ("count", "whole", "query"), ("ratio", "part", "query"), ("ratio", "whole", "query"))
_SOURCES = (*_TEXTS, *_TIMED)
_BEARER = {"bearer_token_file", "bearer_token"}
_SCALES = ("thresholds", "values")


@dataclass(frozen=True, slots=True)
class SecretField:
    """A secret of a section: the key that names a file (or files), and the key that holds it inline.

    `type` is that of the integrations that have it; `is_typed`: it is always written. `is_address`: it is one, and may
    always stand inline: that it is in the file is no more than anybody would expect.
    """

    section: tuple[str, ...]
    file: str
    inline: str
    type: str | None = None
    required: bool = True
    is_address: bool = False
    is_typed: bool = False


def _of_provider(
    file: str, inline: str, kind: str, *, required: bool = True, is_address: bool = False
) -> tuple[SecretField, ...]:
    """Of one provider by itself, and of each in a list."""
    single = SecretField(("integrations", "call"), file, inline, kind, required, is_address, is_typed=True)
    return single, replace(single, section=(*single.section, EACH))


SECRETS = (
    *_of_provider("routing_key_file", "routing_key", "pagerduty"),
    *_of_provider("webhook_secret_files", "webhook_secrets", "pagerduty", required=False),
    *_of_provider("api_token_file", "api_token", "pagerduty", required=False),
    *_of_provider("password_file", "password", "sip", required=False),
    *_of_provider("auth_token_file", "auth_token", "twilio"),
    *_of_provider("api_token_file", "api_token", "pagertree", required=False),
    *_of_provider("integration_url_file", "integration_url", "pagertree", required=False, is_address=True),
    *_of_provider("integration_token_file", "integration_token", "pagertree", required=False),
    *_of_provider("url_file", "url", "webhook", is_address=True),
    *_of_provider("secret_files", "secrets", "webhook"),
    *_of_provider("bearer_token_file", "bearer_token", "webhook", required=False),
    *_of_provider("url_files", "urls", "apprise"),
    SecretField(("integrations", "slack"), "token_file", "token", "slack"),
    SecretField(("integrations", "slack"), "signing_secret_file", "signing_secret", "slack", required=False),
    SecretField(("integrations", "slack"), "app_token_file", "app_token", "slack", required=False),
    SecretField(("integrations", "jira"), "token_file", "token", "jira"),
    SecretField(("prometheus",), "bearer_token_file", "bearer_token", required=False),
    SecretField(("prometheus", "basic"), "password_file", "password"),
    SecretField(("heartbeat_out",), "url_file", "url", is_address=True),
    SecretField(("on_call", EACH), "url_file", "calendar", required=False, is_address=True),
    SecretField(("alertmanagers", EACH), "bearer_token_file", "bearer_token", required=False),
    SecretField(("alertmanagers", EACH, "basic"), "password_file", "password"),
    SecretField(("store",), "password_file", "password", required=False),
    SecretField(("webhook", "auth"), "bearer_token_files", "bearer_tokens", required=False),
    SecretField(("webhook", "auth", "basic"), "password_files", "passwords"),
    SecretField(("api", "auth"), "bearer_token_files", "bearer_tokens", required=False),
    SecretField(("api", "auth", "basic"), "password_files", "passwords"),
)


def check_choices(document: Document) -> Iterator[Problem]:
    """Every choice that is made twice, or not at all."""
    for steps, rule in document.find("rules", EACH):
        if isinstance(rule, dict):
            yield from _rule(document, steps, rule)
    for steps, measure in document.find("rules", EACH, "measure"):
        if isinstance(measure, dict):
            yield from _measure(document, steps, measure)
    if document.at("integrations") == {}:
        yield document.problem(("integrations",), "needs at least one of call, slack and jira", at_key=True)
    for steps, test in document.find("tests", EACH):
        if isinstance(test, dict):
            yield from _test(document, steps, test)
    for steps, _ in document.find("deployments", "query") if document.at("prometheus") is None else ():
        yield _nobody_to_ask(document, steps)
    yield from _logins(document)
    yield from check_store(document)
    yield from check_on_call(document)
    yield from check_calling(document)
    for secret in SECRETS:
        yield from _secret(document, secret)


def _logins(document: Document) -> Iterator[Problem]:
    for steps, auth in (*document.find("webhook", "auth"), *document.find("api", "auth")):
        if auth == {}:
            everybody = " to let everybody send" if steps[0] == "webhook" else ""
            hint = f"name a bearer token or a user, or leave auth out{everybody}"
            yield document.problem(steps, "lets nobody in and keeps nobody out", hint=hint, at_key=True)
    for steps, asked in (*document.find("prometheus"), *document.find("alertmanagers", EACH)):
        if isinstance(asked, dict) and "basic" in asked and asked.keys() & _BEARER:
            yield document.problem((*steps, "basic"), "a token and a user exclude each other", at_key=True)


def _rule(document: Document, steps: Steps, rule: dict[str, Tree]) -> Iterator[Problem]:
    measured = "measure" in rule
    if "sev" in rule and measured:
        hint = "write two rules; the worse grade wins"
        yield document.problem((*steps, "sev"), "a rule has sev or measure, not both", hint=hint, at_key=True)
    elif not rule.keys() & {"sev", "measure", *_SCALES}:
        hint = "sev: SEV-1 … SEV-5 or none; or measure with thresholds or values"
        yield document.problem(steps, "does not say how bad it is: sev or measure is missing", hint=hint)
    scales = [key for key in _SCALES if key in rule]
    if measured and len(scales) != 1:
        message = "measure needs exactly one of thresholds (numbers) and values (words)"
        yield document.problem((*steps, "measure"), message, at_key=True)
    if "values" in rule and _is_timed(rule.get("measure")):
        hint = "write thresholds"
        yield document.problem((*steps, "values"), "what is measured in time is a number", hint=hint, at_key=True)
    for key in scales:
        if not measured:
            hint = "measure: {label: …}, {annotation: …}, {value: …}, {query: …}, {count: …}, {ratio: …} or firing_for"
            yield document.problem((*steps, key), f"{key} without measure: of what?", hint=hint, at_key=True)


def _measure(document: Document, steps: Steps, measure: dict[str, Tree]) -> Iterator[Problem]:
    written = measure.keys() & set(_SOURCES)
    if len(written) > 1 or not measure:
        yield document.problem(steps, f"needs exactly one of {', '.join(_SOURCES)}", at_key=True)
        return
    asked = [(*steps, *path) for path in _QUERIES if document.at(*steps, *path) is not None]
    if "every" in measure and not written & {"query", "count", "ratio"}:
        hint = "leave every out; a firing_for is looked at to the second, all else when the alert comes"
        message = "only a query, a count and a ratio are read every so often"
        yield document.problem((*steps, "every"), message, hint=hint, at_key=True)
    if "unsure_after" in measure and not asked:
        message = "only a query can fail to give a number for a while"
        yield document.problem((*steps, "unsure_after"), message, at_key=True)
    for place in asked if document.at("prometheus") is None else ():
        yield _nobody_to_ask(document, place)
    for side in ("part", "whole"):
        yield from _side(document, (*steps, "ratio", side))


def _nobody_to_ask(document: Document, place: Steps) -> Problem:
    hint = "prometheus: {url: http://prometheus:9090}"
    return document.problem(place, "nobody to ask: prometheus is missing", hint=hint, at_key=True)


def _side(document: Document, steps: Steps) -> Iterator[Problem]:
    side = document.at(*steps)
    if isinstance(side, dict) and len(side.keys() & set(_SIDES)) != 1:
        yield document.problem(steps, f"needs exactly one of {', '.join(_SIDES)}", at_key=True)


def _test(document: Document, steps: Steps, test: dict[str, Tree]) -> Iterator[Problem]:
    if ("alert" in test) == ("payload" in test):
        yield document.problem(steps, "needs exactly one of alert (labels) and payload (a file)")
    elif "payload" in test:
        for key in test.keys() & {"annotations", "values"}:
            yield document.problem((*steps, key), "is in the payload itself", hint="leave it out", at_key=True)


def _is_timed(measure: Tree) -> bool:
    return measure in _TIMED or (isinstance(measure, dict) and not measure.keys().isdisjoint(_TIMED))


def _secret(document: Document, secret: SecretField) -> Iterator[Problem]:
    allowed = str(document.at("allow_inline_secrets")).lower() in {"true", "yes", "on", "1", "t", "y"}
    for steps, section in document.find(*secret.section):
        # A section that only prints needs no secret, and of an unknown type nobody knows what it needs.
        unwritten = None if secret.is_typed else secret.type
        if not isinstance(section, dict) or section.get("type", unwritten) != secret.type:
            continue
        if secret.inline in section and secret.file in section:
            message = f"{secret.file} and {secret.inline} exclude each other"
            yield document.problem((*steps, secret.inline), message, at_key=True)
        elif secret.inline in section and not (allowed or secret.is_address):
            hint = f"put it into a file and write {secret.file}, or set allow_inline_secrets: true"
            yield document.problem(
                (*steps, secret.inline), "a secret in the configuration itself is refused", hint=hint, at_key=True
            )
        elif secret.required and secret.inline not in section and secret.file not in section:
            hint = f"or {secret.inline}" if secret.is_address else ""
            yield document.problem((*steps, secret.file), "is missing", hint=hint, at_key=True)
