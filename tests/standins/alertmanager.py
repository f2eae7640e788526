"""A fake Alertmanager's API (v2): it answers what a test tells it, to whoever asks exactly as it is documented."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import unquote

from tests.standins.vendor import Effect, Reply, Seen, Vendor

TOKEN = "am-t0ken/with+signs"
USER, PASSWORD = "sevrouter", "p4ss wörd/&"

_BEARER = f"Bearer {TOKEN}"
_BASIC = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
# What 0.25 and later take; each is true where it is left out.
_EVERYTHING = dict.fromkeys(("active", "silenced", "inhibited", "unprocessed"), "true")


def member(
    labels: dict[str, Any], *, state: str = "active", receivers: tuple[str, ...] = ("sevrouter",), **changes: Any
) -> dict[str, Any]:
    """An alert as it shows it."""
    return {
        "annotations": {},
        "endsAt": "2026-03-01T12:05:00.036Z",
        "fingerprint": "09066144e4459257",
        "receivers": [{"name": each} for each in receivers],
        "startsAt": "2026-03-01T11:59:00.036Z",
        "status": {"inhibitedBy": [], "silencedBy": [], "state": state},
        "updatedAt": "2026-03-01T12:00:00.036Z",
        "labels": labels,
    } | changes


class Alertmanager(Vendor[Effect]):
    """The server. `secured` lets nobody in without the token or the password; `prefix` is that of its address."""

    def __init__(self, *, secured: bool = False, prefix: str = "") -> None:
        super().__init__()
        self.secured = secured
        self.prefix = prefix
        self.alerts: Any = []
        self.groups: Any = []
        self.silences: dict[str, Any] = {}
        self.started_at = "2026-03-01T11:00:00.036Z"
        self.configuration = "route: {receiver: sevrouter}\n"

    async def answer(self, seen: Seen) -> Reply:
        """Give what the test has told, where it was asked as documented."""
        authorization = seen.headers.get("Authorization")
        if authorization not in ((_BEARER, _BASIC) if self.secured else (None,)):
            return Reply(401, {"message": f"who is {authorization}?"}, refused="is not let in")
        if seen.method != "GET" or seen.body or not seen.path.startswith(f"{self.prefix}/api/v2/"):
            return Reply(404, {}, refused="wrong method or path")
        what = seen.path.removeprefix(f"{self.prefix}/api/v2/")
        expected = _EVERYTHING if what == "alerts" else {}
        if dict(seen.query) != expected:
            return Reply(400, {}, refused=f"has the parameters {dict(seen.query)}")
        return self._answer(what)

    def _answer(self, what: str) -> Reply:
        match what.split("/"):
            case ["alerts"]:
                return Reply(200, self.alerts)
            case ["alerts", "groups"]:
                return Reply(200, self.groups)
            case ["status"]:
                about = {"config": {"original": self.configuration}, "uptime": self.started_at}
                return Reply(200, about | {"cluster": {"status": "disabled", "peers": []}, "versionInfo": {}})
            case ["silence", number] if unquote(number) in self.silences:
                return Reply(200, {"id": number, **self.silences[number]})
            case ["silence", _]:
                return Reply(404, {"message": "not found"})
            case _:
                return Reply(404, {}, refused=f"there is no {what}")
