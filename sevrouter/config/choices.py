"""Fields that go together or exclude each other, checked on what is written.

They are checked here and not by the schema so that they are reported together with everything else that is
wrong. Skips whatever has not the expected shape: the schema says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sevrouter.config.document import EACH, Document, Tree
from sevrouter.config.storage import check_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sevrouter.config.problem import Problem, Steps

_TEXTS = ("label", "annotation", "value")
_TIMED = ("firing_for", "count")
_SOURCES = (*_TEXTS, *_TIMED)
_SCALES = ("thresholds", "values")


@dataclass(frozen=True, slots=True)
class SecretField:
    """A secret of a section: the key that names a file (or files), and the key that holds it inline.

    `type` is that of the integrations that have it."""

    section: tuple[str, ...]
    file: str
    inline: str
    type: str | None = None
    required: bool = True


SECRETS = (
    SecretField(("integrations", "call"), "routing_key_file", "routing_key", "pagerduty"),
    SecretField(("integrations", "call", EACH), "routing_key_file", "routing_key", "pagerduty"),
    SecretField(("integrations", "slack"), "token_file", "token", "slack"),
    SecretField(("integrations", "jira"), "token_file", "token", "jira"),
    SecretField(("store",), "password_file", "password", required=False),
    SecretField(("webhook", "auth"), "bearer_token_files", "bearer_tokens", required=False),
    SecretField(("webhook", "auth", "basic"), "password_files", "passwords"),
)


def check_choices(document: Document) -> Iterator[Problem]:
    """Every choice that is made twice, or not at all."""
    for steps, rule in document.find("rules", EACH):
        if isinstance(rule, dict):
            yield from _rule(document, steps, rule)
    for steps, measure in document.find("rules", EACH, "measure"):
        if isinstance(measure, dict):
            yield from _measure(document, steps, measure)
    for steps, integrations in document.find("integrations"):
        if integrations == {}:
            yield document.problem(steps, "needs at least one of call, slack and jira", at_key=True)
    for steps, auth in document.find("webhook", "auth"):
        if auth == {}:
            hint = "name a bearer token or a user, or leave auth out to let everybody send"
            yield document.problem(steps, "lets nobody in and keeps nobody out", hint=hint, at_key=True)
    yield from check_store(document)
    for secret in SECRETS:
        yield from _secret(document, secret)


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
            hint = "measure: {label: …}, {annotation: …}, {value: …}, {count: …} or firing_for"
            yield document.problem((*steps, key), f"{key} without measure: of what?", hint=hint, at_key=True)


def _measure(document: Document, steps: Steps, measure: dict[str, Tree]) -> Iterator[Problem]:
    if len(measure.keys() & set(_SOURCES)) != 1 and (not measure or measure.keys() & set(_SOURCES)):
        yield document.problem(steps, f"needs exactly one of {', '.join(_SOURCES)}", at_key=True)
    elif "every" in measure and "count" not in measure:
        hint = "leave every out; a firing_for is looked at to the second, all else when the alert comes"
        yield document.problem((*steps, "every"), "only a count is read every so often", hint=hint, at_key=True)


def _is_timed(measure: Tree) -> bool:
    return measure in _TIMED or (isinstance(measure, dict) and not measure.keys().isdisjoint(_TIMED))


def _secret(document: Document, secret: SecretField) -> Iterator[Problem]:
    allowed = str(document.at("allow_inline_secrets")).lower() in {"true", "yes", "on", "1", "t", "y"}
    for steps, section in document.find(*secret.section):
        # A section that only prints needs no secret, and of an unknown type nobody knows what it needs.
        if not isinstance(section, dict) or section.get("type", secret.type) != secret.type:
            continue
        if secret.inline in section and secret.file in section:
            message = f"{secret.file} and {secret.inline} exclude each other"
            yield document.problem((*steps, secret.inline), message, at_key=True)
        elif secret.inline in section and not allowed:
            hint = f"put it into a file and write {secret.file}, or set allow_inline_secrets: true"
            yield document.problem(
                (*steps, secret.inline), "a secret in the configuration itself is refused", hint=hint, at_key=True
            )
        elif secret.required and secret.inline not in section and secret.file not in section:
            yield document.problem((*steps, secret.file), "is missing", at_key=True)
