"""The schema documents itself; a reference for users is made from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sevrouter.config.fields import Section
from sevrouter.config.schema import Root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo


def sections(kind: type[Section] = Section) -> Iterator[type[Section]]:
    for child in kind.__subclasses__():
        yield child
        yield from sections(child)


FIELDS = [
    (f"{section.__name__}.{name}", field) for section in sections() for name, field in section.model_fields.items()
]


@pytest.mark.parametrize(("name", "field"), FIELDS, ids=[name for name, _ in FIELDS])
def test_every_field_says_what_its_default_is(name: str, field: FieldInfo) -> None:
    description = field.description or ""

    assert description.endswith("."), name
    if field.is_required():
        assert "equired" in description or "default" in description, name
    else:
        assert "Default: " in description or "Required" in description, name


@pytest.mark.parametrize("section", list(sections()), ids=lambda section: section.__name__)
def test_every_section_says_what_it_is(section: type[Section]) -> None:
    assert section.__doc__
    assert section.model_config["extra"] == "forbid"
    assert section.model_config["frozen"]


def test_the_schema_can_be_printed_as_json_schema() -> None:
    schema = Root.model_json_schema()

    assert json.loads(json.dumps(schema)) == schema
    assert set(schema["required"]) == {"rules", "responses", "integrations"}
