"""Events as a hostile or careless sender writes them: JSON as text, with all that parsers differ on."""

import json

import orjson
from hypothesis import strategies as st

from tests.running_receiver import EVENT_FILES

_EVENTS = [orjson.loads(path.read_bytes()) for path in EVENT_FILES]
_MARK = "\u241f"

_NUMBERS = [
    *("0", "-0", "1", "-1", "1.10", "1e5", "1E+2", "0.1e-7", "1.0000000000000000000000001", "9007199254740993"),
    *("9223372036854775808", "18446744073709551616", "1" * 30, "-" + "9" * 400, "1e308", "1e999", "-1e999", "1e-999"),
    *("01", "+1", ".5", "1.", "0x10", "NaN", "Infinity", "1_000"),
]
_STRINGS = [
    *(r'"\u0000"', r'"\u0041\u00e9"', r'"\ud83d\ude00"', r'"\ud800"', r'"\udc00x"', r'"\ud800\ud800"', r'"\u2028"'),
    *(r'"\"\\\/\b\f\n\r\t"', r'"\x"', r'"\u12"', '"\x7f"', '"\t"', '"\x00"', '"\ufeff"', '"\ufffe"', '""', '" "'),
    *('"2026-02-30T00:00:00Z"', '"0000-01-01T00:00:00Z"', '"9999-12-31T23:59:60Z"', '"2026-05-03T09:58:42+24:00"'),
    *('"9999-12-31T23:59:59.999999-12:00"', '"0001-01-01T00:00:00+14:00"', '"1e5"', '"-0.00"', '"EUR"', '"eur"'),
    *('"99999999999999999999.99999999"', '"0.000000000000000001"', '"NaN"', "'single'", '"unfinished'),
]
_OTHERS = ["null", "true", "false", "True", "nul", "", "//", "/* */ 1", "[]", "{}", "[,]", "[1,]", '{"a"}', "]", "}"]
_DEEP = [
    open_ * depth + close * depth for open_, close in (("[", "]"), ('{"a":', "}")) for depth in (99, 251, 1025, 3000)
]

_NAMES = st.sampled_from(
    [*('"id"', r'"\u0069d"', '"type"', '"data"', '"a"', '""', r'"\u0000"', '"ip"', '"email"', '"ID"')]
)
_TEXTS = st.one_of(
    st.text(max_size=10).map(json.dumps),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10).map(
        lambda text: json.dumps(text, ensure_ascii=False)
    ),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _containers(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(_NAMES, values).map(": ".join), max_size=4)
    return st.lists(values, max_size=4).map(lambda each: f"[{', '.join(each)}]") | members.map(
        lambda each: "{" + ",\n".join(each) + "}"
    )


_ODDITIES = [*_NUMBERS, *_STRINGS, *_OTHERS, *_DEEP]
_VALUES = st.recursive(st.sampled_from(_ODDITIES) | _TEXTS, _containers, max_leaves=8)
_SOUND_VALUES = st.recursive(st.sampled_from([each for each in _ODDITIES if _is_json(each)]), _containers, max_leaves=4)


@st.composite
def _events(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """An example event in which one value is another, or one object has one more member; or both, or neither."""
    event = json.loads(json.dumps(draw(st.sampled_from(_EVENTS))))
    event["id"] = f"evt_{draw(st.integers(0, 2**62))}"
    nodes = [node for node in _objects(event) if node]
    written: list[str] = []
    if draw(st.integers(0, 3)) == 0:
        node = draw(st.sampled_from(nodes))
        node[draw(st.sampled_from(sorted(node)))] = f"{_MARK}{len(written)}"
        written.append(draw(values))
    if draw(st.booleans()):
        draw(st.sampled_from(nodes))[f"{_MARK}{len(written)}"] = None
        written.append(f"{draw(_NAMES)}: {draw(values)}")
    text = json.dumps(event, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    for number, each in enumerate(written):
        mark = json.dumps(f"{_MARK}{number}", ensure_ascii=_MARK not in text)
        text = text.replace(f"{mark}: null", each).replace(mark, each)
    return text


def _objects(node: object) -> list[dict[str, object]]:
    if not isinstance(node, dict):
        return []
    return [node, *(each for value in node.values() for each in _objects(value))]


def _encoded(text: str) -> bytes:
    # A lone surrogate becomes what it is in UTF-8's image: bytes that are not UTF-8.
    return text.encode("utf-8", "surrogatepass")


_SPOILT_EVENTS = _events(_VALUES).map(_encoded)
BODIES: st.SearchStrategy[bytes] = st.one_of(
    _events(_SOUND_VALUES).map(_encoded),
    _events(_SOUND_VALUES).map(_encoded),
    _SPOILT_EVENTS,
    _events(_VALUES).map(lambda text: text.encode("utf-16", "surrogatepass")),
    st.tuples(_SPOILT_EVENTS, st.binary(min_size=1, max_size=3), st.integers(0, 300)).map(
        lambda parts: parts[0][: parts[2]] + parts[1] + parts[0][parts[2] :]
    ),
    st.lists(_events(_SOUND_VALUES), max_size=3).map(lambda events: _encoded(f"[{', '.join(events)}]")),
    _VALUES.map(_encoded),
    st.binary(max_size=300),
)
"""Bodies of all kinds; most are events, or nearly."""
