"""The first system that matches is the affected one; without any, the default owner answers."""

from __future__ import annotations

from sevrouter.domain.labels import parse_matcher
from sevrouter.domain.ownership import Owned, Ownership, System

CHECKOUT = System("checkout", (parse_matcher("service=checkout"),), "payments")
SHOP = System("shop", (parse_matcher('service=~".+"'),), "web")


def test_the_first_system_that_matches_is_the_affected_one() -> None:
    assert Ownership((CHECKOUT, SHOP)).of({"service": "checkout"}) == Owned("checkout", "payments")
    assert Ownership((SHOP, CHECKOUT)).of({"service": "checkout"}) == Owned("shop", "web")


def test_all_matchers_of_a_system_must_match() -> None:
    both = System("eu checkout", (*CHECKOUT.matchers, parse_matcher("region=eu")), "payments-eu")
    assert Ownership((both,)).of({"service": "checkout", "region": "us"}) == Owned(None, None)


def test_what_no_system_matches_belongs_to_the_default_owner() -> None:
    assert Ownership((CHECKOUT,), default_owner="platform").of({"service": "mail"}) == Owned(None, "platform")


def test_without_a_default_owner_nobody_owns_it() -> None:
    assert Ownership((CHECKOUT,)).of({}) == Owned(None, None)


def test_an_annotation_or_an_owner_label_never_chooses_the_owner() -> None:
    assert Ownership((CHECKOUT,)).of({"owner": "payments", "system": "checkout"}) == Owned(None, None)
