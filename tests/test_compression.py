"""Compressed bodies: what is unpacked, what is refused, and never more of it than is allowed."""

import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.compression import content_encoding, decompressed
from ingest.errors import Refused
from tests.asgi_receiver import Ask, ask
from tests.running_receiver import CONFIGURATION, EVENT_FILES, RunningReceiver, signature

EVENT = EVENT_FILES[2].read_bytes()
ROOM = 1 << 20


def raw_deflated(body: bytes, level: int = 6) -> bytes:
    """*body* as a deflate stream without any wrapping."""
    compressor = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


PACKERS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "gzip": (b"gzip", lambda body: gzip.compress(body, mtime=0)),
    "x-gzip": (b"x-gzip", lambda body: gzip.compress(body, mtime=0)),
    "deflate": (b"deflate", zlib.compress),
    "raw deflate": (b"deflate", raw_deflated),
}
packed = pytest.mark.parametrize("packer", list(PACKERS))


def reason_of(body: bytes, encoding: bytes, most_bytes: int = ROOM) -> str:
    """Why *body* cannot be unpacked."""
    with pytest.raises(Refused) as refused:
        decompressed(body, encoding, most_bytes)
    return refused.value.reason


@packed
@given(body=st.binary(max_size=2000), level=st.integers(0, 9))
@settings(deadline=None)
def test_what_was_compressed_comes_out_again(packer: str, body: bytes, level: int) -> None:
    """Any bytes, by any level of any way we read, where there is just room for them."""
    encoding, _ = PACKERS[packer]
    stream = {
        "gzip": lambda: gzip.compress(body, level, mtime=0),
        "x-gzip": lambda: gzip.compress(body, level),
        "deflate": lambda: zlib.compress(body, level),
        "raw deflate": lambda: raw_deflated(body, level),
    }[packer]()
    assert decompressed(stream, encoding, len(body)) == body


@packed
@given(body=st.binary(max_size=500), data=st.data())
@settings(deadline=None)
def test_a_stream_that_is_cut_short_is_refused(packer: str, body: bytes, data: st.DataObject) -> None:
    """Wherever it ends: half an event must not pass for a whole one."""
    encoding, pack = PACKERS[packer]
    stream = pack(body)
    cut = stream[: data.draw(st.integers(0, len(stream) - 1))]
    assert reason_of(cut, encoding) == "broken_compression"


@packed
@given(body=st.binary(max_size=500), junk=st.binary(min_size=1, max_size=40))
@settings(deadline=None)
def test_a_stream_with_something_behind_it_is_refused(packer: str, body: bytes, junk: bytes) -> None:
    """Two readers could disagree on what it says."""
    encoding, pack = PACKERS[packer]
    assert reason_of(pack(body) + junk, encoding) == "broken_compression"


@given(bodies=st.lists(st.binary(max_size=200), min_size=1, max_size=20))
@settings(deadline=None)
def test_gzip_may_come_in_several_members(bodies: list[bytes]) -> None:
    """As a sender makes them that flushes; together they have the room that one would have."""
    stream = b"".join(gzip.compress(body, mtime=0) for body in bodies)
    whole = b"".join(bodies)
    assert decompressed(stream, b"gzip", len(whole)) == whole
    if whole:
        assert reason_of(stream, b"gzip", len(whole) - 1) == "body_too_large"


@packed
@pytest.mark.parametrize("excess", [1, 100, 100_000_000], ids=["a byte", "some", "a bomb"])
def test_what_unpacks_to_more_than_is_allowed_is_refused(packer: str, excess: int) -> None:
    """It is not unpacked any further, so that a few kilobytes cannot fill the memory."""
    encoding, pack = PACKERS[packer]
    assert reason_of(pack(bytes(10_000 + excess)), encoding, 10_000) == "body_too_large"


@pytest.mark.parametrize("member", [gzip.compress(b"", mtime=0), gzip.compress(b"x", mtime=0)], ids=["empty", "a byte"])
def test_a_stream_of_thousands_of_members_is_refused(member: bytes) -> None:
    """Each costs as much as all that is left, and no sender makes them but to keep us busy."""
    assert decompressed(member * 100, b"gzip", ROOM) == gzip.decompress(member) * 100
    assert reason_of(member * 101, b"gzip") == "broken_compression"
    assert reason_of(member * 50_000, b"gzip") == "broken_compression"


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
@given(body=st.binary(max_size=300))
@settings(deadline=None)
def test_any_other_bytes_are_refused_or_read(encoding: bytes, body: bytes) -> None:
    """Whatever comes, nothing but a refusal is raised."""
    with suppress(Refused):
        decompressed(body, encoding, ROOM)


@pytest.mark.parametrize(
    ("values", "encoding"),
    [
        ([], None),
        ([b"identity"], None),
        ([b""], None),
        ([b"Identity", b" "], None),
        ([b"gzip"], b"gzip"),
        ([b" GZip "], b"gzip"),
        ([b"x-gzip"], b"x-gzip"),
        ([b"identity", b"deflate"], b"deflate"),
    ],
)
def test_the_header_names_what_is_to_be_undone(values: list[bytes], encoding: bytes | None) -> None:
    """In any case and with space around it; identity is nothing."""
    assert content_encoding([(b"host", b"x"), *((b"content-encoding", value) for value in values)]) == encoding


