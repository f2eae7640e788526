"""One campaign: senders, faults until so many were killed, healing, draining, and the ledger."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.chaos import ledger as books
from tests.chaos import records
from tests.chaos.faults import Faults
from tests.chaos.ledger import Ledger
from tests.chaos.senders import Senders
from tests.chaos.stage import Stage
from tests.real.postgres import PASSWORD
from tests.scenarios.team import WEBHOOK_TOKEN
from tests.standins.jira import TOKEN
from tests.standins.pagerduty import ROUTING_KEY
from tests.standins.slack import TOKEN as SLACK_TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.postgres_installation import PostgresInstallation

SECRETS = (PASSWORD, quote(PASSWORD, safe=""), ROUTING_KEY, SLACK_TOKEN, TOKEN, WEBHOOK_TOKEN)
# Seconds for the last webhooks to be told, and then for the last deliveries to be made; a lease is part of it.
TOLD_WITHIN = 60.0
DRAINED_WITHIN = 90.0


async def campaign(installation: PostgresInstallation, folder: Path, *, kills: int, seed: str) -> Ledger:
    """Run one, and return its ledger."""
    ledger, started = Ledger(), time.monotonic()
    async with Stage(installation, folder, seed) as stage:
        faults = Faults(stage, kills)
        senders = Senders([each.webhook_url for each in stage.replicas], stage.vendors.pagerduty, seed)
        sending = asyncio.create_task(senders.run())
        await faults.run()
        tormented = time.monotonic() - started
        await _heal(stage, senders, sending, ledger)
        await _drain(stage, ledger)
        stored = await asyncio.to_thread(records.read, stage.postgres)
        ledger.figures |= {"killed": faults.killed, "seconds of faults": round(tormented)}
        ledger.figures |= dict(faults.counts.most_common()) | _answers(senders)
        ledger.figures["vendors: 503"] = sum(day.busy for day in stage.vendors.days)
        ledger.figures["vendors: answer lost"] = sum(day.lost for day in stage.vendors.days)
        books.check(ledger, stored, senders.groups, stage.vendors, workers_of(stage))
        for replica in stage.replicas:
            if (code := await replica.terminate()) != 0:
                ledger.violated("a healthy replica ends in good order", f"{replica.name} ended with {code}")
        books.check_logs(ledger, {each.name: each.lines for each in stage.replicas}, SECRETS)
        ledger.violated("a replica starts, and ends when it is asked to", *faults.violations)
        ledger.violated("a vendor is asked nothing that it refuses", *_refusals(stage))
        ledger.violated("a webhook is answered with 200 or 503", *senders.tally.wrong)
    return ledger


async def _heal(stage: Stage, senders: Senders, sending: asyncio.Task[None], ledger: Ledger) -> None:
    for replica in stage.replicas:
        await replica.proxy.heal()
    stage.vendors.recover()
    senders.stop()
    await asyncio.wait([sending], timeout=TOLD_WITHIN)
    if not sending.done():
        ledger.violated("what is sent again and again is taken in the end", str(senders.waiting))
        sending.cancel()
        await asyncio.wait([sending])
    else:
        sending.result()


async def _drain(stage: Stage, ledger: Ledger) -> None:
    started = time.monotonic()
    # What is left over is for the ledger to say.
    await records.settled(stage.postgres, within=DRAINED_WITHIN)
    ledger.figures["seconds to drain"] = round(time.monotonic() - started)


def workers_of(stage: Stage) -> books.Workers:
    """What the replicas' processes suffered, and what they wrote down."""
    logged = (each for replica in stage.replicas for each in replica.told_of())
    return books.Workers(
        [trouble for replica in stage.replicas for trouble in replica.troubles],
        {
            (worker, line["reference"], line["sev"], line["kind"] == "reopened")
            for worker, line in logged
            if line.get("event") == "delivered" and line["integration"] == "call"
        },
    )


def _answers(senders: Senders) -> dict[str, int]:
    tally = senders.tally
    return {"webhooks answered 200": tally.ok, "… 503": tally.refused, "… not at all": tally.lost}


def _refusals(stage: Stage) -> list[str]:
    vendors = stage.vendors
    return [*vendors.pagerduty.refusals, *vendors.slack.refusals, *vendors.jira.refusals]
