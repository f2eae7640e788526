"""How a server is given: by its name, which a certificate can vouch for, or by an address."""

from __future__ import annotations

import ipaddress
import re

_PORT = re.compile(r":[0-9]+$")


def is_address(server: str) -> bool:
    """Whether a server, with or without a port, is given by its IP address: `192.0.2.7:5061`, `[2001:db8::1]`."""
    # An IPv6 address alone ends as if it had a port.
    host = server if server.count(":") > 1 and not server.startswith("[") else _PORT.sub("", server)
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
