"""Reads a configuration file and checks it whole: everything that is wrong is reported at once.

Knows the order of the steps; what each checks is known by its own module.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydantic import ValidationError

from sevrouter.config.assemble import assemble
from sevrouter.config.certificates import check_certificates
from sevrouter.config.choices import SECRETS, check_choices
from sevrouter.config.document import EACH, Document, parse
from sevrouter.config.doubts import find_doubts
from sevrouter.config.fields import is_url
from sevrouter.config.payloads import check_payloads
from sevrouter.config.problem import ConfigurationError, Problem, Steps, in_order
from sevrouter.config.references import check_references, find_nowhere_to_go
from sevrouter.config.schema import Root
from sevrouter.config.secret import (
    Secret,
    SecretError,
    SecretFile,
    UnloadedSecret,
    UnopenedSecret,
    signature,
)
from sevrouter.config.wording import empty_values, in_plain_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sevrouter.config.configuration import Configuration

MOST_BYTES = 10 * 2**20


def load(path: Path, *, secrets: bool = True, payloads: bool = False) -> Configuration:
    """Read and check a configuration. Raises ConfigurationError with every problem.

    `payloads` says that the files of `tests` must be there: a daemon runs well without them.
    Without `secrets` their files are not looked at, and whoever asks for one gets a SecretError; but for the password
    of the store and the addresses of calendars, which are looked for when they are asked for: a command needs these
    and none of the others.
    """
    content = _read(path)
    document = parse(str(path), _text(path, content))
    problems = [*document.problems, *empty_values(document)]
    problems += [*check_choices(document), *check_references(document)]
    base, opened = path.absolute().parent, dict[str, Secret]()
    if secrets:
        problems += [*_open_secrets(document, base, opened), *check_certificates(document, base)]
    if payloads:
        problems += check_payloads(document, base)
    root = _validate(document, problems)
    warnings = (*find_nowhere_to_go(document), *find_doubts(document, root)) if root is not None else ()
    if root is None or problems:
        raise ConfigurationError([*_one_per_place(problems), *warnings])
    unloaded = UnloadedSecret()
    return assemble(
        root,
        path=path,
        config_hash=hashlib.sha256(content).hexdigest()[:12],
        open_file=opened.__getitem__ if secrets else lambda _: unloaded,
        open_password=opened.__getitem__ if secrets else lambda name: UnopenedSecret(base / name),
        warnings=in_order(warnings),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise ConfigurationError([Problem(file=str(path), message=f"cannot be read: {reason}")]) from None
    if len(content) > MOST_BYTES:
        raise ConfigurationError([Problem(file=str(path), message=f"is larger than {MOST_BYTES // 2**20} MiB")])
    return content


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        problem = Problem(file=str(path), line=line, column=column, message="is not text in UTF-8")
        raise ConfigurationError([problem]) from None


def _validate(document: Document, problems: list[Problem]) -> Root | None:
    try:
        return Root.model_validate(document.data)
    except ValidationError as error:
        problems += in_plain_words(document, error)
        return None


def _open_secrets(document: Document, base: Path, opened: dict[str, Secret]) -> Iterator[Problem]:
    for secret in SECRETS:
        for pattern in ((*secret.section, secret.file), (*secret.section, secret.file, EACH)):
            for steps, name in document.find(*pattern):
                if isinstance(name, str) and name.strip() and name not in opened:
                    yield from _open(document, steps, base / name, opened)
                    if secret.is_address and name in opened and not is_url(opened[name]()):
                        yield document.problem(steps, "the file named here holds no http(s) address")


def _open(document: Document, steps: Steps, file: Path, opened: dict[str, Secret]) -> Iterator[Problem]:
    name = document.at(*steps)
    assert isinstance(name, str)
    try:
        opened[name] = SecretFile(file)
    except SecretError as error:
        # The name is not repeated: where a secret itself stands by mistake, it would be printed.
        hint = "a relative name starts at the configuration's directory" if signature(file) is None else ""
        yield document.problem(steps, f"the file named here {error}", hint=hint)


def _one_per_place(problems: list[Problem]) -> list[Problem]:
    """The first problem of each place: what follows from a mistake is not a second one."""
    first: dict[tuple[int, int, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.line, problem.column, problem.path), problem)
    return list(first.values())
