"""
Values taken out of JSON where they stand, byte for byte the same elsewhere: no number is written anew.

Which values, the caller knows; here is known where a customer's id may stand, and where a text that looks the same
means something else.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from models.columns import EVENT_COLUMNS

_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]:,]|[^\s"{}\[\]:,]+')
_WORD = re.compile(r"[^\s\"'{}\[\]:,;&=<>()\\]+")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")

_PEOPLE = frozenset({"customer", "player", "user", "buyer", "contact", "client", "trader", "lead", "member"})
_IDS = frozenset({"id", "externalid"})
_PERSONS_IDS = frozenset(person + each for person in _PEOPLE for each in _IDS)
_GOES_WITH_THE_ID = frozenset({"externalid", "registeredat"})
"""Of a customer who is taken out: what would still say who it was."""

_MONEY = frozenset({"amount", "currency"})
_FREE = re.compile(
    r"data\.(customer|commission\.customer_id|tracking\.sub_ids|conversion\.external_id)|.*(_detail|_reason|_url)$"
)
_PROTECTED = frozenset(
    {"id", "type", "schema_version", "timestamp", "data.payout.allocations.commission_id"}
    | {column.path for columns in EVENT_COLUMNS.values() for column in columns if not _FREE.match(column.path)}
)
"""Paths at which the contract means something else by a text: another's id, a state, an amount."""

Replacement = Callable[[str], str | None]
"""Gives what stands in the place of a value from now on; None where it is nobody's who is taken out."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A text or number in JSON: where it stands in the text, and where in the document."""

    begin: int
    end: int
    content: str
    is_text: bool
    path: str
    owner: int
    parent: str
    key: str


def texts_in(text: str) -> set[str]:
    """Return everything in *text*, JSON or not, that may be an id as a whole."""
    found = {_content(token) for token in set(_TOKEN.findall(text))}
    return found if _is_json(text) else found | set(_WORD.findall(text))


def external_ids_in(text: str) -> set[tuple[str, str]]:
    """Return the ids of customers in *text*, each with an external id that stands beside it; none if it is no JSON."""
    if not _is_json(text):
        return set()
    people: dict[tuple[int, str], tuple[set[str], set[str]]] = {}
    for value in _values(text):
        if _is_persons(value) and value.content:
            key = _plain(value.key)
            person = _plain(value.parent) if key in _IDS else key.removesuffix("id").removesuffix("external")
            ids = people.setdefault((value.owner, person), (set(), set()))
            ids[key.endswith("externalid")].add(value.content)
    return {(each, external) for of_one, externals in people.values() for each in of_one for external in externals}


def replaced_in(text: str, replacement: Replacement) -> str:
    """
    Return *text* without what *replacement* replaces; the very same where there is nothing.

    In a customer's own fields every such value goes, and with a customer's id what else says who it was. Elsewhere a
    text goes that is the id as a whole, unless it looks like a number or the contract has another meaning for it. What
    is no JSON is searched word by word.
    """
    if not _is_json(text):
        return _WORD.sub(lambda word: replacement(word[0]) or word[0], text)
    values = list(_values(text))
    about = {value.owner for value in values if value.key == "field" and _plain(value.content.split(".")[0]) in _PEOPLE}
    gone = {value.owner for value in values if _is_persons(value) and replacement(value.content) is not None}
    pieces, end = [], 0
    for value in values:
        new = _new(value, replacement, is_about_one=value.owner in about, is_of_one=value.owner in gone)
        if new is not None:
            pieces += [text[end : value.begin], new]
            end = value.end
    return "".join([*pieces, text[end:]]) if pieces else text


def is_protected(path: str, value: str) -> bool:
    """Whether a *value* at *path* of the contract means something else, though it reads like a customer's id."""
    if path in {"data.customer.id", "data.customer.external_id", "data.commission.customer_id"}:
        return False
    return path in _PROTECTED or _NUMBER.fullmatch(value) is not None


def _new(value: _Value, replacement: Replacement, *, is_about_one: bool, is_of_one: bool) -> str | None:
    if is_of_one and _plain(value.parent) in _PEOPLE and _plain(value.key) in _GOES_WITH_THE_ID:
        return "null"
    found = replacement(value.content)
    if found is None:
        return None
    is_theirs = _is_persons(value) or (is_about_one and value.key in {"old", "new"})
    is_elsewhere = value.is_text and value.key not in _MONEY and not is_protected(value.path, value.content)
    return json.dumps(found) if is_theirs or is_elsewhere else None


def _is_persons(value: _Value) -> bool:
    key = _plain(value.key)
    return key in _PERSONS_IDS or (key in _IDS and _plain(value.parent) in _PEOPLE)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _values(text: str) -> Iterator[_Value]:
    """Yield the texts and numbers of a document that is known to be JSON."""
    stack: list[tuple[int, str, bool]] = []  # of each container: its number, the key it stands under, is it an object
    keys: list[str] = [""]
    number = 0
    is_key = False
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "{[":
            number += 1
            # The elements of a list stand where the list stands.
            name = keys[-1] if keys[-1] or not stack else stack[-1][1]
            stack.append((number, name, word == "{"))
            keys.append("")
            is_key = word == "{"
        elif word in "}]":
            stack.pop()
            keys.pop()
            is_key = False
        elif word == ",":
            is_key = bool(stack) and stack[-1][2]
        elif word == ":":
            is_key = False
        elif is_key:
            keys[-1] = _content(word)
        elif word not in {"true", "false", "null"}:
            path = ".".join(name for name in keys if name)
            parent = next((name for _, name, is_object in reversed(stack) if is_object), "")
            owner = stack[-1][0] if stack else 0
            yield _Value(token.start(), token.end(), _content(word), word[0] == '"', path, owner, parent, keys[-1])


def _content(token: str) -> str:
    if not token.startswith('"'):
        return token
    if "\\" not in token:
        return token[1:-1]
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token[1:-1]


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True
