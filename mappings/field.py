"""One field of an event: where the platform keeps its value, and how it writes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from mappings import conversions
from mappings.contract_fields import FieldKind
from mappings.conversions import Unconvertible
from mappings.errors import MappingError, Unmappable
from mappings.expression import Expression

Conversion = Literal[
    "text",
    "boolean",
    "integer",
    "decimal",
    "minor_units",
    "amount",
    "rfc3339",
    "unix_seconds",
    "unix_milliseconds",
    "format",
    "day",
    "version",
]

CONVERSIONS: dict[FieldKind, tuple[Conversion, ...]] = {
    FieldKind.TEXT: ("text",),
    FieldKind.MONEY: ("minor_units", "amount"),
    FieldKind.TIME: ("rfc3339", "unix_seconds", "unix_milliseconds", "format"),
    FieldKind.DATE: ("day",),
    FieldKind.DECIMAL: ("decimal",),
    FieldKind.INTEGER: ("integer", "version"),
    FieldKind.BOOLEAN: ("boolean",),
    FieldKind.ANY: ("text", "decimal", "integer", "boolean"),
}
"""By what the contract says a field is; the first is what is meant where a mapping says none, but for money."""

_PLAIN: dict[str, Callable[[object], Any]] = {
    "text": conversions.text,
    "boolean": conversions.boolean,
    "integer": conversions.integer,
    "decimal": conversions.decimal,
    "rfc3339": conversions.rfc3339,
    "unix_seconds": conversions.unix_seconds,
    "unix_milliseconds": conversions.unix_milliseconds,
    "day": conversions.day,
    "version": conversions.version,
}


@dataclass(frozen=True, slots=True)
class MappedField:
    """
    One field.

    Attributes:
        path: In the event, dotted from its root.
        source: Where the payload holds its value.
        conversion: How the platform writes it.
        currency: Of money, where the payload says it; None: it never does.
        is_negated: Money that is to be taken off.
        values: The contract's word for the platform's.
        otherwise: The word for every value that is not among them; None: as sent.
        pattern: Of `strptime`, and
        zone: where the pattern has no offset.
    """

    path: str
    source: Expression
    conversion: Conversion
    currency: Expression | None = None
    is_negated: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    otherwise: str | None = None
    pattern: str = ""
    zone: ZoneInfo | None = None

    def check(self, kind: FieldKind) -> None:
        """
        Refuse what cannot be.

        Raises:
            MappingError: The field does not hold what the conversion makes, or something is missing beside it.
        """
        possible = CONVERSIONS.get(kind, ())
        if not possible:
            raise MappingError(f"`{self.path}` is a whole {kind.value}; map the fields in it that are values")
        if self.conversion not in possible:
            words = " or ".join(f'"{each}"' for each in possible)
            raise MappingError(
                f'`{self.path}` holds {kind.value}, which "{self.conversion}" does not make; say {words}'
            )
        if self.conversion == "format" and not self.pattern:
            raise MappingError(f'`{self.path}` is read by "format" and has no `format`; give the pattern of strptime')
        if self.conversion == "format" and not _is_readable(self.pattern):
            raise MappingError(f"the `format` {self.pattern!r} of `{self.path}` is no pattern of strptime; correct it")
        if self.conversion == "format" and self.zone is None and "%z" not in self.pattern:
            raise MappingError(f"`{self.path}` has a `format` without %z; say its `timezone`")
        if kind is not FieldKind.MONEY and (self.currency is not None or self.is_negated):
            raise MappingError(f"`{self.path}` is no money, so it has neither `currency` nor `negate`")
        if self.conversion != "text" and (self.values or self.otherwise is not None):
            raise MappingError(f"`{self.path}` is no text, so it has neither `values` nor `otherwise`")

    def value_in(self, document: object, default_currency: str | None) -> Any:
        """
        Return what the event holds; None where the payload says nothing of it.

        Raises:
            Unmappable: The payload says something else than the mapping expects.
        """
        found = self.source.of_document(document)
        if found is None:
            return None
        try:
            if self.conversion in {"minor_units", "amount"}:
                return self._money(found, document, default_currency)
            if self.conversion == "format":
                return conversions.by_format(found, self.pattern, self.zone)
            value = _PLAIN[self.conversion](found)
        except Unconvertible as error:
            raise Unmappable("mapping", f"{self.source.text} (for {self.path}): {error}") from None
        if self.conversion == "text" and value is not None:
            return self.values.get(value, value if self.otherwise is None else self.otherwise) or None
        return value

    def _money(self, found: object, document: object, default_currency: str | None) -> dict[str, str]:
        code = None if self.currency is None else self.currency.of_document(document)
        if code is None or code == "":
            code = default_currency
        if code is None:
            raise Unconvertible("the payload names no currency; set `mapping_currency` of the source")
        known = conversions.currency(code)
        written = (
            conversions.minor_units(found, known) if self.conversion == "minor_units" else conversions.amount(found)
        )
        return {"amount": conversions.negated(written) if self.is_negated else written, "currency": known}


def _is_readable(pattern: str) -> bool:
    try:
        datetime.strptime(datetime.now(UTC).strftime(pattern), pattern)  # noqa: DTZ007  # only whether it can be read
    except ValueError:
        return False
    return True
