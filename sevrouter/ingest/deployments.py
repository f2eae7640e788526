"""`POST /api/v1/deployments`: who deploys says so here, and incidents that begin soon after will say it, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import structlog
from aiohttp import web

from sevrouter.domain.explanation import is_safe_link
from sevrouter.domain.lenient import Unreadable
from sevrouter.engine.ports import NotStoredError
from sevrouter.ingest.body import LARGEST_BODY, Refusals, read_body
from sevrouter.ingest.deployment_reports import Reports, read_reports
from sevrouter.ingest.webhook import Refused, refusing

if TYPE_CHECKING:
    from sevrouter.engine.deployments import DeploymentLog, Recorded
    from sevrouter.engine.ports import Clock
    from sevrouter.telemetry.metrics import Metrics

log = structlog.get_logger()

PATH = "/api/v1/deployments"


class Admit(Protocol):
    """Raises Refused unless a request, with a body of at most so many bytes, may change something now."""

    def __call__(self, request: web.Request, *, max_body: int) -> None: ...


class DeploymentsHandler:
    """Handles reports of deployments, of those who are let in."""

    def __init__(self, deployments: DeploymentLog, metrics: Metrics, *, clock: Clock, admit: Admit) -> None:
        self._deployments = deployments
        self._refused = metrics.deployments.labels("refused")
        self._clock = clock
        self._admit = admit
        self._refusals = Refusals(log.warning, log.debug, "deployment_refused")

    def add_to(self, application: web.Application) -> None:
        """Add the route."""
        application.router.add_route("*", PATH, self.handle)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request, by whatever method: 201 where anything is new, 200 where all of it was known."""
        try:
            self._admit(request, max_body=LARGEST_BODY)
            body = await read_body(request)
            recorded, is_list = await self._record(body)
        except Refused as refused:
            return self._refuse(request, refused)
        self._refusals.end()
        answers = [self._answer(each) for each in recorded]
        status = 201 if any(each.is_new for each in recorded) else 200
        return web.json_response({"deployments": answers} if is_list else answers[0], status=status)

    async def _record(self, body: bytes) -> tuple[list[Recorded], bool]:
        now = self._clock()
        try:
            sent: Reports = read_reports(body, received_at=now)
            return await self._deployments.record(sent.reports, now=now), sent.is_list
        except Unreadable as error:
            raise Refused(400, error.reason) from None
        except NotStoredError as error:
            raise Refused(503, f"it could not be stored, send it again: {error}") from None
        except Exception as error:
            log.exception("deployment_not_stored", error=repr(error))
            raise Refused(503, "it could not be stored, send it again") from None

    def _answer(self, recorded: Recorded) -> dict[str, Any]:
        deployment = recorded.deployment
        warnings = []
        if not self._deployments.knows(deployment.system):
            warnings.append("the configuration has no system of this name: only an alert that names it will say so")
        if deployment.link is not None and not is_safe_link(deployment.link):
            warnings.append("the link will not be shown: it is not safe to click on")
        answer = {
            "result": "new" if recorded.is_new else "known",
            "system": deployment.system,
            "version": deployment.version,
            "time": deployment.at.isoformat(),
        }
        return answer | ({"warning": "; ".join(warnings)} if warnings else {})

    def _refuse(self, request: web.Request, refused: Refused) -> web.Response:
        self._refused.inc()
        self._refusals.log(request, refused)
        return refusing(web.json_response({"error": refused.reason}, status=refused.status))
