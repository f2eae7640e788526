"""What a `/metrics` page says, looked up by name and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping

_Labels = frozenset[tuple[str, str]]


class Metrics:
    """The samples of one page, by their exact label sets."""

    def __init__(self, page: str) -> None:
        self._samples: dict[str, dict[_Labels, float]] = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                self._samples.setdefault(sample.name, {})[_key(sample.labels)] = sample.value

    def metric(self, name: str, **labels: str) -> float:
        """Look one sample up; raises KeyError, saying what there is, where it does not exist."""
        try:
            return self._samples[name][_key(labels)]
        except KeyError:
            there = [dict(sorted(labels)) for labels in self._samples.get(name, ())]
            message = f"no sample {name}{labels}; of that name there are {there}"
            raise KeyError(message) from None

    def total(self, name: str, **labels: str) -> float:
        """Add the samples of a name up whose labels include these; 0 where there are none."""
        wanted = _key(labels)
        return sum(value for key, value in self._samples.get(name, {}).items() if wanted <= key)

    def names(self) -> set[str]:
        """Name everything that the page has a sample of."""
        return set(self._samples)


def _key(labels: Mapping[str, str]) -> _Labels:
    return frozenset(labels.items())
