"""What people and measures said of an incident beside its SEV, which only rises by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from sevrouter.domain.likelihood import Mention
from sevrouter.domain.sev import Sev


class Milder(Struct, frozen=True, gc=False, omit_defaults=True):
    """What the measures make of an incident by now, milder than its SEV (None: no incident), and since when.

    `is_proposed` says that lowering it was proposed in its timeline.
    """

    sev: Sev | None
    since: datetime
    is_proposed: bool = False


class SetSev(Struct, frozen=True, gc=False):
    """A SEV that a person has set, and why."""

    sev: Sev
    by: str
    reason: str
    at: datetime


class Acknowledgement(Struct, frozen=True, gc=False):
    """Who owns an incident, and where that was said (phone, slack, cli, api, the name of a paging service)."""

    by: str
    how: str
    at: datetime


class Standing(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What is kept of an open incident for those who look at it.

    `set_sev` is what a person said of its SEV, as long as the machine has not raised it since. `overruled` is what it
    was known to be when a person set a milder SEV: only what is worse than that raises it by itself again. `milder` is
    None where its measures say what its SEV says. `mentions` hold which worse SEVs it was said to be likely to become,
    and `returned` what a reading gives again that was missing when it set the SEV. `withheld` says that a call was not
    made because it was suppressed. `acknowledged` is who owns it.
    """

    set_sev: SetSev | None = None
    overruled: Sev | None = None
    milder: Milder | None = None
    mentions: Mapping[Sev, Mention] = {}
    returned: str | None = None
    withheld: bool = False
    acknowledged: Acknowledgement | None = None


# Of most incidents nobody has said anything.
NOTHING = Standing()
