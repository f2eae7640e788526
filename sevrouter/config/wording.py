"""Turns what pydantic found into plain words with a place in the file. Never repeats what was written there.

Knows pydantic's error types so that nobody else has to, nor ever sees them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sevrouter.config.fields import kind
from sevrouter.config.problem import FieldError, Problem, Steps, did_you_mean
from sevrouter.config.providers import TYPES
from sevrouter.config.schema import Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from sevrouter.config.document import Document

_TYPES = {*TYPES, "slack", "jira"}

_WORDS = {
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "model_attributes_type": "must be a mapping (key: value)",
}
_HINTS = {"tuple_type": "write [a, b]", "list_type": "write [a, b]"}
_NOT_THE_SHAPE = {"tuple_type", "list_type", "dict_type", "model_type", "model_attributes_type", "string_type"}


def in_plain_words(document: Document, error: ValidationError) -> Iterator[Problem]:
    """The problems that pydantic found."""
    schema = _schema()
    for found in error.errors(include_url=False):
        loc = tuple(step for step in found["loc"] if step != "[key]")
        steps = _as_written(document, loc)
        # An empty value is reported where it is written, with everything else that is empty.
        if document.at(*steps) is None and steps in document.values:
            continue
        yield _problem(document, schema, found, loc, steps)


def _problem(document: Document, schema: Mapping[str, Any], found: ErrorDetails, loc: Steps, steps: Steps) -> Problem:
    at_key = "[key]" in found["loc"]
    match found["type"]:
        case "missing":
            return document.problem(steps, "is missing", at_key=True)
        case "extra_forbidden":
            return _unknown_key(document, schema, loc, steps)
        case "value_error":
            error = found.get("ctx", {}).get("error")
            hint = error.hint if isinstance(error, FieldError) else ""
            return document.problem(steps, str(error), hint=hint, at_key=at_key)
        case "union_tag_not_found":
            hint = f"one of {_known_types(schema, loc)}"
            return document.problem((*steps, "type"), "is missing", hint=hint, at_key=True)
        case "union_tag_invalid":
            return document.problem((*steps, "type"), f"must be one of {_known_types(schema, loc)}")
        case kind_of_error:
            message = _WORDS.get(kind_of_error, "cannot be used")
            if kind_of_error == "literal_error":
                message = f"must be {found['ctx']['expected']}"
            if kind_of_error in _NOT_THE_SHAPE:
                message += f", not {kind(document.at(*steps))}"
            return document.problem(steps, message, hint=_HINTS.get(kind_of_error, ""), at_key=at_key)


@functools.cache
def _schema() -> Mapping[str, Any]:
    return Root.model_json_schema()


def _known_types(schema: Mapping[str, Any], loc: Steps) -> str:
    return ", ".join(_types_of(_node_at(schema, loc)))


def _unknown_key(document: Document, schema: Mapping[str, Any], loc: Steps, steps: Steps) -> Problem:
    key = str(steps[-1])
    known = _known_keys(schema, loc[:-1])
    return document.problem(steps, f"unknown key {key!r}", hint=did_you_mean(key, known), at_key=True)


def _as_written(document: Document, loc: Steps) -> Steps:
    """The path in the file: a choice by `type` is a step to pydantic only, and a list's only entry to YAML only."""
    steps: Steps = ()
    for position, step in enumerate(loc):
        if loc[0] == "integrations" and position in (2, 3) and step in _TYPES:
            continue
        # One provider by itself is a list of one to pydantic only.
        if loc[:2] == ("integrations", "call") and position == 2 and not isinstance(document.at(*steps), list):
            continue
        if isinstance(step, str) and isinstance(document.at(*steps), list):
            steps = (*steps, 0)
        steps = (*steps, step)
    return steps


def _known_keys(schema: Mapping[str, Any], loc: Steps) -> list[str]:
    return list(_node_at(schema, loc).get("properties", {}))


def _types_of(node: Mapping[str, Any]) -> Mapping[str, str]:
    types: Mapping[str, str] = node.get("discriminator", {}).get("mapping", {})
    return types


def _node_at(schema: Mapping[str, Any], loc: Steps) -> Mapping[str, Any]:
    node = _resolved(schema, schema)
    for step in loc:
        if isinstance(step, int):
            node = node["items"]
        elif step in node.get("properties", {}):
            node = node["properties"][step]
        elif step in _types_of(node):
            node = {"$ref": _types_of(node)[str(step)]}
        else:
            node = node.get("additionalProperties", {})
        node = _resolved(schema, node)
    return node


def _resolved(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    if "anyOf" in node:
        node = next(each for each in node["anyOf"] if each.get("type") != "null")
        return _resolved(schema, node)
    if "$ref" in node:
        return dict(schema["$defs"][str(node["$ref"]).rsplit("/", 1)[-1]])
    return node


def empty_values(document: Document) -> Iterator[Problem]:
    """Every key that is written without a value."""
    for steps in document.values:
        if steps and document.at(*steps) is None:
            hint = "give it a value, or leave it out"
            yield document.problem(steps, "is empty", hint=hint, at_key=isinstance(steps[-1], str))
