"""What a platform's payload says of people, and where: it goes before anything is written."""

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Possessive throughout, and begun only where a word begins: anyone may send what this looks through.
_ADDRESS = re.compile(r"(?<![\w.+'-])[\w.+'-]++(?:@|%40)[\w-]++(?:\.[\w-]++)+")
REMOVED = "removed"
"""What takes the place of an e-mail address within a text."""

_LOCAL_HASH = "email:"


class Number(str):
    """A number as it was sent, to the digit."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PersonalData:
    """
    Where it is.

    Paths are dotted from the root of the payload; they lead through lists as if these were not there.

    Attributes:
        dropped: Paths of what goes.
        hashed: Paths of what is replaced by a keyed hash, each with the name of the hash, which stands beside it.
        partner_emails: Paths of partners' addresses; an `email_hash` stands beside them.
    """

    dropped: tuple[tuple[str, ...], ...] = ()
    hashed: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    partner_emails: tuple[tuple[str, ...], ...] = ()

    def removed_from(self, document: Any, key: bytes | None) -> Any:
        """Take it out of *document*, which is changed; without *key* what would be hashed is dropped."""
        for path in self.dropped:
            for within in _parents(document, path):
                within.pop(path[-1], None)
        names = {**self.hashed, **dict.fromkeys(self.partner_emails, "email_hash")}
        for path, name in names.items():
            for within in _parents(document, path):
                value = within.pop(path[-1], None)
                if key is not None and isinstance(value, str) and value and not within.get(name):
                    written = value.strip().lower() if name == "email_hash" else value
                    within[name] = hmac.digest(key, written.encode("utf-8", "replace"), "sha256").hex()
        return document


def read_exactly(body: bytes) -> Any:
    """
    Parse *body*, its numbers kept as they are written.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is nested too deep.
    """
    return json.loads(body.decode(), parse_int=Number, parse_float=Number, parse_constant=Number)


def written_exactly(node: Any) -> str:
    """Write what `read_exactly` read."""
    if isinstance(node, Number):
        return str(node)
    if isinstance(node, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{written_exactly(each)}" for name, each in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(written_exactly, node)) + "]"
    return json.dumps(node)


def without_addresses(node: Any, key: bytes | None) -> Any:
    """
    Return *node* without e-mail addresses, wherever they stand.

    A text that is one, such as an id that the operator made of it, becomes a keyed hash; without *key* it is null.
    """
    if isinstance(node, dict):
        return {without_addresses(name, key) or REMOVED: without_addresses(each, key) for name, each in node.items()}
    if isinstance(node, list):
        return [without_addresses(each, key) for each in node]
    if not isinstance(node, str) or isinstance(node, Number) or ("@" not in node and "%40" not in node):
        return node
    if _ADDRESS.fullmatch(node.strip()) is None:
        return _ADDRESS.sub(REMOVED, node)
    if key is None:
        return None
    return _LOCAL_HASH + hmac.digest(key, node.strip().lower().encode("utf-8", "replace"), "sha256").hex()[:32]


def text_without_addresses(text: str) -> str:
    """Return *text*, which no parser reads, without e-mail addresses."""
    return _ADDRESS.sub(REMOVED, text)


def _parents(node: Any, path: tuple[str, ...]) -> list[dict[str, Any]]:
    """The objects that the last name of *path* may stand in."""
    if isinstance(node, list):
        return [found for each in node for found in _parents(each, path)]
    if not isinstance(node, dict):
        return []
    if len(path) == 1:
        return [node]
    return _parents(node.get(path[0]), path[1:])
