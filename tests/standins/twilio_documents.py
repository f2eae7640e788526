"""TwiML as Twilio reads it: the few verbs that a call of ours may use, with what they may hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_SAID = 4_096
LARGEST = 64 * 1024

# By verb: its attributes, and the verbs in it. None: text.
_VERBS: Mapping[str, tuple[set[str], set[str] | None]] = {
    "Response": (set(), {"Gather", "Say", "Dial", "Redirect", "Hangup", "Pause"}),
    "Gather": (
        {"input", "action", "method", "timeout", "numDigits", "finishOnKey", "actionOnEmptyResult"},
        {"Say", "Pause"},
    ),
    "Say": ({"language", "voice", "loop"}, None),
    "Dial": ({"callerId", "timeout", "action", "method", "timeLimit"}, {"Number"}),
    "Number": ({"sendDigits"}, None),
    "Redirect": ({"method"}, None),
    "Hangup": (set(), set()),
    "Pause": ({"length"}, set()),
}
_VALUES = {
    "input": r"dtmf",
    "method": r"POST|GET",
    "timeout": r"[1-9][0-9]{0,2}",
    "numDigits": r"[1-9]",
    "finishOnKey": r"[0-9*#]?",
    "loop": r"[1-9]",
    "language": r"[a-z]{2,3}-[A-Z]{2}",
    "sendDigits": r"[0-9*#wW]+",
    "callerId": r"\+[1-9][0-9]{6,14}",
    "action": r"https?://[^\s]+",
}


class InvalidDocumentError(Exception):
    """Twilio would tell the person of an application error, and hang up."""


def parse(document: str) -> list[ElementTree.Element]:
    """The verbs of a document, in order."""
    if len(document.encode()) > LARGEST:
        raise InvalidDocumentError("larger than 64 KB")
    try:
        root = ElementTree.fromstring(document.encode())  # noqa: S314  it is ours
    except ElementTree.ParseError as error:
        raise InvalidDocumentError(str(error)) from None
    if root.tag != "Response":
        raise InvalidDocumentError(f"a document is a Response, not {root.tag}")
    problem = next(_problems(root), None)
    if problem is not None:
        raise InvalidDocumentError(problem)
    return list(root)


def _problems(verb: ElementTree.Element) -> Iterator[str]:
    attributes, children = _VERBS[verb.tag]
    for name, value in verb.attrib.items():
        if name not in attributes:
            yield f"{verb.tag} has no attribute {name}"
        elif re.fullmatch(_VALUES.get(name, ".*"), value) is None:
            yield f"{name} of {verb.tag} cannot be {value!r}"
    text = (verb.text or "").strip()
    if children is None:
        yield from _text_problems(verb.tag, text)
    elif text:
        yield f"{verb.tag} holds no text: {text!r}"
    for child in verb:
        if child.tag not in (children or ()):
            yield f"{verb.tag} cannot hold {child.tag}"
        else:
            yield from _problems(child)
        if (child.tail or "").strip():
            yield f"{verb.tag} holds no text: {child.tail!r}"


def _text_problems(tag: str, text: str) -> Iterator[str]:
    if not text:
        yield f"{tag} is empty"
    if tag == "Say" and len(text) > LONGEST_SAID:
        yield f"Say holds {len(text)} characters"
    if tag == "Number" and re.fullmatch(r"\+?[0-9]{2,20}", text) is None:
        yield f"not a number: {text!r}"
    if tag == "Redirect" and not text.startswith("http"):
        yield f"not an address: {text!r}"
