"""One webhook in one transaction: match → grade → fold → plan → enqueue, in that order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sevrouter.domain.alert import Alert, AlertRecord, AlertStatus, HistoryEntry
from sevrouter.domain.delivery import NewDelivery
from sevrouter.domain.heartbeat import beat
from sevrouter.domain.incident import Fold, Incident, TimelineEntry, fold
from sevrouter.domain.observation import Change, Observation, observe
from sevrouter.domain.outlook import look
from sevrouter.domain.own import UNREADABLE, unreadable_webhook
from sevrouter.domain.plan import notice, plan
from sevrouter.domain.reconciliation import found_by_asking
from sevrouter.domain.suppression import lifted_by
from sevrouter.engine.deployments import suspecting
from sevrouter.engine.entries import content_entry, entry, is_watched, placed_entry
from sevrouter.engine.grouping import Group, Grouping
from sevrouter.engine.lease import Lease, claimed, lease_until
from sevrouter.engine.ports import ForgottenError
from sevrouter.engine.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sevrouter.domain.grading import Verdict
    from sevrouter.domain.outlook import Outlook
    from sevrouter.domain.routing import Routing
    from sevrouter.engine.ports import TransactionPort
    from sevrouter.engine.webhook import Webhook


class Taking:
    """One webhook in one transaction."""

    def __init__(
        self,
        tx: TransactionPort,
        routing: Routing,
        now: datetime,
        keys: Mapping[bytes, str],
        takes: Callable[[str], bool],
        lease: Lease,
    ) -> None:
        self._tx = tx
        self._routing = routing
        self._now = now
        self._keys = keys
        self._takes = takes
        self._lease = lease
        # Whether a webhook is behind it: what we find out by ourselves says nothing of what Alertmanager left out. Or
        # whether an Alertmanager was asked for it.
        self._is_webhook, self._is_found = False, False
        self._truncated = False
        self._minds_repeats = False
        self._tally = Tally()
        self._groups: Mapping[str, Group] = {}

    @property
    def _is_heard(self) -> bool:
        return self._is_webhook or self._is_found

    def run(self, webhook: Webhook) -> Tally | None:
        """None where it has to be read whole; then nothing was changed."""
        self._is_webhook, self._truncated = True, webhook.truncated
        self._tally.handed += self._lease.held(self._tx)
        if webhook.repeats and not self._repeats(webhook):
            return None
        if webhook.quarantined is not None:
            reason, body = webhook.quarantined
            self._tx.quarantine.add(body, reason=reason, at=self._now)
        # That all is there again may end a truncation, so there a repeat is news too.
        self._minds_repeats = self._truncated or self._tx.incidents.any_truncated()
        observations = self._observe(self._distinct(webhook.alerts))
        if webhook.quarantined is not None:
            observations.append(self._unreadable(webhook.quarantined[0]))
        self._carry_out(observations)
        if self._routing.grader.heartbeats:
            # Whatever fires is a beat: that it came late, or twice, says nothing against whoever sent it.
            beats = {name for verdict in self._tally.verdicts for name in verdict.heartbeats}
            self._tx.heartbeats.put(dict.fromkeys(beats, beat(self._now)))
        return self._tally

    def measured(self, observations: Sequence[Observation], outlooks: Mapping[int, Outlook] | None = None) -> Tally:
        """The same for what was measured and did not come by a webhook.

        An outlook is of the open incident with that id.
        """
        self._tally.handed += self._lease.held(self._tx)
        self._carry_out(observations, outlooks or {})
        return self._tally

    def graded_anew(self, alerts: Sequence[Alert]) -> Tally:
        """The same for alerts that nobody has sent: they fire, and may be graded otherwise than they were."""
        self._tally.handed += self._lease.held(self._tx)
        records = self._tx.alerts.records([each.digest for each in alerts])
        told = {
            each.digest: replace(each, content=record.content, sighting=record.sighting)
            for each in alerts
            if (record := records.get(each.digest)) is not None and record.status is AlertStatus.FIRING
        }
        # Another rule may want to read sooner what is watched already.
        watches = {watch for each in told if (watch := records[each].watch_id) is not None}
        self._tx.watches.wake(watches, at=self._now)
        self._tally.has_watched |= bool(watches)
        self._carry_out(self._observe(told))
        self._tally.heard.clear()
        return self._tally

    def found(self, alerts: Sequence[Alert]) -> Tally:
        """The same for what Alertmanager was asked for, because it did not come by a webhook."""
        self._tally.handed += self._lease.held(self._tx)
        self._is_found = True
        self._carry_out(self._observe(self._distinct(alerts)))
        return self._tally

    def _carry_out(self, observations: Sequence[Observation], outlooks: Mapping[int, Outlook] | None = None) -> None:
        if not observations and not outlooks:
            return
        grouping = Grouping(self._tx, self._routing, self._keys)
        grouping.add(observations)
        grouping.look(outlooks or {})
        self._groups = grouping.groups
        self._tally.unowned += grouping.unowned
        for group in self._groups.values():
            self._fold(group)
        self._save()

    def _repeats(self, webhook: Webhook) -> bool:
        """Count the repeats; False where one of them may be news after all."""
        try:
            records = self._tx.alerts.sighted(webhook.repeats)
        except ForgottenError:
            return False
        # What may end a truncation, or contradicts another alert of the same webhook, has to be looked at.
        digests = {alert.digest for alert in webhook.alerts}
        if self._truncated or self._tx.incidents.any_truncated() or any(each.digest in digests for each in records):
            return False
        for record in records:
            if not is_graded(record, self._routing):
                return False
            self._tally.repeated(record)
        return True

    def _distinct(self, alerts: Sequence[Alert]) -> Mapping[bytes, Alert]:
        """One alert a label set; where a sender contradicts itself, the one that fires."""
        self._tally.received(alerts)
        distinct = {alert.digest: alert for alert in alerts}
        if len(distinct) < len(alerts):
            self._tally.duplicates += len(alerts) - len(distinct)
            for alert in reversed(alerts):
                if alert.status is AlertStatus.FIRING:
                    distinct[alert.digest] = alert
        return distinct

    def _observe(self, alerts: Mapping[bytes, Alert]) -> list[Observation]:
        """What each alert means; what changes nothing but its own record and history is made ready for that."""
        now, grade, tally = self._now, self._routing.grader.grade, self._tally
        config_hash = self._routing.config_hash
        records = self._tx.alerts.records(alerts)
        observations: list[Observation] = []
        reworded: list[HistoryEntry] = []
        recalled: list[AlertRecord] = []
        for digest, alert in alerts.items():
            record = records.get(digest)
            verdict = None
            if alert.status is AlertStatus.FIRING:
                verdict = grade(alert)
                tally.verdicts.append(verdict)
            change = observe(record, alert, verdict, received_at=now)
            if record is not None and is_watched(verdict) and record.watch_id is None:
                # The configuration watches it since it was last heard of.
                change = Change.CHANGED if change in (Change.CONTENT, Change.DUPLICATE) else change
            if change is Change.CHANGED and verdict is not None and verdict.heartbeats:
                # It became a heartbeat, by the configuration, and is no incident any more.
                change = Change.LEFT
            if change is Change.CONTENT:
                assert record is not None
                assert verdict is not None
                reworded.append(content_entry(record, alert, verdict, now=now, config_hash=config_hash))
                if not self._minds_repeats:
                    continue
            elif not change.kept:
                tally.repeats(record)
                if change is Change.DUPLICATE and record is not None and alert.sighting:
                    recalled.append(self._recalled(record, alert, verdict))
                tally.stale += change in (Change.STALE_FIRING, Change.STALE_RESOLVED)
            if change.moves or change is Change.NEVER_FIRED or self._minds_repeats:
                observations.append(Observation(change, alert, record, verdict))
        self._tx.alerts.recall(recalled)
        self._tx.alerts.reword(reworded)
        return observations

    def _recalled(self, record: AlertRecord, alert: Alert, verdict: Verdict | None) -> AlertRecord:
        graded_by = self._routing.config_hash
        return replace(record, sighting=alert.sighting, verdict=verdict, graded_by=graded_by)

    def _unreadable(self, reason: str) -> Observation:
        alert = Alert(
            labels=UNREADABLE,
            annotations={"summary": f"a webhook could not be read: {reason}"},
            starts_at=self._now,
        )
        why = f"it could not be read ({reason}), so nobody knows how bad it is; the raw body is in quarantine"
        verdict = unreadable_webhook(self._routing.grader.unmatched, why)
        return Observation(Change.EVENT, alert, None, verdict)

    def _fold(self, group: Group) -> None:
        before = group.incident
        was_truncated = before is not None and before.truncated
        matters = any(each.change.moves for each in group.observations) or self._truncated or was_truncated
        if not matters and group.outlook is None:
            return
        folded = Fold(before)
        if matters:
            folded = fold(
                before,
                group.observations,
                opening=group.opening,
                policy=self._routing.incidents,
                config_hash=self._routing.config_hash,
                now=self._now,
                truncated=self._truncated if self._is_webhook else was_truncated,
                is_heard=self._is_heard,
            )
            if self._is_heard:
                folded = lifted_by(folded, group.observations, now=self._now)
            if self._is_found:
                folded = found_by_asking(folded)
        if group.outlook is not None:
            folded = look(folded, group.outlook, now=self._now, horizon=self._routing.horizon)
        folded = suspecting(self._tx, folded, window=self._routing.deployment_window, now=self._now)
        incident, group.planned = plan(folded, self._routing.responses)
        group.folded = replace(folded, incident=incident)

    def _save(self) -> None:
        folded = {
            name: (group, group.folded.incident)
            for name, group in self._groups.items()
            if group.folded is not None and group.folded.incident is not None
        }
        ids = self._tx.incidents.add([incident for _, incident in folded.values() if incident.id is None])
        changed: list[Incident] = []
        entries: list[tuple[int, TimelineEntry]] = []
        deliveries: list[NewDelivery] = []
        numbers: dict[str, int] = {}
        for name, (group, incident) in folded.items():
            stored = incident if incident.id is not None else replace(incident, id=ids[incident.dedup_key])
            assert stored.id is not None
            assert group.folded is not None
            numbers[name] = stored.id
            if incident.id is not None and stored != group.incident:
                changed.append(stored)
            entries += [(stored.id, entry) for entry in group.folded.facts]
            deliveries += self._deliveries(group, stored)
            self._tally.facts += [(stored, entry) for entry in group.folded.facts]
            self._tally.has_due |= stored.due_at is not None
        self._tx.incidents.save(changed)
        self._tx.incidents.tell(entries)
        self._enqueue(deliveries)
        watches, config_hash = self._watch(), self._routing.config_hash
        kept = [
            entry(observation, numbers.get(name), watches.get(name), now=self._now, config_hash=config_hash)
            for name, group in self._groups.items()
            for observation in group.observations
            if observation.change.kept and observation.change is not Change.CONTENT
        ]
        placed = [
            placed_entry(observation, numbers.get(name), now=self._now)
            for name, group in self._groups.items()
            for observation in group.observations
            if observation.change is Change.MEASURED and observation.record and observation.record.incident_id is None
        ]
        self._tx.alerts.save([*kept, *placed])

    def _watch(self) -> dict[str, int]:
        watched = [name for name, group in self._groups.items() if group.is_watched]
        self._tally.has_watched |= bool(watched)
        return self._tx.watches.ensure(watched, at=self._now) if watched else {}

    def _enqueue(self, deliveries: Sequence[NewDelivery]) -> None:
        self._tally.integrations |= {each.integration for each in deliveries if each.lease is None}
        self._tally.handed += claimed(self._tx.outbox.add(deliveries), deliveries)

    def _deliveries(self, group: Group, incident: Incident) -> list[NewDelivery]:
        # Nothing older waits for anybody who was not told of this incident before.
        told = () if group.incident is None else group.incident.asked
        deliveries = []
        bridge = self._routing.bridge_of(incident.owner, incident.sev)
        for planned in group.planned:
            takes = planned.integration not in told and self._takes(planned.integration)
            deliveries.append(
                NewDelivery(
                    integration=planned.integration,
                    notice=notice(group.incident, incident, planned, now=self._now, bridge=bridge),
                    received_at=self._now,
                    expires_at=self._now + self._routing.give_up_after,
                    lease=self._lease.token if takes else None,
                    lease_until=lease_until(self._now) if takes else None,
                )
            )
        return deliveries


def is_graded(record: AlertRecord, routing: Routing) -> bool:
    """Whether what the configuration makes of an alert is known."""
    return record.status is AlertStatus.RESOLVED or record.graded_by == routing.config_hash
