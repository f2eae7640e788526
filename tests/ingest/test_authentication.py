"""Who may send: each secret in turn, none of them by its time."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING

import pytest

from sevrouter.ingest import authentication
from sevrouter.ingest.authentication import Credentials, refusal

if TYPE_CHECKING:
    from collections.abc import Callable


def secret(value: str) -> Callable[[], str]:
    """A secret as a file gives it."""
    return lambda: value


def basic(user: str, password: str) -> str:
    """The header of a user with a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


BEARER = Credentials(bearer_tokens=(secret("old"), secret("new")))
BASIC = Credentials(basic_username="am", basic_passwords=(secret("old"), secret("n:ü")))
BOTH = Credentials(bearer_tokens=(secret("token"),), basic_username="am", basic_passwords=(secret("pass"),))


def test_without_a_secret_everybody_may_send() -> None:
    assert refusal([], Credentials()) is None
    assert refusal(["Bearer whatever", "Basic twice"], Credentials()) is None


@pytest.mark.parametrize(
    ("header", "credentials"),
    [
        ("Bearer old", BEARER),
        ("Bearer new", BEARER),
        ("bearer  new ", BEARER),
        (basic("am", "old"), BASIC),
        (basic("am", "n:ü"), BASIC),
        ("BASIC " + basic("am", "old").partition(" ")[2], BASIC),
        ("Bearer token", BOTH),
        (basic("am", "pass"), BOTH),
    ],
)
def test_each_valid_secret_opens(header: str, credentials: Credentials) -> None:
    assert refusal([header], credentials) is None


@pytest.mark.parametrize(
    ("headers", "credentials", "why"),
    [
        ([], BEARER, "missing"),
        (["Bearer new", "Bearer new"], BEARER, "doubled"),
        (["Bearer "], BEARER, "wrong"),
        (["Bearer"], BEARER, "wrong"),
        ([""], BEARER, "of_another_kind"),
        (["Bearer NEW"], BEARER, "wrong"),
        (["Bearer old new"], BEARER, "wrong"),
        (["Bearer n\u00e9w"], BEARER, "wrong"),
        (["Bearer \udcff\udcfe"], BEARER, "wrong"),
        (["Token new"], BEARER, "of_another_kind"),
        ([basic("am", "old")], BEARER, "of_another_kind"),
        (["Bearer old"], BASIC, "of_another_kind"),
        ([basic("am", "wrong")], BASIC, "wrong"),
        ([basic("an", "old")], BASIC, "wrong"),
        ([basic("", "old")], BASIC, "wrong"),
        ([basic("am", "")], BASIC, "wrong"),
        (["Basic am:old"], BASIC, "wrong"),
        (["Basic ===="], BASIC, "wrong"),
        (["Basic ü"], BASIC, "wrong"),
        (["Basic " + base64.b64encode(b"\xff:\xff").decode()], BASIC, "wrong"),
        (["Basic " + base64.b64encode(b"am").decode()], BASIC, "wrong"),
        (["Bearer pass"], BOTH, "wrong"),
        ([basic("am", "token")], BOTH, "wrong"),
    ],
)
def test_anything_else_does_not(headers: list[str], credentials: Credentials, why: str) -> None:
    assert refusal(headers, credentials) == why


def test_a_secret_is_asked_for_each_time() -> None:
    current = "before"
    credentials = Credentials(bearer_tokens=(lambda: current,))
    assert refusal(["Bearer before"], credentials) is None
    current = "after"
    assert refusal(["Bearer before"], credentials) == "wrong"
    assert refusal(["Bearer after"], credentials) is None


@pytest.mark.parametrize(
    ("header", "credentials", "compared"),
    [
        ("Bearer old", BEARER, [(b"old", b"old"), (b"old", b"new")]),
        (basic("am", "old"), BASIC, [(b"am", b"am"), (b"old", b"old"), (b"old", b"n:\xc3\xbc")]),
        (basic("no", "no"), BASIC, [(b"no", b"am"), (b"no", b"old"), (b"no", b"n:\xc3\xbc")]),
    ],
)
def test_every_secret_is_compared_in_constant_time_whichever_fits(
    monkeypatch: pytest.MonkeyPatch, header: str, credentials: Credentials, compared: list[tuple[bytes, bytes]]
) -> None:
    seen: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        seen.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(authentication, "hmac", type("Counted", (), {"compare_digest": staticmethod(compare)}))
    refusal([header], credentials)
    assert sorted(seen) == sorted(compared)
