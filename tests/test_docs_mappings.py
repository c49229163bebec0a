"""docs/mappings.md against the mappings: what each makes of what, and how one of your own is written."""

import json
import re
from typing import TYPE_CHECKING, get_args

import pytest

from mappings import errors as mapping_errors
from mappings import mapping_file
from mappings.contract_fields import FieldKind
from mappings.field import CONVERSIONS
from mappings.mapping_file import builtin_names, load_mapping
from tests.documents import DOCUMENTS, ROOT, blocks_of, section_of, table_of, terms_of

if TYPE_CHECKING:
    from pydantic import BaseModel

MAPPINGS = DOCUMENTS["mappings.md"]


@pytest.mark.parametrize("name", builtin_names())
def test_every_mapping_is_documented_type_by_type(name: str) -> None:
    """What a mapping makes of which type, and what it ignores, is what its section says."""
    mapping = load_mapping(name, ROOT)
    made: dict[str, set[str]] = {}
    for rule in mapping.rules:
        for platform_type in rule.platform_types:
            made.setdefault(platform_type, set()).add(rule.event_type)
    heading = next(each for each in re.findall(r"^## (.+)$", MAPPINGS, re.MULTILINE) if each.lower() == name)
    section = section_of(MAPPINGS, heading)
    assert {terms_of(row[0])[0]: set(terms_of(row[1])) for row in table_of(section, "sent")} == made
    ignored = re.search(r"^Ignored: (.*?)\.$", section, re.MULTILINE | re.DOTALL)
    assert ignored
    assert set(terms_of(ignored[1])) == mapping.ignored


def test_the_reasons_of_mappings_are_listed() -> None:
    """Whoever finds a payload waiting finds out why."""
    rows = table_of(section_of(MAPPINGS, "What happens to a payload"), "reason")
    assert [terms_of(row[0])[0] for row in rows] == [*get_args(mapping_errors.Reason), "unmapped"]


def test_the_keys_of_a_mapping_are_listed() -> None:
    """Each key that a file may have, and each way a value may be written."""
    section = section_of(MAPPINGS, "One of your own")
    tables: dict[str, type[BaseModel]] = {
        "`[mapping]`": mapping_file._MappingTable, "`[personal]`": mapping_file._PersonalTable,
        "`[[event]]`": mapping_file._EventTable, "field": mapping_file._FieldTable,
    }  # fmt: skip
    for name, table in tables.items():
        listed = [terms_of(row[1])[0] for row in table_of(section, "table") if row[0] == name]
        assert listed == [field.alias or key for key, field in table.model_fields.items()], name
    written = {(row[0], terms_of(row[1])[0]) for row in table_of(section, "the contract's field is")}
    kinds = {kind.value: ways for kind, ways in CONVERSIONS.items() if kind is not FieldKind.ANY}
    assert written == {(kind, way) for kind, ways in kinds.items() for way in ways}


def test_the_example_mapping_maps() -> None:
    """The mapping in the documentation is one, and makes the events that it says."""
    example = blocks_of(section_of(MAPPINGS, "One of your own"), "toml")[0]
    body = {
        "kind": "sale", "uid": "u1", "at": 1777802400, "order": "o1", "total": 12.5, "currency": "jpy", "brand": "b",
        "affiliate": {"id": 7, "name": "Seven"},
        "shares": [
            {"id": 1, "kind": "pct", "cents": 9, "affiliate": 7}, {"id": 2, "kind": "x", "cents": 1, "affiliate": 8},
        ],
    }  # fmt: skip
    events = mapping_file.read_mapping(example, "the example").apply(json.dumps(body).encode()).events
    assert [(event.header.event_id, event.header.event_type) for event in events] == [
        ("u1", "conversion.created"), ("u1#1", "commission.calculated"), ("u1#2", "commission.calculated"),
    ]  # fmt: skip


def test_the_example_of_a_list_maps() -> None:
    """Added to the example above it, it makes the list that it says."""
    [whole] = blocks_of(section_of(MAPPINGS, "One of your own"), "toml")
    [of_list] = blocks_of(section_of(MAPPINGS, "Lists"), "toml")
    body = {
        "kind": "paid", "uid": "u2", "at": 1777802400, "payout": "p1", "sum": 1500, "currency": "jpy",
        "affiliate": {"id": 7}, "lines": [{"sale": 1, "cents": 1200}, {"sale": None, "cents": 300}],
    }  # fmt: skip
    [event] = mapping_file.read_mapping(whole + of_list, "the example").apply(json.dumps(body).encode()).events
    assert json.loads(event.payload)["data"]["payout"]["allocations"] == [
        {"commission_id": "1", "amount": {"amount": "1200", "currency": "JPY"}}
    ]
