"""Whether a server is given by its name or by its address."""

from __future__ import annotations

import pytest

from sevrouter.domain.address import is_address


@pytest.mark.parametrize(
    "server", ["192.0.2.7", "192.0.2.7:5061", "2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:5061", "::1"]
)
def test_an_address_is_one_with_and_without_a_port(server: str) -> None:
    assert is_address(server)


@pytest.mark.parametrize("server", ["pbx.example", "pbx.example:5061", "192.0.2.example", "", "[]", "1.2.3.4.5"])
def test_a_name_is_none(server: str) -> None:
    assert not is_address(server)
