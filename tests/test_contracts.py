"""The contracts of the 17 events: what is asked for, what may be left out, what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.event_types import EVENT_TYPES
from models.reading import ContractViolation, read_event

EVENTS = sorted((Path(__file__).parent / "fixtures" / "events").glob("*.json"))
EXAMPLES: dict[str, dict[str, Any]] = {
    event["type"]: event for event in (json.loads(path.read_bytes()) for path in EVENTS)
}

_ENVELOPE = ("timestamp", "data", "data.partner", "data.partner.id")
_CONVERSION = ("data.conversion", "data.conversion.id", "data.conversion.type", "data.conversion.occurred_at")
_COMMISSION = (
    "data.commission",
    "data.commission.id",
    "data.commission.model",
    "data.commission.amount",
    "data.commission.amount.amount",
    "data.commission.amount.currency",
)
_PAYOUT = ("data.payout", "data.payout.id", "data.payout.amount", "data.payout.debit", "data.payout.debit.currency")
_PARTNER = ("data.change.status", "data.change.effective_at")

REQUIRED: dict[str, tuple[str, ...]] = {
    "click.tracked": ("data.click", "data.click.id", "data.click.occurred_at"),
    "conversion.created": _CONVERSION,
    "conversion.updated": _CONVERSION,
    "conversion.qualified": (*_CONVERSION, "data.qualification.qualified_at"),
    "conversion.rejected": (
        *_CONVERSION,
        "data.rejection.reason_code",
        "data.rejection.category",
        "data.rejection.rejected_at",
    ),
    "commission.calculated": _COMMISSION,
    "commission.adjusted": (
        *_COMMISSION[1:],
        "data.adjustment",
        "data.adjustment.id",
        "data.adjustment.type",
        "data.adjustment.amount_delta",
        "data.adjustment.amount_delta.amount",
    ),
    "commission.approved": (
        *_COMMISSION,
        "data.approval.approved_amount",
        "data.approval.approved_at",
    ),
    "commission.tier_changed": (
        "data.tier_change",
        "data.tier_change.id",
        "data.tier_change.new_tier",
        "data.tier_change.effective_from",
    ),
    "payout.scheduled": _PAYOUT,
    "payout.processing": _PAYOUT,
    "payout.completed": (*_PAYOUT, "data.completion.completed_at"),
    "payout.failed": (*_PAYOUT, "data.failure.failed_at", "data.failure.category"),
    "partner.registered": _PARTNER,
    "partner.approved": _PARTNER,
    "partner.suspended": _PARTNER,
    "partner.terminated": _PARTNER,
}
REQUIRED_FIELDS = [(event_type, path) for event_type, paths in REQUIRED.items() for path in (*_ENVELOPE, *paths)]


def changed(event_type: str, path: str, value: object) -> bytes:
    """Write the example of *event_type* with *value* at *path*; an ellipsis leaves the field out."""
    event = json.loads(json.dumps(EXAMPLES[event_type]))
    *parents, name = path.split(".")
    node = event
    for parent in parents:
        node = node[int(parent)] if isinstance(node, list) else node[parent]
    if value is ...:
        node.pop(name, None)
    else:
        node[name] = value
    return json.dumps(event).encode()


def violation_of(body: bytes) -> ContractViolation:
    """Give the violation that *body* is."""
    with pytest.raises(ContractViolation) as violation:
        read_event(body)
    return violation.value


def paths_of(node: object, prefix: str = "") -> Iterator[str]:
    """Give the path of every member of every object, however deep, outside arrays."""
    if isinstance(node, dict):
        for name, member in node.items():
            yield prefix + name
            yield from paths_of(member, f"{prefix}{name}.")


ALL_FIELDS = [(event_type, path) for event_type, event in EXAMPLES.items() for path in paths_of(event)]
OPTIONAL_FIELDS = [
    (event_type, path)
    for event_type, path in ALL_FIELDS
    if path not in ("type", "schema_version")
    and (event_type, path) not in REQUIRED_FIELDS
    and not path.endswith((".amount", ".currency"))
]


def test_there_is_an_example_of_each_event_type() -> None:
    """The examples below speak for all the types there are."""
    assert set(EXAMPLES) == set(EVENT_TYPES) == set(REQUIRED)


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_each_example_is_read(path: Path) -> None:
    """A valid event of each type is read, and its header says what the envelope said."""
    header, event = read_event(path.read_bytes()), json.loads(path.read_bytes())

    assert (header.event_id, header.event_type, header.schema_version) == (event["id"], event["type"], "1.0")
    assert header.occurred_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") == event["timestamp"]
    assert not header.has_synthetic_id


@pytest.mark.parametrize(("event_type", "path"), REQUIRED_FIELDS)
@pytest.mark.parametrize("value", [..., None], ids=["missing", "null"])
def test_a_required_field_that_is_missing_or_null_breaks_the_contract(
    event_type: str, path: str, value: object
) -> None:
    """Null and absent mean the same, and a required field may be neither; the violation says which it was."""
    violation = violation_of(changed(event_type, path, value))

    assert violation.reason == "contract"
    assert f"{path}:" in violation.detail
    assert violation.event_id == EXAMPLES[event_type]["id"]
    assert violation.event_type == event_type
    assert violation.schema_version == "1.0"


@pytest.mark.parametrize(("event_type", "path"), OPTIONAL_FIELDS)
@pytest.mark.parametrize("value", [..., None], ids=["missing", "null"])
def test_an_optional_field_may_be_missing_or_null(event_type: str, path: str, value: object) -> None:
    """Whatever is not required may be left out, or sent as null, in any object of any event."""
    assert read_event(changed(event_type, path, value)).event_type == event_type


@pytest.mark.parametrize("event_type", EXAMPLES)
def test_an_unknown_field_never_fails(event_type: str) -> None:
    """A sender may say more than the contract knows, in the envelope as in any object."""
    event = json.loads(json.dumps(EXAMPLES[event_type]))
    for node in (event, event["data"], *(each for each in event["data"].values() if isinstance(each, dict))):
        node["added_later"] = {"any": [1.5, None, "x" * 500]}

    assert read_event(json.dumps(event).encode()).event_type == event_type


@pytest.mark.parametrize(
    ("event_type", "path"),
    [
        ("click.tracked", "data.click.validity"),
        ("click.tracked", "data.geo.source"),
        ("click.tracked", "data.partner.type"),
        ("conversion.created", "data.conversion.type"),
        ("conversion.created", "data.qualifying_event.kind"),
        ("conversion.rejected", "data.rejection.reason_code"),
        ("conversion.rejected", "data.rejection.category"),
        ("conversion.rejected", "data.rejection.decided_by"),
        ("commission.calculated", "data.commission.model"),
        ("commission.adjusted", "data.adjustment.type"),
        ("payout.failed", "data.failure.category"),
        ("partner.suspended", "data.change.reason_code"),
        ("partner.suspended", "data.change.actor.type"),
    ],
)
def test_a_value_that_an_enumeration_does_not_list_is_read(event_type: str, path: str) -> None:
    """An enumeration is never closed: a new value is stored as sent, and judged in the warehouse."""
    assert read_event(changed(event_type, path, "Added Later!")).event_type == event_type


MONEY_FIELDS = [
    ("click.tracked", "data.click.cost"),
    ("conversion.created", "data.conversion.value"),
    ("conversion.created", "data.qualifying_event.deposit"),
    ("conversion.created", "data.qualifying_event.wagered"),
    ("conversion.qualified", "data.commission_preview.amount"),
    ("commission.calculated", "data.commission.amount"),
    ("commission.calculated", "data.commission.basis.amount"),
    ("commission.approved", "data.approval.approved_amount"),
    ("commission.adjusted", "data.adjustment.amount_delta"),
    ("commission.adjusted", "data.adjustment.amount_before"),
    ("commission.adjusted", "data.adjustment.amount_after"),
    ("payout.scheduled", "data.payout.amount"),
    ("payout.scheduled", "data.payout.debit"),
    ("payout.scheduled", "data.payout.gross"),
    ("payout.scheduled", "data.payout.fees.0.amount"),
    ("payout.scheduled", "data.payout.withholding_tax"),
    ("payout.scheduled", "data.payout.allocations.0.amount"),
    ("payout.completed", "data.completion.settled"),
    ("payout.completed", "data.completion.provider_fee"),
    ("payout.failed", "data.failure.returned"),
    ("partner.registered", "data.partner.min_payout"),
]


@pytest.mark.parametrize(("event_type", "path"), MONEY_FIELDS)
def test_money_is_exact_wherever_it_stands(event_type: str, path: str) -> None:
    """A number, a ninth decimal, a bare string or an unknown currency breaks the contract; small letters do not."""
    assert read_event(changed(event_type, path, {"amount": "-0.00000001", "currency": "usdt"}))
    for money in (
        {"amount": 200.0, "currency": "EUR"},
        {"amount": 200, "currency": "EUR"},
        {"amount": "0.123456789", "currency": "EUR"},
        {"amount": "200.00", "currency": "ZZZ"},
        {"amount": "200.00"},
        "200.00",
        200,
    ):
        violation = violation_of(changed(event_type, path, money))
        assert violation.reason == "contract"
        assert path in violation.detail


@pytest.mark.parametrize(
    ("event_type", "path", "value"),
    [
        ("click.tracked", "id", 7),
        ("click.tracked", "id", ""),
        ("click.tracked", "id", "x" * 129),
        ("click.tracked", "livemode", "true"),
        ("click.tracked", "livemode", 1),
        ("click.tracked", "source_id", 7),
        ("click.tracked", "timestamp", "2026-05-02T18:31:05"),
        ("click.tracked", "timestamp", 1777746665),
        ("click.tracked", "timestamp", 1777746665123),
        ("click.tracked", "timestamp", "1777746665"),
        ("click.tracked", "timestamp", "0001-01-01T00:00:00+01:00"),
        ("click.tracked", "emitted_at", "yesterday"),
        ("click.tracked", "data", []),
        ("click.tracked", "data.partner", "ptn_7001"),
        ("click.tracked", "data.partner.id", 7001),
        ("click.tracked", "data.partner.id", ""),
        ("click.tracked", "data.click.is_bot", "false"),
        ("click.tracked", "data.click.id", "x" * 129),
        ("click.tracked", "data.tracking.sub_ids", ["a", "b"]),
        ("click.tracked", "data.tracking.sub_ids.sub1", 1),
        ("conversion.created", "data.conversion.version", "1"),
        ("conversion.created", "data.conversion.version", 1.0),
        ("conversion.created", "data.conversion.version", True),
        ("conversion.created", "data.conversion.version", 2**63),
        ("conversion.created", "data.qualifying_event.trade_volume_lots", 1.5),
        ("conversion.qualified", "data.qualification.criteria", {"name": "min_deposit"}),
        ("conversion.qualified", "data.qualification.rule_version", 3),
        ("conversion.rejected", "data.rejection.fraud_score", 0.93),
        ("conversion.updated", "data.changes", "all"),
        ("conversion.updated", "data.changes", [None]),
        ("commission.calculated", "data.commission.quantity", 1),
        ("commission.calculated", "data.commission.plan_version", 4),
        ("commission.calculated", "data.commission.rate.value", "30%"),
        ("commission.calculated", "data.commission.period.start", "2026-04-01T00:00:00Z"),
        ("commission.tier_changed", "data.tier_change.effective_from", "2026-06-31"),
        ("commission.tier_changed", "data.tier_change.trigger.value", 27),
        ("payout.scheduled", "data.payout.fees", {"kind": "bank"}),
        ("payout.scheduled", "data.payout.fx", {"from": "EUR", "to": "ZZZ"}),
        ("payout.scheduled", "data.payout.fx", {"from": "EUR", "to": "USD", "rate": 1.08}),
        ("partner.registered", "data.partner.payout_currency", "euro"),
    ],
)
def test_a_field_of_the_wrong_type_breaks_the_contract(event_type: str, path: str, value: object) -> None:
    """A field takes what the contract says and nothing that resembles it; the violation says where, not what."""
    violation = violation_of(changed(event_type, path, value))

    assert violation.reason == "contract"
    assert path in violation.detail


def test_only_an_adjustment_may_stand_without_a_commission() -> None:
    """An adjustment of the account as a whole belongs to no commission."""
    for value in (None, ...):
        assert read_event(changed("commission.adjusted", "data.commission", value)).event_type == "commission.adjusted"


def test_a_payout_in_another_currency_is_read() -> None:
    """The exchange of a payout names both currencies, in either spelling, and its rate as text."""
    fx = {"from": "eur", "to": "USDT", "rate": "1.083333333333333333", "rate_at": "2026-06-01T00:00:00+02:00"}

    assert read_event(changed("payout.scheduled", "data.payout.fx", fx)).event_type == "payout.scheduled"


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.999999999999999999999"])
def test_a_higher_minor_version_is_read(version: str) -> None:
    """A minor version only adds."""
    assert read_event(changed("click.tracked", "schema_version", version)).schema_version == version


@pytest.mark.parametrize("version", ["2.0", "0.9", "01.0", "9" * 5000 + ".0"])
def test_an_unknown_major_version_says_so(version: str) -> None:
    """Another major version is another contract: nothing more is judged by this one."""
    event = json.loads(changed("click.tracked", "schema_version", version)) | {"data": "another shape"}
    violation = violation_of(json.dumps(event).encode())

    assert violation.reason == "unknown_version"
    assert violation.event_id == "evt_0003"


@pytest.mark.parametrize(
    "version", [..., None, 1, 1.0, "", "1", "1.", ".1", "v1.0", "1.0.0", "1.0\n", " 1.0", "\u0661.\u0660"]
)
def test_a_garbled_version_breaks_the_contract(version: object) -> None:
    """What is no MAJOR.MINOR names no contract, known or unknown."""
    violation = violation_of(changed("click.tracked", "schema_version", version))

    assert violation.reason == "contract"
    assert "schema_version" in violation.detail


@pytest.mark.parametrize("event_type", ["click.cancelled", "CLICK.TRACKED", "click.tracked ", "", "x" * 500])
def test_an_unknown_type_says_so_whatever_else_is_wrong(event_type: str) -> None:
    """The type is judged first: an event of another kind is not broken, it is unknown."""
    body = json.dumps({"id": "evt_1", "type": event_type, "schema_version": 7, "data": None}).encode()

    assert violation_of(body).reason == "unknown_type"


@pytest.mark.parametrize("event_type", [..., None, 7, ["click.tracked"], {}])
def test_an_event_without_a_type_breaks_the_contract(event_type: object) -> None:
    """A type that is missing or no string is not unknown: no later version will know it."""
    violation = violation_of(changed("click.tracked", "type", event_type))

    assert violation.reason == "contract"
    assert violation.event_type is None


@pytest.mark.parametrize("event_type", EXAMPLES)
def test_any_field_of_any_type_is_read_or_breaks_the_contract(event_type: str) -> None:
    """Whatever stands in whatever field, it is an event or a violation, and a violation never repeats it."""
    secret = "Zq7-not-to-be-repeated"
    scalars: list[object] = [0, -1, 1.5, 2**64, True, "", secret]
    containers: list[object] = [[], [secret], [{}], {}, {secret: secret}, {"amount": secret}]
    for path in paths_of(EXAMPLES[event_type]):
        for value in scalars + containers:
            try:
                read_event(changed(event_type, path, value))
            except ContractViolation as violation:
                assert secret not in str(violation)  # noqa: PT017 - most of these are events
                assert secret not in violation.detail  # noqa: PT017
