"""A list of an event: which list of the payload it is made from, and what each member says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mappings.errors import Unmappable
from mappings.expression import Expression
from mappings.field import MappedField

MEMBER = "item"
"""What expressions call the member at hand, and"""
MEMBER_AROUND = "outer_item"
"""what they call the one that had this name around the list."""


@dataclass(frozen=True, slots=True)
class MappedList:
    """
    One list.

    Attributes:
        path: In the event, dotted from its root; in a member of another list, from that member.
        source: Where the payload holds its list.
        when: Only the members for which this is true; None: all of them.
        fields: Of each member, by their path in it; none where a member is a value, and
        value: what that is, then.
    """

    path: str
    source: Expression
    when: Expression | None
    fields: tuple["MappedField | MappedList", ...] = ()
    value: MappedField | None = None

    def value_in(self, document: dict[str, Any], default_currency: str | None) -> list[Any] | None:
        """
        Return what the event holds; None where the payload says nothing of it. A member that says nothing is left out.

        Raises:
            Unmappable: The payload says something else than the mapping expects.
        """
        members = self.source.of_document(document)
        if members is None:
            return None
        if not isinstance(members, list):
            raise Unmappable("mapping", f"{self.source.text} (for {self.path}): a list is expected")
        return [made for made in self._made(members, document, default_currency) if made is not None and made != {}]

    def _made(self, members: list[Any], document: dict[str, Any], default_currency: str | None) -> Iterator[Any]:
        for number, member in enumerate(members, start=1):
            within = {**document, MEMBER_AROUND: document.get(MEMBER), MEMBER: member}
            try:
                if self.when is None or self.when.is_true(within):
                    yield self._member(within, default_currency)
            except Unmappable as fault:
                raise Unmappable(
                    fault.reason, f"member {number} of {self.source.text} (for {self.path}): {fault.detail}"
                ) from None

    def _member(self, within: dict[str, Any], default_currency: str | None) -> Any:
        if self.value is not None:
            return self.value.value_in(within, default_currency)
        made: dict[str, Any] = {}
        put_fields(made, self.fields, within, default_currency)
        return made


def put_fields(
    into: dict[str, Any],
    fields: tuple[MappedField | MappedList, ...],
    document: dict[str, Any],
    default_currency: str | None,
) -> None:
    """
    Put what *document* says of *fields* where they belong in *into*.

    Raises:
        Unmappable: It says something else than the mapping expects.
    """
    for field in fields:
        value = field.value_in(document, default_currency)
        if value is None:
            continue
        *parents, name = field.path.split(".")
        within = into
        for parent in parents:
            within = within.setdefault(parent, {})
        within[name] = value
