"""Mapping files: TOML, read strictly, with a sentence for every mistake."""

import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mappings.contract_fields import FieldKind, kind_of, member_of, missing
from mappings.errors import MappingError
from mappings.expression import Expression
from mappings.field import CONVERSIONS, Conversion, MappedField
from mappings.mapped_list import MappedList
from mappings.mapping import EventRule, Mapping
from mappings.personal import PersonalData
from models.contract import Contract
from models.registry import CONTRACTS

_MAJOR = "1"
_OURS = frozenset({"id", "type", "schema_version"})
"""What a rule says by other means than a field."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class _FieldTable(_Table):
    path: str | None = None
    as_: Conversion | None = Field(default=None, alias="as")
    currency: str | None = None
    negate: bool = False
    values: dict[str, str] = Field(default_factory=dict)
    otherwise: str | None = None
    format: str = ""
    timezone: str | None = None
    each: str | None = None
    when: str | None = None
    fields: "_Fields" = Field(default_factory=dict)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_table(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


_Texts = Annotated[list[str], Field(min_length=1), BeforeValidator(_as_list)]
_SaidField = Annotated[_FieldTable, BeforeValidator(_as_table)]
_Fields = dict[str, _SaidField]
_FieldTable.model_rebuild()


class _EventTable(_Table):
    from_: _Texts = Field(alias="from")
    to: str
    when: str | None = None
    each: str | None = None
    id: _Texts | None = None
    suffix: str | None = None
    use: list[str] = Field(default_factory=list)
    fields: _Fields = Field(default_factory=dict)


class _MappingTable(_Table):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    documentation: list[str] = Field(default_factory=list)
    type: str
    id: _Texts | None = None
    timestamp: _SaidField | None = None
    ignored: list[str] = Field(default_factory=list)


class _PersonalTable(_Table):
    drop: list[str] = Field(default_factory=list)
    hash: dict[str, str] = Field(default_factory=dict)
    partner_emails: list[str] = Field(default_factory=list)


class _File(_Table):
    mapping: _MappingTable
    personal: _PersonalTable = _PersonalTable()
    shared: dict[str, _Fields] = Field(default_factory=dict)
    event: list[_EventTable] = Field(min_length=1)


def builtin_names() -> list[str]:
    """The mappings that come with hookmart, sorted."""
    return sorted(each.name.removesuffix(".toml") for each in _builtin().iterdir() if each.name.endswith(".toml"))


def load_mapping(name_or_path: str, directory: Path) -> Mapping:
    """
    Return the mapping that comes with hookmart under a name, or that of a file ending in `.toml`.

    Args:
        name_or_path: A relative path starts from
        directory: that of the configuration.

    Raises:
        MappingError: There is none, or it cannot be used.
    """
    if not name_or_path.endswith(".toml"):
        if name_or_path not in builtin_names():
            raise MappingError(
                f"{name_or_path!r} is no mapping that comes with hookmart; give one of {', '.join(builtin_names())},"
                " or the path of a file that ends in .toml"
            )
        return _read(builtin_text(name_or_path), f"{name_or_path}.toml")
    path = directory / Path(name_or_path).expanduser()
    try:
        return _read(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise MappingError(f"there is no mapping at {path}; write one, or give another path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(f"the mapping {path} cannot be read ({error}); check its permissions") from error


def builtin_text(name: str) -> str:
    """The file of the mapping *name* that comes with hookmart."""
    text: str = (_builtin() / f"{name}.toml").read_text(encoding="utf-8")
    return text


def read_mapping(text: str, where: str) -> Mapping:
    """
    Return the mapping that *text* is.

    Args:
        where: What it is called in the sentence about a mistake.

    Raises:
        MappingError: It cannot be used.
    """
    return _read(text, where)


def _builtin() -> Any:
    return files("mappings") / "builtin"


@lru_cache(maxsize=64)
def _read(text: str, where: str) -> Mapping:
    with _mistakes_in(where):
        try:
            read = _File.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise MappingError(f"it is not valid TOML ({error})") from None
        except ValidationError as error:
            raise MappingError(_sentence(error)) from None
        return _mapping(read)


def _mapping(read: _File) -> Mapping:
    head = read.mapping
    shared = {name: dict(_fields(fields)) for name, fields in read.shared.items()}
    rules = []
    for number, table in enumerate(read.event, start=1):
        with _mistakes_in(f"event {number} ({', '.join(table.from_)} to {table.to})"):
            rules.append(_rule(table, head, shared))
    if unused := set(shared).difference(*(each.use for each in read.event)):
        raise MappingError(f"no event uses [shared.{min(unused)}]; remove it or `use` it")
    with _mistakes_in("[mapping]"):
        mapped = {name for rule in rules for name in rule.platform_types}
        if both := mapped & set(head.ignored):
            raise MappingError(f"{min(both)!r} is ignored, and an event is made of it; do one of the two")
        platform_type = Expression.of(head.type)
    return Mapping(
        name=head.name,
        documentation=tuple(head.documentation),
        platform_type=platform_type,
        rules=tuple(rules),
        ignored=frozenset(head.ignored),
        personal=_personal(read.personal),
    )


def _rule(table: _EventTable, head: _MappingTable, shared: dict[str, dict[str, _FieldTable]]) -> EventRule:
    contract = CONTRACTS.get((table.to, _MAJOR))
    if contract is None:
        raise MappingError(f"{table.to!r} is no event of the contract; `hookmart contract` prints them")
    said: dict[str, _FieldTable] = {}
    if head.timestamp is not None:
        said["timestamp"] = head.timestamp
    for name in table.use:
        if name not in shared:
            raise MappingError(f"it uses [shared.{name}], which is not there; add it or correct the name")
        said.update(shared[name])
    said.update(_fields(table.fields))
    fields = []
    for path, field in said.items():
        if path in _OURS:
            raise MappingError(f"`{path}` is no field of {table.to}; see docs/events.md")
        fields.append(_mapped(path, field, contract, table.to))
    if lacking := [path for path in missing(contract, said.keys()) if path not in _OURS]:
        raise MappingError(f"it says nothing of `{lacking[0]}`, which {table.to} requires")
    ids = table.id or head.id
    if ids is None:
        raise MappingError("it has no `id`; give the path of the platform's, or several to make one of")
    if table.suffix is not None and len(ids) > 1:
        raise MappingError("an `id` made of several parts needs no `suffix`; add another part")
    return EventRule(
        platform_types=tuple(table.from_),
        event_type=table.to,
        when=_expression(table.when),
        each=_expression(table.each),
        ids=tuple(map(Expression.of, ids)),
        suffix=_expression(table.suffix),
        fields=tuple(fields),
    )


def _mapped(path: str, said: _FieldTable, contract: type[Contract], whole: str) -> MappedField | MappedList:
    """Return what is *said* of the field at *path* of *contract*, which people know as *whole*."""
    kind = kind_of(contract, path)
    if kind is None:
        raise MappingError(f"`{path}` is no field of {whole}; see docs/events.md")
    if kind is FieldKind.LIST:
        return _list(path, said, member_of(contract, path))
    if said.each is not None or said.when is not None or said.fields:
        raise MappingError(f"`{path}` is no list, so it has neither `each`, `when` nor `fields`")
    return _field(path, said, kind)


def _list(path: str, said: _FieldTable, member: type[Contract] | None) -> MappedList:
    if said.each is None:
        raise MappingError(f"`{path}` is a list; say `each`, the list of the payload, and what a member of it is")
    if bool(said.fields) == (said.path is not None):
        raise MappingError(f"a member of `{path}` has either `fields` or, where it is a value, a `path`")
    if member is not None and not said.fields:
        raise MappingError(f"a member of `{path}` is an object; say its `fields`")
    whole = f"a member of `{path}`"
    with _mistakes_in(f"`{path}`"):
        source, when = Expression.of(said.each), _expression(said.when)
        if not said.fields:
            return MappedList(path, source, when, value=_field(path, said, FieldKind.ANY))
        if said.model_fields_set - {"each", "when", "fields"}:
            raise MappingError(f"{whole} is an object; how its values are written is said in `fields`")
        fields: tuple[MappedField | MappedList, ...]
        if member is None:
            fields = tuple(_field(name, field, FieldKind.ANY) for name, field in said.fields.items())
        else:
            fields = tuple(_mapped(name, field, member, whole) for name, field in said.fields.items())
            if lacking := missing(member, said.fields.keys()):
                raise MappingError(f"it says nothing of `{lacking[0]}`, which {whole} requires")
        return MappedList(path, source, when, fields)


def _field(path: str, said: _FieldTable, kind: FieldKind) -> MappedField:
    mapped = _said_field(path, said, CONVERSIONS.get(kind, ()))
    mapped.check(kind)
    return mapped


def _said_field(path: str, said: _FieldTable, possible: tuple[Conversion, ...]) -> MappedField:
    if said.path is None:
        raise MappingError(f"`{path}` has no `path`; say where the payload holds it")
    if said.as_ is None and possible[:1] == ("minor_units",):
        raise MappingError(f'`{path}` is money; say as = "minor_units" or as = "amount"')
    with _mistakes_in(f"`{path}`"):
        source, currency = Expression.of(said.path), _expression(said.currency)
    return MappedField(
        path=path,
        source=source,
        conversion=said.as_ or (possible[0] if possible else "text"),
        currency=currency,
        is_negated=said.negate,
        values=said.values,
        otherwise=said.otherwise,
        pattern=said.format,
        zone=_zone(path, said.timezone),
    )


def _zone(path: str, name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise MappingError(f"the `timezone` {name!r} of `{path}` is none; give one such as UTC") from None


def _expression(text: str | None) -> Expression | None:
    return None if text is None else Expression.of(text)


def _fields(fields: _Fields) -> Iterator[tuple[str, _FieldTable]]:
    """The fields of a table by their path from the root of the event; those of the envelope have a leading dot."""
    for name, said in fields.items():
        yield (name[1:] if name.startswith(".") else f"data.{name}"), said


def _personal(table: _PersonalTable) -> PersonalData:
    return PersonalData(
        dropped=_paths(table.drop),
        hashed={_path(path): name for path, name in table.hash.items()},
        partner_emails=_paths(table.partner_emails),
    )


def _paths(texts: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(map(_path, texts))


def _path(text: str) -> tuple[str, ...]:
    path = tuple(text.split("."))
    if not all(path):
        raise MappingError(f"{text!r} in [personal] is no path; give names with dots between")
    return path


@contextmanager
def _mistakes_in(where: str) -> Iterator[None]:
    try:
        yield
    except MappingError as error:
        raise MappingError(f"in {where}: {error}") from None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"]) or "the file"
    match first["type"]:
        case "extra_forbidden":
            return f"`{where}` is nothing that a mapping has; remove it or correct its spelling"
        case "missing":
            return f"`{where}` is missing; add it"
        case "literal_error":
            return f"`{where}` can only be {first['ctx']['expected']}"
    return f"`{where}` cannot be used: {first['msg'][0].lower() + first['msg'][1:]}"
