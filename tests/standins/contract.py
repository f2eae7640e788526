"""A vendor's own OpenAPI file, where there is one: requests and answers are held against it.

The files are not ours to copy. They lie beside the checkout, or where SEVROUTER_CONTRACTS says.
"""

from __future__ import annotations

import functools
import json
import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLACE = Path(os.environ.get("SEVROUTER_CONTRACTS", Path(__file__).parents[3] / "shared" / "contracts"))


@dataclass(frozen=True)
class Exchange:
    """A request that a stand-in took, and its answer."""

    host: str
    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    status: int
    document: object
    content_type: str = "application/json"


class Contract:
    """One file."""

    def __init__(self, openapi: OpenAPI) -> None:
        self._openapi = openapi

    @classmethod
    @functools.cache
    def load(cls, name: str, loosened: tuple[str, ...] = ()) -> Contract | None:
        """The contract, or None where the file is not. What is `loosened`, by its place, may be of any type."""
        file = PLACE / name
        if not file.is_file():
            return None
        document = json.loads(file.read_text())
        if loosened:
            *above, last = loosened
            functools.reduce(operator.getitem, above, document)[last] = {}
        # One of the published files does not hold to OpenAPI's own schema.
        return cls(OpenAPI.from_dict(document, config=Config(spec_validator_cls=None)))

    def violations(self, exchange: Exchange) -> Iterator[str]:
        """What the contract says against an exchange."""
        request = MockRequest(
            exchange.host,
            exchange.method,
            exchange.path,
            args=dict(exchange.query),
            headers={"Authorization": "Basic made-up"},
            data=exchange.body or None,
            content_type=exchange.content_type,
        )
        response = MockResponse(json.dumps(exchange.document).encode(), status_code=exchange.status)
        checks: tuple[Callable[[], None], ...] = (
            lambda: self._openapi.validate_request(request),
            lambda: self._openapi.validate_response(request, response),
        )
        for check in checks:
            try:
                check()
            except OpenAPIError as error:
                yield f"{exchange.method} {exchange.path}: {error!r}, because of {error.__cause__!r}"
