"""JMESPath expressions: checked when a mapping is read, and asked of payloads in which no number is a float."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from mappings.errors import MappingError, Unmappable


@dataclass(frozen=True, slots=True)
class Expression:
    """
    One JMESPath expression.

    Attributes:
        text: As the mapping says it.
    """

    text: str
    _compiled: Any = field(compare=False, repr=False)

    @classmethod
    def of(cls, text: str) -> "Expression":
        """
        Return what *text* says.

        Raises:
            MappingError: It is no JMESPath, or calls a function that JMESPath does not have.
        """
        try:
            compiled = jmespath.compile(text)
        except JMESPathError as error:
            raise MappingError(f"{text!r} is no JMESPath expression ({str(error).splitlines()[0]})") from None
        for name in _functions(compiled.parsed):
            if name not in Functions.FUNCTION_TABLE:
                raise MappingError(f"{text!r} calls {name}(), and JMESPath has no such function")
        if _negates_too_little(compiled.parsed):
            raise MappingError(f"{text!r} asks for a member of what `!` made; write !(a.b) for the opposite of a.b")
        return cls(text, compiled)

    def of_document(self, document: object) -> Any:
        """
        Return what it finds in *document*; None where it finds nothing.

        Raises:
            Unmappable: What it finds is nothing that its functions take.
        """
        try:
            return self._compiled.search(document)
        except (JMESPathError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
            # The message of the library repeats the value.
            raise Unmappable("mapping", f"`{self.text}` cannot be asked of this payload") from None

    def is_true(self, document: object) -> bool:
        """Whether it finds something that JMESPath takes for true."""
        found = self.of_document(document)
        return found is not None and found is not False and found not in ("", [], {})


def parsed(body: bytes) -> dict[str, Any]:
    """
    Return the object that *body* is; its numbers are integers and decimals, to the last digit.

    Raises:
        Unmappable: It is none.
    """
    try:
        document = json.loads(body.decode(), parse_float=Decimal, parse_constant=_refuse)
    except UnicodeDecodeError:
        raise Unmappable("malformed_json", "the body is not UTF-8") from None
    except (ValueError, RecursionError, ArithmeticError):
        raise Unmappable("malformed_json", "the body is not JSON") from None
    if not isinstance(document, dict):
        raise Unmappable("not_an_object", "the body is JSON, but not an object")
    return document


def _refuse(_name: str) -> NoReturn:
    raise ValueError


def _negates_too_little(node: Any) -> bool:
    """Whether a path goes on from a negation: `!a.b` means `(!a).b`, which is never there."""
    children = [child for child in node.get("children", ()) if isinstance(child, dict)]
    goes_on = node["type"] in {"subexpression", "index_expression"}
    return (goes_on and bool(children) and children[0]["type"] == "not_expression") or any(
        map(_negates_too_little, children)
    )


def _functions(node: Any) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node.get("children", ()):
        if isinstance(child, dict):
            yield from _functions(child)
