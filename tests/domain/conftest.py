"""The properties of this room are cheap, so what a loaded machine does to one example is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("domain", deadline=None, max_examples=60)
settings.load_profile("domain")
