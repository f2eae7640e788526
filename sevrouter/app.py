"""The composition root: builds the daemon from a configuration, runs it, and takes it down in reverse."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from aiohttp import ClientSession, web

from sevrouter import __version__
from sevrouter.config import (
    AlertmanagerSettings,
    Configuration,
    ConfigurationKeeper,
    PrometheusSettings,
    log_loaded,
)
from sevrouter.engine.aftermath import Aftermath
from sevrouter.engine.asking import Asker
from sevrouter.engine.deployments import DeploymentLog
from sevrouter.engine.dispatcher import Dispatcher
from sevrouter.engine.hearing import Hearing
from sevrouter.engine.heartbeat_out import HeartbeatOut, Outgoing
from sevrouter.engine.heartbeats import Heartbeats
from sevrouter.engine.intake import Intake
from sevrouter.engine.janitor import Janitor
from sevrouter.engine.measurer import Measurer
from sevrouter.engine.reconciler import Reconciler, Terms
from sevrouter.engine.rollout import Rollout
from sevrouter.engine.sweep import Sweep
from sevrouter.engine.watcher import Watcher
from sevrouter.ingest.deployments import DeploymentsHandler
from sevrouter.ingest.webhook import Refused, WebhookHandler
from sevrouter.notifiers.http import Transports, open_transport
from sevrouter.notifiers.ping import HttpPinger
from sevrouter.opening import open_store
from sevrouter.roster import Rosters
from sevrouter.routes import credentials_of, lanes_of
from sevrouter.signals import Signals
from sevrouter.sources import alertmanager, connection, prometheus
from sevrouter.store.errors import StoreError
from sevrouter.store.sqlite import sqlite_version
from sevrouter.switchboard import Switchboard
from sevrouter.telemetry.metrics import Metrics
from sevrouter.web.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sevrouter.domain.routing import Routing
    from sevrouter.engine.ports import TransactionPort
    from sevrouter.store.postgres import PostgresStore
    from sevrouter.store.sqlite import SqliteStore

log = structlog.get_logger()

# Seconds. Slow headers and idle connections are cut off after the first; requests under way may take the second
# after we were told to stop; a store that does not answer a probe within the third is away. The rest of a body that
# was refused is thrown away for as long as the fourth, so that its sender gets to read why.
IDLE_CONNECTION = 30.0
FINISH_REQUESTS = 5.0
PROBE = 2.0
LINGER = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line decides. A shadow decides everything and delivers nothing."""

    host: str
    port: int
    shadow: bool = False


def utc_now() -> datetime:
    """The clock of the daemon."""
    return datetime.now(UTC)


async def serve(configuration: Configuration, options: Options) -> None:  # noqa: PLR0915  one straight function
    """Run until SIGTERM or SIGINT. Raises StoreError or OSError where it cannot start."""
    async with AsyncExitStack() as stack:
        # First to come and last to go: a signal while we start or stop must not cut either short.
        signals = Signals(stack)
        metrics = Metrics()
        metrics.show_build(sqlite=sqlite_version())
        # In a thread, because PostgreSQL's driver needs a loop, and this thread has ours. It may take a while, too.
        store = await asyncio.to_thread(open_store, configuration.store, shadow=options.shadow)
        stack.callback(store.close)
        transports = Transports()
        stack.push_async_callback(transports.close)

        draining = asyncio.Event()
        dispatcher = Dispatcher(store, metrics, clock=utc_now)
        stack.push_async_callback(dispatcher.stop)

        def routing() -> Routing:
            return keeper.configuration.routing

        watcher = Watcher(store, routing, clock=utc_now, wake=dispatcher.wake)
        hearing = Hearing(store, routing, clock=utc_now, wake=dispatcher.wake)
        session = await stack.enter_async_context(connection.open_session())
        alertmanagers = await stack.enter_async_context(connection.open_session())
        asker = Asker(clock=utc_now)
        aftermath = Aftermath(
            metrics,
            lanes=dispatcher,
            due=watcher.wake,
            watched=lambda: measurer.wake(),  # noqa: PLW0108  it is made below, of this
            heard=hearing.note,
        )
        measurer = Measurer(store, routing, metrics, aftermath, clock=utc_now, asker=asker)
        intake = Intake(store, routing, aftermath, clock=utc_now)
        sweep = Sweep(store, intake, clock=utc_now)
        heartbeats = Heartbeats(store, routing, metrics, aftermath, clock=utc_now)
        reconciler = Reconciler(store, routing, metrics, aftermath, clock=utc_now)
        janitor = Janitor(store, dispatcher, lambda: keeper.configuration.retention, clock=utc_now)
        deployments = DeploymentLog(store, routing, metrics)
        rollout = Rollout(deployments, routing, clock=utc_now, asker=asker)
        switchboard = Switchboard(
            store,
            routing,
            metrics,
            dispatcher,
            clock=utc_now,
            transports=transports,
            rosters=Rosters(await stack.enter_async_context(connection.open_session())),
            is_draining=draining.is_set,
            shadow=options.shadow,
        )
        stack.push_async_callback(switchboard.stop)
        loops = (*switchboard.loops, watcher, measurer, reconciler, hearing, sweep, heartbeats, rollout, janitor)
        heartbeat_out = HeartbeatOut(
            store,
            HttpPinger(await stack.enter_async_context(open_transport())),
            metrics,
            clock=utc_now,
            outgoing=lambda: None if options.shadow else _outgoing(keeper.configuration),
            rounds=lambda: [*(loop.rounds for loop in loops), *dispatcher.rounds],
        )

        webhook = WebhookHandler(
            intake,
            metrics,
            clock=utc_now,
            credentials=credentials_of(configuration.webhook.auth),
            max_body=configuration.webhook.max_body,
            is_draining=draining.is_set,
        )

        def apply(new: Configuration) -> None:
            switchboard.use(new)
            webhook.credentials, webhook.max_body = credentials_of(new.webhook.auth), new.webhook.max_body
            asker.source = None if new.prometheus is None else _source(new.prometheus, session)
            metrics.show_config(new.hash, heartbeats=_heartbeats(new), services=lanes_of(new))
            terms = Terms(new.reconcile.every, new.reconcile.missed_after)
            reconciler.use([_asked(each, alertmanagers) for each in new.alertmanagers], terms)
            heartbeats.wake()
            heartbeat_out.wake()
            if new.hash != keeper.configuration.hash:
                sweep.begin()

        keeper: ConfigurationKeeper = ConfigurationKeeper(
            configuration, on_change=apply, on_reload=metrics.reload_successful.set
        )
        apply(configuration)
        metrics.reload_successful.set(1)
        log_loaded(configuration, "start")
        if store.is_exclusive:
            # Where only one process writes, whatever was being sent was being sent by one that is gone. The writer
            # comes to this before anything that a lane asks of it. Elsewhere the janitor looks for lost leases, and
            # looks again where the database is away just now.
            await dispatcher.rescue(everybody=True)
        await switchboard.begin(alone=store.is_exclusive)
        runs = [*(loop.run() for loop in loops), heartbeat_out.run(), switchboard.listen(), keeper.watch()]
        _start(stack, *runs, store.listening(dispatcher.wake))

        server = web.Application()
        server.router.add_route("*", "/webhook", webhook.handle)
        DeploymentsHandler(deployments, metrics, clock=utc_now, admit=webhook.admit).add_to(server)
        switchboard.add_to(server)
        _operations(store, metrics, keeper, webhook, switchboard.show, draining).add_to(server)
        await _listen(stack, server, options)

        signals.on_reload = lambda: keeper.reload("SIGHUP")
        log.info("started", version=__version__, shadow=options.shadow, store=store.name)
        name = await signals.stopped
        signals.on_reload = None
        log.info("stopping", signal=name)
        draining.set()
    log.info("stopped")


