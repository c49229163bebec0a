"""Step 2: simulated failures, of the platform, of the network, and of what lies between."""

import gzip
from collections.abc import Collection, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit, urlunsplit

from hookmart.certification.check import Check, Step, failed, not_exercised, passed
from hookmart.certification.expectation import GENUINE, KEPT, exactly
from hookmart.certification.limits import flood, not_failing, not_flooded
from hookmart.certification.specimen import Specimen
from hookmart.certification.trial import Trial

_STEP = Step.FAILURES
_LOOPBACK = IPv4Network("127.0.0.0/24")

_UNKNOWN_SOURCE = exactly(404, "nothing is at this address, and whoever gave it to the platform must correct it")
_NOT_ALLOWED = exactly(
    403, "the address is not in `allow_ips`; behind a proxy the receiver must be told of it, by `trusted_proxies`"
)
_WRONG_METHOD = exactly(405, "only POST is taken")
_TOO_LARGE = exactly(413, "the body is over the limit; count while it arrives, and stop reading")
_UNKNOWN_ENCODING = exactly(415, "the sender must compress otherwise, or not at all")
_BROKEN_COMPRESSION = exactly(400, "the body is not what its Content-Encoding says")


def failures(trial: Trial, flood_bytes: int | None = None) -> Iterator[Check]:
    """
    Yield whether each failure gets the answer that makes the platform do the right thing.

    Args:
        flood_bytes: What one process of the receiver may hold, to try it; None where it is not to be tried.
    """
    yield from _garbage(trial)
    yield from _wrong_requests(trial)
    yield from _compression(trial)
    yield _hung_up(trial)
    yield GENUINE.judge(_STEP, "still serves after all that", "a genuine event", trial.post(trial.specimens.fresh()))
    yield _other_address(trial)
    if flood_bytes is None:
        yield not_flooded()
    else:
        yield from flood(trial, flood_bytes)
    yield not_failing()


def _garbage(trial: Trial) -> Iterator[Check]:
    run = trial.specimens.samples.run.encode()
    for name, body in (
        ("malformed JSON, signed well", b'{"id": "certify-' + run + b'", "type": '),
        ("bytes that are no text, signed well", b"\xff\xfe\x00certify-" + run),
    ):
        yield KEPT.judge(_STEP, name, name, trial.post(Specimen(name, body)))


def _wrong_requests(trial: Trial) -> Iterator[Check]:
    yield _WRONG_METHOD.judge(_STEP, "wrong method", "GET", trial.wire.send(b"", [], method="GET"))
    body = trial.specimens.only_once().body
    elsewhere = _unknown_source(trial.wire.url)
    answer = trial.wire.send(body, trial.signed(body), url=elsewhere)
    yield _UNKNOWN_SOURCE.judge(_STEP, "unknown source", f"POST {urlsplit(elsewhere).path}", answer)
    limit = trial.source.max_body_bytes
    large = b" " * (limit + 1)
    answer = trial.wire.send(large, trial.signed(large))
    yield _TOO_LARGE.judge(_STEP, "body over the limit", f"{len(large):,} bytes; max_body_bytes is {limit:,}", answer)


def _compression(trial: Trial) -> Iterator[Check]:
    specimen = trial.specimens.fresh()
    packed = gzip.compress(specimen.body, mtime=0)
    proof = trial.signed(specimen.body if trial.source.signature_covers == "decompressed" else packed)
    answer = trial.wire.send(packed, [*proof, ("content-encoding", "gzip")])
    if answer.is_success and specimen.event_ids:
        trial.sent.note(specimen, is_acknowledged=True)
    yield GENUINE.judge(_STEP, "compressed body", "a genuine event, gzip", answer)
    body = trial.specimens.only_once().body
    answer = trial.wire.send(body, [*trial.signed(body), ("content-encoding", "certify")])
    yield _UNKNOWN_ENCODING.judge(_STEP, "unknown content encoding", "Content-Encoding: certify", answer)
    answer = trial.wire.send(body, [*trial.signed(body), ("content-encoding", "gzip")])
    yield _BROKEN_COMPRESSION.judge(_STEP, "broken compression", "Content-Encoding: gzip, and no gzip", answer)


def _hung_up(trial: Trial) -> Check:
    name, sent, expected = "connection lost in mid-body, then sent again", "half a request, then the whole", "2xx, once"
    specimen = trial.specimens.fresh()
    try:
        trial.wire.abort(specimen.body, trial.signed(specimen.body))
    except OSError as error:
        return failed(_STEP, name, sent, expected, f"no connection: {error}", "See that it still runs, and its log.")
    answer = trial.post(specimen)
    if answer.is_success:
        return passed(_STEP, name, sent, expected, answer.shown())
    return GENUINE.judge(_STEP, name, sent, answer)


def _other_address(trial: Trial) -> Check:
    name, networks = "address not on the allowlist", trial.source.allow_ips
    if not networks:
        return not_exercised(
            _STEP, name, "403", "the source has no `allow_ips`",
            "Any address may post, as configured; name the platform's networks in `allow_ips` if it publishes them.",
        )  # fmt: skip
    other = _address_outside(networks, urlsplit(trial.wire.url).hostname or "")
    if other is None:
        return not_exercised(
            _STEP, name, "403", "requests come from this machine's address only",
            "From a machine outside `allow_ips`, post anything to the address: it must be answered 403.",
        )  # fmt: skip
    specimen = trial.specimens.fresh()
    answer = trial.wire.send_from(other, specimen.body, trial.signed(specimen.body))
    if answer.is_success:
        trial.sent.note(specimen, is_acknowledged=True)
    return _NOT_ALLOWED.judge(_STEP, name, f"a genuine event from {other}", answer)


def _address_outside(networks: Collection[IPv4Network | IPv6Network], host: str) -> str | None:
    """Another address of this machine, outside *networks*; it has many, where the receiver is on it too."""
    try:
        if not ip_address(host).is_loopback or ip_address(host).version != 4:
            return None
    except ValueError:
        return None
    outside = (each for each in _LOOPBACK.hosts() if not any(each in network for network in networks))
    return next(map(str, outside), None)


def _unknown_source(url: str) -> str:
    parts = urlsplit(url)
    before, _, _ = parts.path.rstrip("/").rpartition("/")
    return urlunsplit(parts._replace(path=f"{before}/certify-unknown"))
