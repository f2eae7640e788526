"""Chance that follows from a seed: who asks by the same name gets the same choices, whatever else happens."""

from __future__ import annotations

import random


def dice(seed: str, name: str) -> random.Random:
    """A source of its own for whoever is named."""
    return random.Random(f"{seed} {name}")  # noqa: S311  it chooses faults, it guards nothing