def _operations(
    store: SqliteStore | PostgresStore,
    metrics: Metrics,
    keeper: ConfigurationKeeper,
    webhook: WebhookHandler,
    calls: Callable[[TransactionPort], Callable[[], None]],
    draining: asyncio.Event,
) -> Operations:
    async def unready() -> str | None:
        if draining.is_set():
            return "draining"
        try:
            async with asyncio.timeout(PROBE):
                await store.write(lambda tx: tx.touch())
        except TimeoutError:
            # In the middle of a large webhook it is slow to answer, and takes alerts all the same.
            return None if store.is_busy else f"the store did not answer within {PROBE:g} s"
        except StoreError as error:
            return str(error)
        return None

    async def reload() -> str | None:
        if await keeper.reload("request"):
            return None
        return "the configuration is refused, the running one stays: see the log"

    async def page() -> bytes:
        # Where the store is away, the numbers that it last gave are shown beside the ones that need no store.
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(PROBE):
                incidents, suppressed, lanes, show_calls = await store.read(
                    lambda tx: (tx.incidents.counts(), tx.firing.suppressed(), tx.outbox.counts(), calls(tx))
                )
            metrics.show_incidents(incidents)
            show_calls()
            metrics.suppressed.set(len(suppressed))
            metrics.show_outbox(lanes, now=utc_now())
        return metrics.page()

    def may_change(request: web.Request) -> str | None:
        try:
            webhook.authorise(request)
        except Refused as refused:
            return refused.reason
        return None

    return Operations(unready=unready, reload=reload, metrics=page, may_change=may_change)


async def _listen(stack: AsyncExitStack, server: web.Application, options: Options) -> None:
    runner = web.AppRunner(
        server,
        access_log=None,
        # We refuse compressed bodies, so nothing may inflate one before we can.
        auto_decompress=False,
        keepalive_timeout=IDLE_CONNECTION,
        shutdown_timeout=FINISH_REQUESTS,
        lingering_time=LINGER,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, options.host, options.port, backlog=1024)
    await site.start()
    for address in runner.addresses:
        log.info("listening", host=address[0], port=address[1])


def _start(stack: AsyncExitStack, *runs: Coroutine[None, None, None] | None) -> None:
    for run in runs:
        if run is not None:
            stack.push_async_callback(_cancelled, asyncio.create_task(run))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _heartbeats(configuration: Configuration) -> list[str]:
    return [each.name for each in configuration.routing.grader.heartbeats]


def _outgoing(configuration: Configuration) -> Outgoing | None:
    settings = configuration.heartbeat_out
    return None if settings is None else Outgoing(settings.url, settings.every)


def _source(settings: PrometheusSettings, session: ClientSession) -> prometheus.Prometheus:
    within = settings.timeout.total_seconds()
    return prometheus.Prometheus(session, url=settings.url, credentials=_login(settings), answer_within=within)


def _asked(settings: AlertmanagerSettings, session: ClientSession) -> alertmanager.Alertmanager:
    return alertmanager.Alertmanager(
        session, url=settings.url, credentials=_login(settings), receivers=settings.receivers
    )


def _login(settings: PrometheusSettings | AlertmanagerSettings) -> connection.Credentials:
    if settings.bearer_token is not None:
        return connection.Bearer(settings.bearer_token)
    if settings.username is not None and settings.password is not None:
        return connection.Basic(settings.username, settings.password)
    return None
