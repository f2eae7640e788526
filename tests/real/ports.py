"""Free ports for the processes of a test."""

from __future__ import annotations

import random
import socket

# Below the range from which the kernel takes ports for outgoing connections. Inside it, someone who keeps asking a
# daemon that is being restarted can be given that daemon's own port, and connect to themselves.
_RANGE = range(20_000, 32_000)


def free_port() -> int:
    """Find a port that nothing uses on 127.0.0.1, for TCP and UDP alike."""
    for port in random.sample(_RANGE, k=200):
        if _is_free(port):
            return port
    message = f"no free port between {_RANGE.start} and {_RANGE.stop}"
    raise OSError(message)


def _is_free(port: int) -> bool:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
    ):
        try:
            stream.bind(("127.0.0.1", port))
            datagram.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
