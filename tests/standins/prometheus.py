"""A fake Prometheus: it takes instant queries exactly as the API documents them, and answers what a test tells it."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.standins.vendor import Effect, Reply, Seen, Vendor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOKEN = "prom-t0ken/with+signs"
USER, PASSWORD = "sevrouter", "p4ss wörd/&"

_BEARER = f"Bearer {TOKEN}"
_BASIC = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


def vector(*numbers: str, **labels: str) -> dict[str, Any]:
    """The data of a vector, a series for each number."""
    series = [{"metric": labels | {"n": str(at)}, "value": [1700000000.123, each]} for at, each in enumerate(numbers)]
    return {"resultType": "vector", "result": series}


def success(data: Mapping[str, Any], *, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Reply:
    """An answer with numbers."""
    told = {name: [*texts] for name, texts in (("warnings", warnings), ("infos", infos)) if texts}
    return Reply(200, {"status": "success", "data": data, **told})


def failure(status: int, error_type: str, error: str) -> Reply:
    """An answer with the reason why there are none."""
    return Reply(status, {"status": "error", "errorType": error_type, "error": error})


class Prometheus(Vendor[Effect]):
    """The server. `secured` lets nobody in without the token or the password."""

    def __init__(self, *, secured: bool = False, prefix: str = "") -> None:
        super().__init__()
        self.secured = secured
        self.prefix = prefix
        self.reply = success(vector("1"))

    async def answer(self, seen: Seen) -> Reply:
        """Give what the test has told, where it was asked as documented."""
        wrong = self._wrong(seen)
        if wrong is not None:
            return Reply(404 if "path" in wrong else 400, {"status": "error", "errorType": "bad_data"}, refused=wrong)
        authorization = seen.headers.get("Authorization")
        if authorization not in ((_BEARER, _BASIC) if self.secured else (None,)):
            return Reply(401, {"message": f"who is {authorization}?"}, refused="is not let in")
        return self.reply

    @property
    def asked(self) -> list[dict[str, str]]:
        """The parameters of each query."""
        return [{name: text for name, (text,) in _form(each).items()} for each in self.requests]

    def _wrong(self, seen: Seen) -> str | None:
        form = _form(seen)
        if (seen.method, seen.path) != ("POST", f"{self.prefix}/api/v1/query") or seen.query:
            return "wrong method, path or parameters"
        if seen.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            return "is no form"
        if set(form) != {"query", "timeout"} or any(len(texts) != 1 for texts in form.values()):
            return f"has the fields {sorted(form)}"
        # A number alone would be seconds to some, and nothing to others.
        return None if re.fullmatch(r"[1-9]\d*ms", form["timeout"][0]) else "its timeout is no duration"


def _form(seen: Seen) -> dict[str, list[str]]:
    return parse_qs(seen.body.decode(), keep_blank_values=True, strict_parsing=True)
