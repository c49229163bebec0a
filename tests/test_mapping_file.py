"""Mapping files: read strictly, and every mistake has its sentence."""

from pathlib import Path
from typing import Any

import pytest

from mappings.errors import MappingError, Unmappable
from mappings.mapping_file import load_mapping, read_mapping

OWN = """
[mapping]
name = "own"
type = "kind"
id = "uid"
timestamp = { path = "at", as = "unix_seconds" }
ignored = ["ping"]

[personal]
drop = ["buyer_name"]

[shared.partner]
"partner.id" = "affiliate"

[[event]]
from = "sale"
to = "conversion.created"
use = ["partner"]
fields."conversion.id" = "order"
fields."conversion.type" = "'order'"
fields."conversion.occurred_at" = { path = "at", as = "unix_seconds" }
fields."conversion.value" = { path = "total", as = "amount", currency = "'EUR'" }
"""


def test_an_own_mapping_is_read() -> None:
    """What the documentation says one looks like is one."""
    mapping = read_mapping(OWN, "own.toml")
    body = b'{"kind": "sale", "uid": 7, "at": 1777802400, "order": "o-1", "total": 12.50, "affiliate": 3}'
    (event,) = mapping.apply(body).events
    assert event.header.event_id == "7"
    assert b'"value":{"amount":"12.50","currency":"EUR"}' in event.payload


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[mapping]", "[mapping", "it is not valid TOML"),
        ('name = "own"', "", "`mapping.name` is missing; add it"),
        ('name = "own"', 'name = "Own One"', "`mapping.name` cannot be used"),
        ('type = "kind"', 'type = "kind["', "is no JMESPath expression"),
        ('type = "kind"', 'typ = "kind"', "`mapping.type` is missing; add it"),
        ('ignored = ["ping"]', 'ignore = ["ping"]', "`mapping.ignore` is nothing that a mapping has"),
        ('ignored = ["ping"]', 'ignored = ["sale"]', "'sale' is ignored, and an event is made of it"),
        ('id = "uid"', "", "it has no `id`; give the path of the platform's"),
        ('to = "conversion.created"', 'to = "conversion.made"', "'conversion.made' is no event of the contract"),
        ('use = ["partner"]', 'use = ["partners"]', "it uses [shared.partners], which is not there"),
        ("[personal]", '[shared.odd]\n"x" = "y"\n[personal]', "no event uses [shared.odd]; remove it or `use` it"),
        ('fields."conversion.id" = "order"', "", "it says nothing of `data.conversion.id`, which conversion.created"),
        ('"conversion.id"', '"conversion.idd"', "`data.conversion.idd` is no field of conversion.created"),
        ('"conversion.value" = { path = "total", as = "amount", currency = "\'EUR\'" }', '"conversion.value" = "total"',
         '`data.conversion.value` is money; say as = "minor_units" or as = "amount"'),
        ('as = "amount"', 'as = "cents"', "`event.1.fields.conversion.value.as` can only be 'text', 'boolean'"),
        ('as = "amount"', 'as = "text"', 'holds money, which "text" does not make; say "minor_units" or "amount"'),
        ('"conversion.value" = {', '"conversion" = {', "`data.conversion` is a whole object; map the fields in it"),
        ('"\'order\'"', '"upper(x)"', "calls upper(), and JMESPath has no such function"),
        ('"\'order\'"', '{ path = "x", currency = "y" }', "is no money, so it has neither `currency` nor `negate`"),
        ('"order"', '{ path = "order", as = "format" }', 'holds text, which "format" does not make; say "text"'),
        ('{ path = "at", as = "unix_seconds" }\nignored', '{ path = "at", as = "format" }\nignored',
         'is read by "format" and has no `format`; give the pattern of strptime'),
        ('{ path = "at", as = "unix_seconds" }\nignored', '{ path = "at", as = "format", format = "%Y" }\nignored',
         "has a `format` without %z; say its `timezone`"),
        ('{ path = "at", as = "unix_seconds" }\nignored', '{ path = "at", as = "format", format = "%Q" }\nignored',
         "the `format` '%Q' of `timestamp` is no pattern of strptime"),
        ('{ path = "at", as = "unix_seconds" }\nignored',
         '{ path = "at", as = "format", format = "%Y", timezone = "X/Y" }\nignored',
         "the `timezone` 'X/Y' of `timestamp` is none; give one such as UTC"),
        ('as = "amount"', 'as = "amount", values = { a = "b" }', "is no text, so it has neither `values` nor"),
        ('drop = ["buyer_name"]', 'drop = ["buyer..name"]', "'buyer..name' in [personal] is no path"),
        ('use = ["partner"]', 'use = ["partner"]\nid = ["a", "b"]\nsuffix = "c"', "needs no `suffix`; add another"),
        ('use = ["partner"]', 'use = ["partner"]\nwhen = "!a.b"', "write !(a.b) for the opposite of a.b"),
        ('fields."conversion.id"', 'fields.".id"', "`id` is no field of conversion.created"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_sentence(old: str, new: str, sentence: str) -> None:
    """It names the file, the place, and what to do; nothing unknown is passed over."""
    assert old in OWN
    with pytest.raises(MappingError) as caught:
        read_mapping(OWN.replace(old, new, 1), "own.toml")
    assert "in own.toml" in str(caught.value)
    assert sentence in str(caught.value)


def test_a_mapping_is_found_by_name_or_path(tmp_path: Path) -> None:
    """A relative path starts where the configuration is; a name is one that comes with hookmart."""
    (tmp_path / "own.toml").write_text(OWN)
    assert load_mapping("own.toml", tmp_path).name == "own"
    assert load_mapping("dub", tmp_path).name == "dub"
    for name, sentence in (("dubb", "give one of dub, everflow"), ("other.toml", "there is no mapping at")):
        with pytest.raises(MappingError, match=sentence):
            load_mapping(name, tmp_path)


@pytest.mark.parametrize(
    ("change", "body", "sentence"),
    [
        ({}, b'{"kind": "sale", "at": 1, "order": "o", "affiliate": "p"}', "uid (for id): the payload has none"),
        ({"each": "items"}, b'{"kind": "sale", "uid": "u", "items": 5}', "items: a list is expected"),
        ({"each": "items"}, b'{"kind": "sale", "uid": "u", "at": 1, "order": "o", "affiliate": "p", "items": [1, 2]}',
         "two events of this payload have one id; give a rule a `suffix`"),
        ({"when": "starts_with(order, 'x')"}, b'{"kind": "sale", "uid": "u", "order": 5}', "cannot be asked of this"),
        ({"id": ["a", "b"]}, b'{"kind": "sale", "at": 1, "order": "o", "affiliate": "p", "a": {}}',
         "a (for id): a value is expected"),
    ],
)  # fmt: skip
def test_a_payload_that_does_not_fit_is_told_where(change: dict[str, Any], body: bytes, sentence: str) -> None:
    """The detail says which expression, so that whoever writes a mapping can go on."""
    lines = "".join(f"{name} = {value!r}\n" for name, value in change.items())
    mapping = read_mapping(
        OWN.replace('to = "conversion.created"\n', f'to = "conversion.created"\n{lines}'), "own.toml"
    )
    with pytest.raises(Unmappable) as caught:
        mapping.apply(body)
    assert sentence in caught.value.detail


def test_one_payload_may_tell_of_several_events() -> None:
    """Each member of a list is one, with an id of its own that is the same on every retry."""
    to = 'to = "conversion.created"\n'
    text = OWN.replace(to, f'{to}each = "items"\nsuffix = "item.n"\n')
    mapping = read_mapping(text.replace('"order"', '"item.order"', 1), "own.toml")
    items = b'[{"n": 1, "order": "a"}, {"n": 2, "order": "b"}]'
    body = b'{"kind": "sale", "uid": "u", "at": 1, "affiliate": "p", "items": ' + items + b"}"
    assert [event.header.event_id for event in mapping.apply(body).events] == ["u#1", "u#2"]
    assert mapping.apply(body) == mapping.apply(body)