@pytest.mark.parametrize(
    "values", [[b"br"], [b"zstd"], [b"gzip, gzip"], [b"gzip", b"gzip"], [b"gzip", b"br"], [b"\xff"], [b"gzip;q=1"]]
)
def test_what_is_not_read_here_is_said_so(values: list[bytes]) -> None:
    """Another way to compress, or several at once, is a mistake that its sender can correct."""
    with pytest.raises(Refused) as refused:
        content_encoding([(b"content-encoding", value) for value in values])
    assert (refused.value.reason, refused.value.status_code) == ("unknown_content_encoding", 415)


UNPACKED_FIRST = CONFIGURATION + 'signature_covers = "decompressed"\n'
SMALL = "max_body_bytes = 20000\nmax_decompressed_bytes = 50000\n"


def sent(body: bytes, encoding: str, signed: bytes) -> Ask:
    """*body* in *encoding*, with a signature over *signed*."""
    return Ask(body, {"Content-Encoding": encoding, **signature(signed)})


@packed
@pytest.mark.parametrize("covers", ["sent", "decompressed"])
def test_a_compressed_event_is_staged_as_the_event_it_is(tmp_path: Path, packer: str, covers: str) -> None:
    """The signature is over what the source says it is over, and over nothing else; the payload is what was packed."""
    encoding, pack = PACKERS[packer]
    stream = pack(EVENT)
    configuration = CONFIGURATION if covers == "sent" else UNPACKED_FIRST
    right, wrong = (stream, EVENT) if covers == "sent" else (EVENT, stream)
    asks = [sent(stream, encoding.decode(), right), sent(stream, encoding.decode(), wrong)]
    answers, lines = ask(tmp_path, configuration, asks)
    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[0].json() == {"status": "accepted", "event_id": orjson.loads(EVENT)["id"]}
    assert (lines[0].payload, lines[0].body_bytes) == (EVENT.decode(), len(stream))


@pytest.mark.parametrize(
    ("body", "encoding", "status_code", "reason"),
    [
        (gzip.compress(EVENT)[:-1], "gzip", 400, "broken_compression"),
        (gzip.compress(EVENT) + b"more", "gzip", 400, "broken_compression"),
        (EVENT, "gzip", 400, "broken_compression"),
        (b"", "gzip", 400, "broken_compression"),
        (zlib.compress(EVENT)[:-1], "deflate", 400, "broken_compression"),
        (gzip.compress(bytes(10_000_000)), "gzip", 413, "body_too_large"),
        (bytes(20_001), "gzip", 413, "body_too_large"),
        (gzip.compress(EVENT), "br", 415, "unknown_content_encoding"),
        (EVENT, "identity", 200, None),
    ],
    ids=["cut", "more", "not gzip", "empty", "cut deflate", "a bomb", "large as sent", "br", "identity"],
)
def test_what_cannot_be_unpacked_is_refused_for_what_it_is(
    tmp_path: Path, body: bytes, encoding: str, status_code: int, reason: str | None
) -> None:
    """A genuine sender learns the status, the record the reason."""
    [answer], [line] = ask(tmp_path, CONFIGURATION + SMALL, [sent(body, encoding, body)])
    assert (answer.status_code, line.status_code, line.reason) == (status_code, status_code, reason)


@pytest.mark.parametrize(
    ("body", "covers", "status_code"),
    [
        (gzip.compress(EVENT)[:-1], "sent", 401),
        (gzip.compress(bytes(10_000_000)), "sent", 401),
        (gzip.compress(EVENT)[:-1], "decompressed", 400),
        (gzip.compress(bytes(10_000_000)), "decompressed", 413),
        (gzip.compress(EVENT), "decompressed", 401),
    ],
)
def test_nothing_is_unpacked_for_a_stranger_but_what_its_signature_covers(
    tmp_path: Path, body: bytes, covers: str, status_code: int
) -> None:
    """Where the signature is over the bytes as sent, it is judged before anything is unpacked."""
    configuration = (CONFIGURATION if covers == "sent" else UNPACKED_FIRST) + SMALL
    [answer], _ = ask(tmp_path, configuration, [sent(body, "gzip", b"something else")])
    assert answer.status_code == status_code


def test_a_receiver_that_has_met_bombs_goes_on(tmp_path: Path) -> None:
    """Over real connections: bombs, broken streams and good ones in turns, and nothing is held afterwards."""
    bomb, broken, good = gzip.compress(bytes(50_000_000)), gzip.compress(EVENT)[:-1], gzip.compress(EVENT)
    with RunningReceiver(tmp_path) as receiver:
        for _ in range(5):
            for body, status_code in ((bomb, 413), (broken, 400), (good, 200)):
                answer = receiver.post(body, {"Content-Encoding": "gzip", **signature(body)})
                assert answer.status_code == status_code
        assert receiver.figures()("in_flight_bytes") == 0
        assert [line.payload for line in receiver.staged_after_stop() if line.outcome == "accepted"] == [
            EVENT.decode()
        ] * 5
