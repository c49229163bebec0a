"""Personal data that is sent, in whatever way and whatever becomes of the request: no file holds it."""

import base64
import binascii
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from tests.running_receiver import CONFIGURATION, EVENT_FILES, RunningReceiver, signature, until

NAME, MAIL, ADDRESS, AGENT, DEVICE = (
    b"Ada Lovelace",
    b"ada@example.org",
    b"203.0.113.7",
    b"Mozilla/5.0 (X11)",
    b"device-4711",
)
PERSONAL = (NAME, MAIL, ADDRESS, AGENT, DEVICE)
SOURCES = (
    CONFIGURATION
    + """
max_body_bytes = 100000

[sources.batches]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
arrays = true

[sources.unpacked]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
signature_covers = "decompressed"

[sources.fenced]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
allow_ips = ["192.0.2.0/24"]

[sources.late]
scheme = "hmac-sha256-hex"
secrets = ["file:not-there"]
"""
)


def revealing(event_id: str, **changes: str) -> bytes:
    """An event that holds everything it should not."""
    event = orjson.loads(EVENT_FILES[3].read_bytes())
    event["data"]["customer"] |= {"name": NAME.decode(), "email": MAIL.decode()}
    event["data"]["device"] |= {"ip": ADDRESS.decode(), "user_agent": AGENT.decode(), "device_id": DEVICE.decode()}
    return orjson.dumps(event | {"id": event_id} | changes)


KNOWN = revealing("evt_known")
UNKNOWN = revealing("evt_unknown", type="conversion.doubted")
ESCAPED = KNOWN.replace(b'"email"', b'"e\\u006dail"').replace(b'"ip"', b'"\\u0069p"')
ARRAY = b"[" + KNOWN + b"," + UNKNOWN + b"]"
BODIES = {
    "an event": KNOWN,
    "an event of an unknown type": UNKNOWN,
    "names in escapes": ESCAPED,
    "an array": ARRAY,
    "half an event": KNOWN[:-3],
    "half an event, names in escapes": ESCAPED[:-3],
    "half an array": ARRAY[:-3],
    "not UTF-8": KNOWN[:-1] + b"\xff",
    "with a NUL": KNOWN[:-1] + b"\x00",
}
ENCODINGS: dict[str | None, Callable[[bytes], bytes]] = {
    None: lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}
SIGNED: dict[str, Callable[[bytes], dict[str, str]]] = {
    "well": signature,
    "badly": lambda body: signature(body, "f" * 32),
    "not at all": lambda _: {},
}


def layers(data: bytes) -> Iterator[bytes]:
    """*data*, what is in it in base64, and what is compressed in that, as deep as it goes."""
    yield data
    for word in {each for each in data.replace(b"\\n", b" ").split(b'"') if len(each) >= 16}:
        try:
            inner = base64.b64decode(word, validate=True)
        except binascii.Error:
            continue
        yield from layers(inner)
        for window in (16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS):
            unpacker = zlib.decompressobj(window)
            try:
                yield unpacker.decompress(inner)
            except zlib.error:
                continue


def found_below(directory: Path) -> set[tuple[str, bytes]]:
    """The files that hold personal data, and what of it."""
    return {
        (path.name, secret)
        for path in directory.rglob("*")
        if path.is_file()
        for layer in layers(path.read_bytes())
        for secret in PERSONAL
        if secret in layer
    }


@pytest.mark.parametrize("key", [None, "k" * 32], ids=["dropped", "hashed"])
def test_no_file_holds_what_a_request_said_of_a_person(tmp_path: Path, key: str | None) -> None:
    """Accepted, quarantined, refused for every reason, alone or in arrays, compressed or not: none of it is written."""
    settings = SOURCES
    if key is not None:
        (tmp_path / "key").write_text(key)
        settings += '\n[privacy]\nkey = "file:key"\n'
    statuses = set()
    headers = {"X-Forwarded-For": ADDRESS.decode(), "User-Agent": AGENT.decode(), "From": MAIL.decode(),
               "Cookie": f"user={MAIL.decode()}"}  # fmt: skip
    with RunningReceiver(tmp_path, settings) as receiver:
        count = 0
        for body in BODIES.values():
            for encoding, pack in ENCODINGS.items():
                packed = pack(body)
                sent = headers | ({} if encoding is None else {"Content-Encoding": encoding})
                for sign in SIGNED.values():
                    for source in ("acme", "batches", "fenced", "late", "nobody"):
                        statuses.add(receiver.post(packed, sent | sign(packed), source=source).status_code)
                        count += 1
                    statuses.add(receiver.post(packed, sent | sign(body), source="unpacked").status_code)
                    count += 1
                if encoding is not None:
                    for cut in (packed[:-5], packed + b"more"):
                        for sign in SIGNED.values():
                            statuses.add(receiver.post(cut, sent | sign(cut)).status_code)
                            count += 1
        statuses.add(receiver.post(KNOWN * 100).status_code)
        statuses.add(receiver.post(KNOWN, headers | {"Content-Encoding": "br"}).status_code)
        address = f"/webhooks/{MAIL.decode()}?email={MAIL.decode()}&ip={ADDRESS.decode()}"
        statuses.add(receiver.client.post(address, content=KNOWN, headers=signature(KNOWN)).status_code)
        count += 3
        until(lambda: len({line.delivery_id for line in receiver.staged()}) == count)
        assert statuses == {200, 400, 401, 403, 404, 413, 415, 503}
        outcomes = {line.outcome for line in receiver.staged()}
        assert outcomes == {"accepted", "quarantined", "refused"}
        assert found_below(tmp_path / "var") == set()
        receiver.stop()
    assert found_below(tmp_path / "var") == set()
    assert list((tmp_path / "var" / "refused").glob("*.jsonl")), "the bodies of the unverified are kept, too"
    assert not any(secret in (tmp_path / "receiver.log").read_bytes() for secret in PERSONAL)


def test_the_search_would_find_it(tmp_path: Path) -> None:
    """As text, in base64, and compressed in base64."""
    for number, data in enumerate((KNOWN, gzip.compress(KNOWN), zlib.compress(KNOWN))):
        (tmp_path / f"{number}").write_bytes(orjson.dumps({"body": base64.b64encode(data).decode()}))
    (tmp_path / "3").write_bytes(KNOWN)
    assert found_below(tmp_path) == {(f"{number}", secret) for number in range(4) for secret in PERSONAL}
