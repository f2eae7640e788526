"""Whether the payloads that `tests` name are there. What is in them is for whoever plays them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevrouter.config.document import EACH
from sevrouter.config.secret import SecretError, beginning, signature

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sevrouter.config.document import Document
    from sevrouter.config.problem import Problem


def check_payloads(document: Document, base: Path) -> Iterator[Problem]:
    """Every payload that is no file that can be read. A relative name starts at `base`."""
    for steps, name in document.find("tests", EACH, "payload"):
        if not isinstance(name, str) or not name.strip():
            continue
        try:
            beginning(base / name)
        except SecretError as error:
            hint = "a relative name starts at the configuration's directory" if signature(base / name) is None else ""
            yield document.problem(steps, f"the file named here {error}", hint=hint)
