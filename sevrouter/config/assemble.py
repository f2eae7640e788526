"""From a schema that passed its checks to what the daemon runs on. Reads no file; the secrets are opened by now."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from sevrouter.config.call_settings import ConsoleSettings
from sevrouter.config.calling import calling, drill_plan
from sevrouter.config.configuration import (
    AlertmanagerSettings,
    AuthSettings,
    Configuration,
    Expected,
    HeartbeatOutSettings,
    IntegrationSettings,
    JiraSettings,
    PostgresSettings,
    PrometheusSettings,
    ReconcileSettings,
    SlackSettings,
    SqliteSettings,
    StoreSettings,
    TlsSettings,
    TransitionSettings,
    WebhookSettings,
)
from sevrouter.config.doubts import sorted_thresholds
from sevrouter.config.integrations import Console, Jira, Slack
from sevrouter.config.on_call import on_call_settings
from sevrouter.config.providers import call_settings, name_of
from sevrouter.config.references import default_name
from sevrouter.config.secret import Secret, one_secret, optional_secret, secrets_of
from sevrouter.config.store_url import PostgresUrl, SqliteUrl, is_local
from sevrouter.domain.alert import Alert
from sevrouter.domain.grading import Fixed, Grader, Graduated, Mapped
from sevrouter.domain.grading import Rule as GradingRule
from sevrouter.domain.heartbeat import Heartbeat
from sevrouter.domain.identity import IncidentPolicy
from sevrouter.domain.measure import Measure as AlertMeasure
from sevrouter.domain.measure import Source
from sevrouter.domain.ownership import Ownership, Person, System, Team
from sevrouter.domain.promql import QueryTemplate
from sevrouter.domain.rehearsal import STARTED, Rehearsal
from sevrouter.domain.routing import Routing
from sevrouter.domain.timed import UNSURE_AFTER, Count, FiringFor, Query, Ratio, Timed, Watched

if TYPE_CHECKING:
    from sevrouter.config import schema
    from sevrouter.config.connections import Alertmanager, Auth, HeartbeatOut, Prometheus
    from sevrouter.config.integrations import JiraTransition
    from sevrouter.config.measures import Measure, Side
    from sevrouter.config.problem import Problem
    from sevrouter.config.storage import Store, Tls

OpenFile = Callable[[str], Secret]


def assemble(
    root: schema.Root,
    *,
    path: Path,
    config_hash: str,
    open_file: OpenFile,
    open_password: OpenFile,
    warnings: tuple[Problem, ...],
) -> Configuration:
    """Build the running configuration.

    `open_file` gives the secret in a file by the name that is written, `open_password` that of the store and of
    calendars.
    """
    people = {name: _person(name, each) for name, each in root.people.items()}
    return Configuration(
        path=path,
        hash=config_hash,
        routing=_routing(root, config_hash, people),
        teams={name: _team(name, each, people) for name, each in root.teams.items()},
        people=people,
        on_call=on_call_settings(root.on_call, path.parent, open_password),
        integrations=_integrations(root, path.parent, open_file),
        providers={name_of(each): call_settings(each, path.parent, open_file) for each in root.integrations.call or ()},
        drills=drill_plan(root.drills),
        public_url=root.public_url,
        prometheus=None if root.prometheus is None else _prometheus(root.prometheus, open_file),
        heartbeat_out=None if root.heartbeat_out is None else _heartbeat_out(root.heartbeat_out, open_file),
        alertmanagers=tuple(_alertmanager(each, open_file) for each in root.alertmanagers),
        reconcile=ReconcileSettings(every=root.reconcile.every, missed_after=root.reconcile.missed_after),
        store=_store(root.store, path.parent, open_password),
        retention=root.history.retention,
        webhook=WebhookSettings(max_body=root.webhook.max_body, auth=_auth(root.webhook.auth, open_file)),
        api=_auth(root.api.auth or root.webhook.auth, open_file),
        tests=tuple(_expected(each, path.parent) for each in root.tests),
        warnings=warnings,
    )


def _routing(root: schema.Root, config_hash: str, people: Mapping[str, Person]) -> Routing:
    incidents = root.incidents
    return Routing(
        grader=Grader(
            [_rule(rule) for rule in root.rules],
            unmatched=root.unmatched,
            heartbeats=list(map(_heartbeat, root.heartbeats)),
        ),
        incidents=IncidentPolicy(incidents.group_by, incidents.resolve_after, incidents.reopen_within),
        ownership=Ownership(
            tuple(System(each.name, each.matchers, each.owner) for each in root.systems), root.default_owner
        ),
        responses=root.responses,
        give_up_after=root.delivery.give_up_after,
        deployment_window=root.deployments.window,
        deployment_query=root.deployments.query,
        stale_after=incidents.stale_after,
        horizon=root.forecast.horizon,
        outage_after=UNSURE_AFTER if root.prometheus is None else root.prometheus.unsure_after,
        calling=calling(
            root.policies,
            providers=root.integrations.call or (),
            of_teams={name: each.policy for name, each in root.teams.items() if each.policy is not None},
            people=people,
            limits=root.call_limits,
        ),
        config_hash=config_hash,
    )


def _heartbeat(heartbeat: schema.Heartbeat) -> Heartbeat:
    name = heartbeat.name if heartbeat.name is not None else default_name(heartbeat.matchers)
    return Heartbeat(
        name=name,
        matchers=heartbeat.matchers,
        every=heartbeat.every,
        grace=heartbeat.grace,
        missed=heartbeat.missed,
    )


def _rule(rule: schema.Rule) -> GradingRule:
    return GradingRule(rule.name, rule.matchers, _scale(rule))


def _scale(rule: schema.Rule) -> Fixed | Graduated | Mapped | Watched:
    if rule.measure is None:
        return Fixed(rule.sev)
    timed = _timed(rule.measure)
    if timed is not None:
        unsure_after = UNSURE_AFTER if rule.measure.unsure_after is None else rule.measure.unsure_after
        return Watched(timed, sorted_thresholds(rule), rule.measure.every, unsure_after)
    measure = _text_of(rule.measure)
    if rule.values is not None:
        return Mapped(measure, rule.values)
    return Graduated(measure, sorted_thresholds(rule))


def _timed(measure: Measure) -> Timed | None:
    if measure.query is not None:
        return Query(measure.query)
    if measure.firing_for is not None:
        return FiringFor(of_incident=measure.firing_for == "incident")
    if measure.ratio is not None:
        return Ratio(_side(measure.ratio.part), _side(measure.ratio.whole))
    if measure.count is None:
        return None
    count, whole = Count(measure.count.label), measure.count.whole
    if isinstance(whole, QueryTemplate):
        return Ratio(count, Query(whole))
    return count if whole is None else Count(measure.count.label, whole)


def _side(side: Side) -> Query | Count | AlertMeasure | float:
    if side.query is not None:
        return Query(side.query)
    if side.count is not None:
        return Count(side.count.label)
    return _text_of(side) if side.number is None else side.number


def _text_of(written: Measure | Side) -> AlertMeasure:
    named = {Source.LABEL: written.label, Source.ANNOTATION: written.annotation, Source.VALUE: written.value}
    return next(AlertMeasure(source, name) for source, name in named.items() if name is not None)


def _expected(test: schema.Test, base: Path) -> Expected:
    labels, alerts = test.alert or {}, tuple[Alert, ...]()
    if labels:
        alerts = (Alert(labels=labels, annotations=test.annotations, values=test.values, starts_at=STARTED),)
    return Expected(
        name=test.name or test.payload or ", ".join(f"{name}={value}" for name, value in labels.items()),
        rehearsal=Rehearsal(alerts=alerts, after=test.after, readings=test.readings),
        payload=None if test.payload is None else base / test.payload,
        sev=test.expect,
        unsure=test.unsure,
        owner=test.owner,
        responses=test.responses,
        incidents=test.incidents,
    )


def _person(name: str, person: schema.Person) -> Person:
    return Person(name, phone=person.phone, slack=person.slack, jira=person.jira)


def _team(name: str, team: schema.Team, people: Mapping[str, Person]) -> Team:
    return Team(
        name,
        slack_channel=team.slack.channel,
        slack_mention=team.slack.mention,
        jira_project=team.jira.project,
        jira_assignee=people[team.jira.assignee] if team.jira.assignee is not None else None,
        jira_issue_type=team.jira.issue_type,
        jira_components=team.jira.components,
        jira_labels=team.jira.labels,
    )


def _integrations(root: schema.Root, base: Path, open_file: OpenFile) -> dict[str, IntegrationSettings]:
    chosen = {"slack": root.integrations.slack, "jira": root.integrations.jira}
    found = {name: _settings(each, open_file) for name, each in chosen.items() if each is not None}
    first = (root.integrations.call or (None,))[0]
    return found if first is None else {"call": call_settings(first, base, open_file), **found}


def _settings(chosen: Slack | Jira | Console, open_file: OpenFile) -> IntegrationSettings:
    match chosen:
        case Console():
            return ConsoleSettings()
        case Slack():
            token = one_secret(chosen.token_file, chosen.token, open_file)
            return SlackSettings(
                url=chosen.url,
                token=token,
                channel=chosen.channel,
                signing_secret=optional_secret(chosen.signing_secret_file, chosen.signing_secret, open_file),
                app_token=optional_secret(chosen.app_token_file, chosen.app_token, open_file),
            )
        case Jira():
            return JiraSettings(
                url=chosen.url,
                deployment=chosen.deployment,
                email=chosen.email,
                token=one_secret(chosen.token_file, chosen.token, open_file),
                project=chosen.project,
                issue_type=chosen.issue_type,
                labels=chosen.labels,
                components=chosen.components,
                priorities=chosen.priority,
                on_resolve=_transition(chosen.on_resolve),
                on_reopen=_transition(chosen.on_reopen),
                wont_fix=chosen.wont_fix,
                update=chosen.update,
            )
        case _:
            assert_never(chosen)


# As Jira itself calls them, in every language.
_CATEGORIES = {"to-do": "new", "in-progress": "indeterminate", "done": "done"}


def _transition(written: JiraTransition | None) -> TransitionSettings | None:
    if written is None:
        return None
    category = None if written.category is None else _CATEGORIES[written.category]
    return TransitionSettings(id=written.id, category=category, fields=written.fields)


def _prometheus(prometheus: Prometheus, open_file: OpenFile) -> PrometheusSettings:
    token, username, password = _login(prometheus, open_file)
    return PrometheusSettings(
        url=prometheus.url, bearer_token=token, username=username, password=password, timeout=prometheus.timeout
    )


def _heartbeat_out(out: HeartbeatOut, open_file: OpenFile) -> HeartbeatOutSettings:
    return HeartbeatOutSettings(url=one_secret(out.url_file, out.url, open_file), every=out.every)


def _alertmanager(each: Alertmanager, open_file: OpenFile) -> AlertmanagerSettings:
    token, username, password = _login(each, open_file)
    return AlertmanagerSettings(
        url=each.url, bearer_token=token, username=username, password=password, receivers=each.receivers
    )


def _login(asked: Prometheus | Alertmanager, open_file: OpenFile) -> tuple[Secret | None, str | None, Secret | None]:
    """A token, or a user and a password, or none of them."""
    basic, token = asked.basic, None
    if asked.bearer_token_file is not None or asked.bearer_token is not None:
        token = one_secret(asked.bearer_token_file, asked.bearer_token, open_file)
    if basic is None:
        return token, None, None
    return token, basic.username, one_secret(basic.password_file, basic.password, open_file)


def _store(store: Store, base: Path, open_password: OpenFile) -> StoreSettings:
    match store.target:
        case SqliteUrl(file):
            return SqliteSettings(Path(os.path.normpath((base / file).absolute())))
        case PostgresUrl() as url:
            has_password = store.password_file is not None or store.password is not None
            return PostgresSettings(
                hosts=url.hosts,
                database=url.database,
                user=url.user,
                password=one_secret(store.password_file, store.password, open_password) if has_password else None,
                tls=_tls(store.tls, url, base.absolute()),
                schema=store.schema_name,
                application_name=url.application_name,
                connect_timeout=store.connect_timeout,
                statement_timeout=store.statement_timeout,
                lock_timeout=store.lock_timeout,
            )
        case other:
            assert_never(other)


def _tls(tls: Tls, url: PostgresUrl, base: Path) -> TlsSettings | None:
    ca, cert, key = (base / file if file is not None else None for file in (tls.ca_file, tls.cert_file, tls.key_file))
    is_wanted = any((ca, cert, key)) or not all(is_local(host) for host, _ in url.hosts)
    mode = tls.mode or ("verify-full" if is_wanted else "disable")
    return TlsSettings(mode=mode, ca_file=ca, cert_file=cert, key_file=key) if mode != "disable" else None


def _auth(auth: Auth | None, open_file: OpenFile) -> AuthSettings:
    if auth is None:
        return AuthSettings()
    basic = auth.basic
    return AuthSettings(
        bearer_tokens=secrets_of(auth.bearer_token_files, auth.bearer_tokens, open_file),
        basic_username=basic.username if basic else None,
        basic_passwords=secrets_of(basic.password_files, basic.passwords, open_file) if basic else (),
    )
