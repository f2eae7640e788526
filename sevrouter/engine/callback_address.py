"""Where a provider's callbacks of one ring come to: built by who asks for a call, understood by who hears of it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

# Said to somebody who pressed nothing, so many times: it may be a voicemail that listens.
MOST_TIMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAddress:
    """`root` is our public address, `vendor` the word for the kind of provider, `provider` its own name.

    Whoever knows an address with its token may say what happens in this call, if he can sign it as well.
    """

    root: str
    vendor: str
    provider: str
    ring_id: int
    token: str

    @property
    def pressed(self) -> str:
        """A key was pressed."""
        return f"{self._base}/pressed"

    @property
    def progress(self) -> str:
        """The call went on: it rings, is answered, or is over."""
        return f"{self._base}/progress"

    def again(self, time: int) -> str | None:
        """Nothing was pressed, and it is to be said for the so-manieth time; None where that is once too often."""
        return f"{self._base}/again/{time}" if time <= MOST_TIMES else None

    @property
    def _base(self) -> str:
        parts = ("callbacks", self.vendor, self.provider, str(self.ring_id), self.token)
        return "/".join([self.root.rstrip("/"), *(quote(part, safe="") for part in parts)])


def routes(vendor: str) -> str:
    """The path of all of a vendor's callbacks, as the web server writes a pattern."""
    return f"/callbacks/{vendor}" + "/{provider}/{ring_id:[0-9]{1,18}}/{token}/{what:pressed|progress|again/[0-9]{1,3}}"
