"""Lists of the contract: each member is converted like any other field, and none is made up or lost."""

import json
from typing import Any

import pytest

from mappings.errors import MappingError, Unmappable
from mappings.mapping_file import read_mapping

HEAD = """
[mapping]
name = "own"
type = "kind"
id = "uid"
timestamp = { path = "at", as = "unix_seconds" }
"""
PAYOUT = (
    HEAD
    + """
[[event]]
from = "paid"
to = "payout.scheduled"
fields."payout.id" = "uid"
fields."payout.amount" = { path = "total", as = "minor_units", currency = "currency" }
fields."payout.debit" = { path = "total", as = "minor_units", currency = "currency" }
fields."partner.id" = "to"

[event.fields."payout.allocations"]
each = "lines"
when = "item.kind != 'note'"
fields.commission_id = "item.of"
fields.amount = { path = "item.minor", as = "minor_units", currency = "item.currency || currency" }

[event.fields."payout.fees"]
each = "fees"
fields.kind = { path = "item.name", values = { wire = "transfer" }, otherwise = "other" }
fields.amount = { path = "item.fee", as = "amount", currency = "currency", negate = true }
"""
)
REJECTION = (
    HEAD
    + """
[[event]]
from = "refused"
to = "conversion.rejected"
each = "orders"
suffix = "item.id"
fields."conversion.id" = "item.id"
fields."conversion.type" = "'order'"
fields."conversion.occurred_at" = { path = "at", as = "unix_seconds" }
fields."partner.id" = "to"
fields."rejection.reason_code" = "'bot_traffic'"
fields."rejection.category" = "'fraud'"
fields."rejection.rejected_at" = { path = "at", as = "unix_seconds" }
fields."rejection.signals" = { each = "item.why", path = "item" }
"""
)
PAID = {"kind": "paid", "uid": "p1", "at": 1777802400, "to": 7, "total": 1500, "currency": "jpy"}
REFUSED = {"kind": "refused", "uid": "r1", "at": 1777802400, "to": 7}


def data_of(mapping: str, payload: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The data of the events that *payload*, with *more* in it, becomes."""
    mapped = read_mapping(mapping, "own.toml").apply(json.dumps(payload | more).encode())
    return [json.loads(event.payload)["data"] for event in mapped.events]


def test_each_member_is_an_object_with_its_money_converted() -> None:
    """By its own currency's exponent or that of the payload around it; in the payload's order, the chosen ones only."""
    lines = [
        {"of": "c-1", "minor": 1200},
        {"kind": "note", "of": "nothing"},
        {"of": 2, "minor": "1234", "currency": "KWD"},
        {"of": "c-3"},
    ]
    [data] = data_of(PAYOUT, PAID, lines=lines, fees=[{"name": "wire", "fee": 2.50}, {"name": "x"}, {}])
    assert data["payout"]["allocations"] == [
        {"commission_id": "c-1", "amount": {"amount": "1200", "currency": "JPY"}},
        {"commission_id": "2", "amount": {"amount": "1.234", "currency": "KWD"}},
        {"commission_id": "c-3"},
    ]
    assert data["payout"]["fees"] == [
        {"kind": "transfer", "amount": {"amount": "-2.5", "currency": "JPY"}},
        {"kind": "other"},
    ]


def test_what_is_not_there_leaves_the_list_out_and_what_is_empty_leaves_it_empty() -> None:
    """Null and absent mean the same; a list that the payload has, and has nothing in, is one."""
    [data] = data_of(PAYOUT, PAID, lines=None)
    assert "allocations" not in data["payout"]
    assert "fees" not in data["payout"]
    [data] = data_of(PAYOUT, PAID, lines=[], fees=[None])
    assert (data["payout"]["allocations"], data["payout"]["fees"]) == ([], [])


def test_members_may_be_values_and_lists_stand_in_events_made_of_members() -> None:
    """Within a list, `item` is its member, and `outer_item` the one that the event is made of."""
    orders = [{"id": "o-1", "why": ["ip", 42, None, ""]}, {"id": "o-2", "why": []}]
    first, second = data_of(REJECTION, REFUSED, orders=orders)
    assert (first["rejection"]["signals"], second["rejection"]["signals"]) == (["ip", "42"], [])
    objects = REJECTION.replace(
        '{ each = "item.why", path = "item" }',
        '{ each = "item.why", fields = { signal = "item", "seen.on" = "outer_item.id" } }',
    )
    [data] = data_of(objects, REFUSED, orders=orders[:1])
    assert data["rejection"]["signals"] == [
        {"signal": "ip", "seen": {"on": "o-1"}}, {"signal": "42", "seen": {"on": "o-1"}},
        {"seen": {"on": "o-1"}}, {"seen": {"on": "o-1"}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"lines": {"of": "c-1"}}, "lines (for data.payout.allocations): a list is expected"),
        ({"lines": [{"of": "c-1", "minor": 1}, {"of": "c-2", "minor": 1.5}]},
         "member 2 of lines (for data.payout.allocations): item.minor (for amount): a whole number is expected"),
        ({"fees": [{"fee": "0.123456789"}]},
         "member 1 of fees (for data.payout.fees): item.fee (for amount): an amount with at most 8 decimals"),
        ({"lines": [{"of": "c" * 129}]}, "data.payout.allocations"),
    ],
)  # fmt: skip
def test_a_member_that_does_not_fit_keeps_the_whole_payload_waiting(more: dict[str, Any], sentence: str) -> None:
    """Nothing is left out in silence, and the detail says which member."""
    with pytest.raises(Unmappable) as caught:
        data_of(PAYOUT, PAID, **more)
    assert sentence in caught.value.detail


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('each = "lines"\n', "", "`data.payout.allocations` is a list; say `each`, the list of the payload"),
        ('each = "lines"', 'each = "lines["', "in `data.payout.allocations`: 'lines[' is no JMESPath expression"),
        ("fields.commission_id =", "fields.commission =", "`commission` is no field of a member of `data.payout.allo"),
        ('as = "minor_units", currency = "item.currency || currency"', 'currency = "currency"',
         '`amount` is money; say as = "minor_units" or as = "amount"'),
        ('as = "amount"', 'as = "text"', '`amount` holds money, which "text" does not make'),
        ('each = "fees"', 'each = "fees"\npath = "item"', "has either `fields` or, where it is a value, a `path`"),
        ('each = "fees"', 'each = "fees"\nas = "text"', "how its values are written is said in `fields`"),
        ('fields."payout.id" = "uid"', 'fields."payout.id" = { path = "uid", each = "lines" }',
         "`data.payout.id` is no list, so it has neither `each`, `when` nor `fields`"),
        ('fields."payout.id" = "uid"', 'fields."payout.id" = { as = "text" }', "`data.payout.id` has no `path`"),
        ('fields."payout.id" = "uid"', 'fields."payout.id" = "uid"\nfields."payout.fx" = "x"', "is a whole object"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_sentence(old: str, new: str, sentence: str) -> None:
    """A list is checked as strictly as the rest of the file."""
    assert old in PAYOUT
    with pytest.raises(MappingError) as caught:
        read_mapping(PAYOUT.replace(old, new, 1), "own.toml")
    assert sentence in str(caught.value)


def test_a_value_where_the_contract_has_an_object_is_refused() -> None:
    """A list of objects cannot be a list of values."""
    text = PAYOUT[: PAYOUT.index("[event.fields")] + 'fields."payout.fees" = { each = "fees", path = "item" }\n'
    with pytest.raises(MappingError, match=r"a member of `data\.payout\.fees` is an object; say its `fields`"):
        read_mapping(text, "own.toml")
