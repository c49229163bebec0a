"""The mapping to warehouse columns against the contracts."""

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Union

import pytest
from pydantic import BaseModel

from models.columns import EVENT_COLUMNS, Column, Kind
from models.event_types import EVENT_TYPES, RAW_EVENT_TABLES
from models.money import Currency, Money, MoneyAmount
from models.registry import CONTRACTS
from models.scalars import Date, DecimalText, Integer, Timestamp

EXACT_TYPES: dict[Kind, object] = {
    Kind.CURRENCY: Currency,
    Kind.MONEY: MoneyAmount,
    Kind.DECIMAL: DecimalText,
    Kind.INTEGER: Integer,
    Kind.BOOLEAN: bool,
    Kind.TIMESTAMP: Timestamp,
    Kind.DATE: Date,
}


def without_none(annotation: object) -> object:
    """Take the null out of an optional type, wherever the annotation keeps it."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = (each for each in typing.get_args(annotation) if each is not types.NoneType)
    return annotation


def plain(annotation: object) -> object:
    """Take away what an annotation adds to its type."""
    annotation = without_none(annotation)
    while typing.get_origin(annotation) is Annotated:
        annotation = without_none(typing.get_args(annotation)[0])
    return annotation


def layers(annotation: object) -> Iterator[object]:
    """Give the annotation and what stands inside it, null taken out."""
    annotation = without_none(annotation)
    yield annotation
    while typing.get_origin(annotation) is Annotated:
        annotation = without_none(typing.get_args(annotation)[0])
        yield annotation


def find(contract: object, path: str) -> object | None:
    """Follow *path* through the fields of *contract*, by their names in JSON, to the annotation at its end."""
    annotation = contract
    for name in path.split("."):
        model = plain(annotation)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return None
        fields = {field.alias or attribute: attribute for attribute, field in model.model_fields.items()}
        if name not in fields:
            return None
        annotation = typing.get_type_hints(model, include_extras=True)[fields[name]]
    return annotation


def fits(annotation: object, kind: Kind) -> bool:
    """Say whether a column of *kind* can hold whatever a field of this type was sent as."""
    if kind is Kind.JSON:
        return True
    if kind in (Kind.MONEY_SUM, Kind.SHARED_CURRENCY):
        item = plain(typing.get_args(plain(annotation))[0])
        return isinstance(item, type) and find(item, "amount") is not None and plain(find(item, "amount")) is Money
    if kind is Kind.TEXT:
        return plain(annotation) is str and Currency not in layers(annotation)
    return EXACT_TYPES[kind] in layers(annotation)


def contracts_of(table: str) -> list[type[BaseModel]]:
    """Give the contracts of the events that land in *table*."""
    return [contract for (event_type, _), contract in CONTRACTS.items() if EVENT_TYPES[event_type].table == table]


def amounts_of(contract: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Give the paths of the amounts that an event may carry outside arrays and free-form objects."""
    for attribute, annotation in typing.get_type_hints(contract, include_extras=True).items():
        if attribute not in contract.model_fields:
            continue
        path = f"{prefix}{contract.model_fields[attribute].alias or attribute}"
        model = plain(annotation)
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from amounts_of(model, f"{path}.")
        elif MoneyAmount in layers(annotation):
            yield path


ALL_COLUMNS: list[Any] = [
    pytest.param(table, column, id=f"{table}.{column.name}")
    for table, columns in EVENT_COLUMNS.items()
    for column in columns
]


@pytest.mark.parametrize(("table", "column"), ALL_COLUMNS)
def test_each_column_reads_a_field_of_a_contract_of_its_table(table: str, column: Column) -> None:
    """A column whose path no contract knows would be empty for ever."""
    assert [contract for contract in contracts_of(table) if find(contract, column.path) is not None]


@pytest.mark.parametrize(("table", "column"), ALL_COLUMNS)
def test_each_column_is_of_the_kind_its_field_is_sent_in(table: str, column: Column) -> None:
    """Wherever a contract of the table knows the path, the column can hold what the field allows."""
    annotations = [find(contract, column.path) for contract in contracts_of(table)]

    assert all(fits(annotation, column.kind) for annotation in annotations if annotation is not None)


@pytest.mark.parametrize("table", RAW_EVENT_TABLES)
def test_a_table_has_no_two_columns_of_one_name(table: str) -> None:
    """A name stands for one column."""
    names = [column.name for column in EVENT_COLUMNS[table]]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("table", RAW_EVENT_TABLES)
def test_no_amount_stays_behind_in_the_payload(table: str) -> None:
    """Every amount that an event may carry outside arrays and free-form objects has its column."""
    columns = {column.path for column in EVENT_COLUMNS[table]}
    amounts = {path for contract in contracts_of(table) for path in amounts_of(contract)}

    assert amounts <= columns


def test_each_event_type_has_a_contract() -> None:
    """The known types and the types that have a contract at major version 1 are the same."""
    assert {event_type for event_type, major in CONTRACTS if major == "1"} == set(EVENT_TYPES)
    assert set(EVENT_COLUMNS) == set(RAW_EVENT_TABLES)
