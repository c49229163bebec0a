"""What the contract says a field is, so that a mapping need only say where the platform keeps it."""

import types
from collections.abc import Collection, Iterator
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from models.contract import Contract
from models.money import Money


class FieldKind(Enum):
    """What a field of the contract holds."""

    TEXT = "text"
    MONEY = "money"
    TIME = "instant"
    DATE = "day"
    DECIMAL = "decimal"
    INTEGER = "whole number"
    BOOLEAN = "boolean"
    OBJECT = "object"
    LIST = "list"
    ANY = "any JSON"


_SCALARS: dict[Any, FieldKind] = {
    str: FieldKind.TEXT,
    datetime: FieldKind.TIME,
    date: FieldKind.DATE,
    Decimal: FieldKind.DECIMAL,
    int: FieldKind.INTEGER,
    bool: FieldKind.BOOLEAN,
    Any: FieldKind.ANY,
}


def kind_of(contract: type[Contract], path: str) -> FieldKind | None:
    """What the field at *path*, dotted from the root of *contract*, holds; None where it has no such field."""
    found = _annotation_at(contract, path)
    return None if found is None else _kind(found)


def member_of(contract: type[Contract], path: str) -> type[Contract] | None:
    """What a member of the list at *path* is, dotted from the root of *contract*; None where it may be any JSON."""
    member = _bare(get_args(_annotation_at(contract, path))[0])
    return member if _is_object(member) else None


def missing(contract: type[Contract], paths: Collection[str]) -> list[str]:
    """The fields that *contract* requires of an object that has *paths*, and that are not among them."""
    return list(_missing(contract, paths, ""))


def _annotation_at(contract: type[Contract], path: str) -> Any:
    within: Any = contract
    for name in path.split("."):
        if not _is_object(within):
            return None
        within = dict(_members(within)).get(name, (None, False))[0]
    return within


def _missing(contract: type[Contract], paths: Collection[str], prefix: str) -> Iterator[str]:
    for name, (annotation, is_required) in _members(contract):
        path = prefix + name
        if _is_object(annotation) and annotation is not Money:
            if is_required or any(each.startswith(f"{path}.") for each in paths):
                yield from _missing(annotation, paths, f"{path}.")
        elif is_required and path not in paths:
            yield path


def _members(contract: type[Contract]) -> Iterator[tuple[str, tuple[Any, bool]]]:
    for name, field in contract.model_fields.items():
        yield field.alias or name, (_bare(field.annotation), field.is_required())


def _bare(annotation: Any) -> Any:
    """*annotation* without what is beside the type: constraints, and that it may be null."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _bare(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return _bare(next(each for each in get_args(annotation) if each is not types.NoneType))
    return annotation


def _is_object(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Contract)


def _kind(annotation: Any) -> FieldKind:
    if annotation is Money:
        return FieldKind.MONEY
    if _is_object(annotation):
        return FieldKind.OBJECT
    if get_origin(annotation) is Literal:
        return FieldKind.TEXT
    return FieldKind.LIST if get_origin(annotation) is tuple else _SCALARS[annotation]
