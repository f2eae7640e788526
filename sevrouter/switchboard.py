"""All that calls people, put together: who is on call, the policies, the phones, and what is told of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from sevrouter.config import SlackSettings
from sevrouter.domain.delivery import CALL, SLACK
from sevrouter.domain.drill import NEVER
from sevrouter.engine.ack_polling import AckPolling
from sevrouter.engine.acknowledging import Acknowledging
from sevrouter.engine.drilling import Drilling
from sevrouter.engine.escalator import Escalator
from sevrouter.engine.health import Health
from sevrouter.engine.ringer import Ringer
from sevrouter.engine.schedules import Gap, Schedules
from sevrouter.engine.settling import Settling
from sevrouter.engine.talking import Talking
from sevrouter.ingest.authentication import Credentials
from sevrouter.ingest.incidents import IncidentsHandler
from sevrouter.ingest.pagerduty import PagerDutyCallbacks
from sevrouter.ingest.slack import SlackCallbacks
from sevrouter.ingest.slack_actions import SlackActions
from sevrouter.ingest.slack_socket import SlackSocket
from sevrouter.ingest.twilio import TwilioCallbacks
from sevrouter.notifiers.answers import Answer
from sevrouter.routes import Routes, credentials_of, pagerduty_receivers, twilio_callers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

    from sevrouter.config import Configuration
    from sevrouter.domain.ownership import Person
    from sevrouter.engine.dispatcher import Dispatcher
    from sevrouter.engine.ports import Clock, CurrentRouting, StorePort, TransactionPort
    from sevrouter.notifiers.http import Transports
    from sevrouter.roster import Rosters
    from sevrouter.telemetry.metrics import Metrics


log = structlog.get_logger()


class Switchboard:
    """Calls people by policies, where there are any; without them the dispatcher tells the one paging service."""

    def __init__(
        self,
        store: StorePort,
        routing: CurrentRouting,
        metrics: Metrics,
        dispatcher: Dispatcher,
        *,
        clock: Clock,
        transports: Transports,
        rosters: Rosters,
        is_draining: Callable[[], bool],
        shadow: bool,
    ) -> None:
        self._dispatcher = dispatcher
        self._rosters = rosters
        self._metrics = metrics
        self._shadow = shadow
        self._routes = Routes(transports, clock=clock)
        self._health = Health(clock=clock)
        self._schedules = Schedules(clock=clock, on_problem=self._fell_back)
        talking = Talking(store, routing, clock=clock, pressed_key=self._rings)
        settling = Settling(store, routing, clock=clock, health=self._health, wake=dispatcher.wake)
        self._ringer = Ringer(
            store, routing, metrics, clock=clock, health=self._health, talking=talking, settling=settling
        )
        self._escalator = Escalator(
            store,
            routing,
            metrics,
            clock=clock,
            roster=self._schedules,
            health=self._health,
            wake=dispatcher.wake,
            rings=self._rings,
        )
        self._drilling = Drilling(store, routing, self._ringer, clock=clock)
        acknowledging = Acknowledging(store, routing, clock=clock, wake=dispatcher.wake)
        self._polling = AckPolling(store, routing, acknowledging, clock=clock)
        self._incidents = IncidentsHandler(acknowledging, credentials=Credentials(), is_draining=is_draining)
        self._pagerduty = PagerDutyCallbacks(acknowledging, receivers={})
        self._responses = transports["slack responses"]
        actions = SlackActions(acknowledging, people=lambda: self._people, respond=self._respond)
        self._slack = SlackCallbacks(actions, clock=clock)
        self._socket = SlackSocket(actions)
        self._people: Mapping[str, Person] = {}
        self._twilio = TwilioCallbacks(talking, public_url="", callers={})
        # A shadow calls nobody, so that nothing there has to turn.
        calling = (self._escalator, self._ringer, self._drilling, self._polling)
        self.loops = (self._schedules,) if shadow else (*calling, self._schedules)

    def use(self, configuration: Configuration) -> None:
        """Go by this from now on."""
        self._schedules.use(self._rosters.schedules(configuration), configuration.people)
        self._dispatcher.route(self._routes.lanes(configuration, shadow=self._shadow))
        calls = configuration.routing.calling is not None and not self._shadow
        self._dispatcher.attend(CALL, self._escalator.wake if calls else None)
        self._ringer.phones = self._routes.phones(configuration) if calls else {}
        # Nobody reaches us without a public address, and nobody is believed.
        is_reached = calls and configuration.public_url is not None
        believed = twilio_callers(configuration.providers) if is_reached else {}
        self._twilio.use(believed, public_url=configuration.public_url or "")
        self._incidents.credentials = credentials_of(configuration.api)
        self._pagerduty.receivers = pagerduty_receivers(configuration.providers)
        self._polling.sources = self._routes.ack_sources(configuration) if calls else {}
        self._people = configuration.people
        told = None if self._shadow else configuration.integrations.get(SLACK)
        slack = told if isinstance(told, SlackSettings) else None
        self._slack.signing_secret = None if slack is None else slack.signing_secret
        self._socket.use(None if slack is None else slack.app_token, url="" if slack is None else slack.url)
        self._drilling.plan = configuration.drills
        for loop in self.loops:
            loop.wake()

    def add_to(self, application: web.Application) -> None:
        """Add where people say that they own something, and where vendors call back."""
        for handler in (self._incidents, self._twilio, self._pagerduty, self._slack):
            handler.add_to(application)

    async def listen(self) -> None:
        """Hear what is pressed on Slack over a connection of ours, until cancelled."""
        await self._socket.run()

    async def begin(self, *, alone: bool) -> None:
        """Read whom we know to be on call; `alone`: calls that are under way are those of a process that is gone."""
        await self._schedules.recall()
        if alone and not self._shadow:
            await self._ringer.rescue(everybody=True)

    def show(self, tx: TransactionPort) -> Callable[[], None]:
        """Look at what is stored of calls; what is returned shows it in the metrics."""
        unanswered, drills = tx.escalations.unanswered(), tx.drills.known()

        def shown() -> None:
            self._metrics.unanswered.set(unanswered)
            self._metrics.show_drills({pair: drills.get(pair, NEVER).succeeded_at for pair in self._drilling.pairs()})

        return shown

    async def stop(self) -> None:
        """Call nobody any more, and let calls that are under way end."""
        await self._ringer.stop()

    def _rings(self) -> None:
        self._ringer.wake()

    async def _respond(self, address: str, text: str) -> None:
        # It holds what alerts say: nothing in it formats, links or mentions.
        inert = {"mrkdwn": False, "parse": "none", "link_names": False}
        said = await self._responses.post(address, body={"response_type": "ephemeral", "text": text, **inert})
        if not isinstance(said, Answer) or said.status != 200:
            log.warning("slack_response_lost", reason=said.detail)

    def _fell_back(self, schedule: str, gap: Gap) -> None:
        # A name that is no schedule of ours would make a series of its own.
        self._metrics.on_call_fallbacks.labels("" if gap is Gap.UNKNOWN_SCHEDULE else schedule, gap.value).inc()
