"""Who may come in: addresses, proxies, tokens in the path, and schemes that sign nothing."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.door import Door, Source
from ingest.secrets import SourceSecrets
from ingest.setting_types import Network
from ingest.source_settings import SourceSettings
from tests.asgi_receiver import Ask, ask
from tests.running_receiver import CONFIGURATION, EVENT_FILES, SECRET, RunningReceiver, signature

EVENT = EVENT_FILES[2].read_bytes()
SIGNED = signature(EVENT)
TOKEN = "token-of-32-bytes-and-a-bit-more"
NOW = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
FENCED = CONFIGURATION + 'allow_ips = ["192.0.2.0/24", "2001:db8::/32"]\n'
BEHIND_PROXIES = FENCED + '[receiver]\ntrusted_proxies = ["10.0.0.0/8", "fd00::/8"]\n'


def from_address(address: str, forwarded: str | None = None) -> Ask:
    """A genuine request from *address*, which claims to speak for *forwarded*."""
    claim = [] if forwarded is None else [("X-Forwarded-For", each) for each in forwarded.split("|")]
    return Ask(EVENT, [*SIGNED.items(), *claim], client=(address, 4711))


@pytest.mark.parametrize(
    ("client", "status_code"),
    [
        ("192.0.2.7", 200),
        ("::ffff:192.0.2.7", 200),
        ("2001:db8::1", 200),
        ("2001:db8:ffff::1", 200),
        ("198.51.100.1", 403),
        ("::ffff:198.51.100.1", 403),
        ("::192.0.2.7", 403),
        ("2001:db9::1", 403),
        ("::1", 403),
        ("not an address", 403),
        ("", 403),
    ],
)
def test_an_allowlist_knows_its_networks_in_both_families(tmp_path: Path, client: str, status_code: int) -> None:
    """An address on the list goes on to its signature; any other is turned away."""
    [answer], [line] = ask(tmp_path, FENCED, [from_address(client)])
    assert (answer.status_code, line.status_code) == (status_code, status_code)
    assert line.reason == (None if status_code == 200 else "address_not_allowed")


def test_a_client_without_an_address_may_post_only_where_anyone_may(tmp_path: Path) -> None:
    """A Unix socket has none: a list of networks keeps it out, and no list lets it in."""
    asked = [Ask(EVENT, SIGNED, client=None)]
    assert ask(tmp_path, FENCED, asked)[0][0].status_code == 403
    assert ask(tmp_path, CONFIGURATION, asked)[0][0].status_code == 200


@pytest.mark.parametrize(
    "forwarded", ["192.0.2.7", "192.0.2.7, 198.51.100.1", "198.51.100.1, 192.0.2.7", "127.0.0.1", "10.0.0.1"]
)
@pytest.mark.parametrize("client", ["198.51.100.1", "127.0.0.1", "::1", "11.0.0.1"])
def test_a_claim_to_speak_for_another_is_not_believed_of_a_stranger(
    tmp_path: Path, client: str, forwarded: str
) -> None:
    """Whoever is no trusted proxy counts as himself, this machine included."""
    for configuration in (FENCED, BEHIND_PROXIES):
        [answer], _ = ask(tmp_path, configuration, [from_address(client, forwarded)])
        assert answer.status_code == 403
    [answer], _ = ask(tmp_path, BEHIND_PROXIES, [from_address("192.0.2.7", client)])
    assert answer.status_code == 200, "nor is it held against him"


@pytest.mark.parametrize("client", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"])
@pytest.mark.parametrize(
    ("forwarded", "status_code"),
    [
        ("192.0.2.7", 200),
        ("192.0.2.7:4711", 200),
        ("::ffff:192.0.2.7", 200),
        ("2001:db8::1", 200),
        ("[2001:db8::1]", 200),
        ("[2001:db8::1]:4711", 200),
        (" 192.0.2.7 ", 200),
        ("192.0.2.7, 10.9.9.9", 200),
        ("192.0.2.7,fd00::2, 10.9.9.9", 200),
        ("192.0.2.7|10.9.9.9", 200),
        ("198.51.100.1, 192.0.2.7", 200),
        ("garbage, 192.0.2.7", 200),
        ("192.0.2.7, 198.51.100.1", 403),
        ("192.0.2.7|198.51.100.1", 403),
        ("192.0.2.7, 198.51.100.1, 10.9.9.9", 403),
        ("192.0.2.7, garbage", 403),
        ("192.0.2.7, unknown, 10.9.9.9", 403),
        ("192.0.2.7.", 403),
        ("192.0.2.7/32", 403),
        ("[192.0.2.7", 403),
        ("10.9.9.9", 403),
        (",", 403),
        (None, 403),
    ],
)
def test_behind_trusted_proxies_it_is_the_address_that_the_last_of_them_saw(
    tmp_path: Path, client: str, forwarded: str | None, status_code: int
) -> None:
    """The rightmost that is no proxy of ours; what stands left of it anyone could have written."""
    [answer], _ = ask(tmp_path, BEHIND_PROXIES, [from_address(client, forwarded)])
    assert answer.status_code == status_code


def door_with(*networks: Network) -> tuple[Door, Source]:
    """A door behind trusted proxies of 10.0.0.0/8, and its source that only *networks* may post to."""
    settings = SourceSettings.model_validate(
        {"scheme": "hmac-sha256-hex", "secrets": ["env:X"], "allow_ips": [str(network) for network in networks]}
    )
    source = Source("acme", settings, SourceSecrets(()))
    trusted = SourceSettings.model_validate(
        {"scheme": "hmac-sha256-hex", "secrets": ["env:X"], "allow_ips": ["10.0.0.0/8"]}
    )
    return Door(lambda: {"acme": source}, trusted_proxies=trusted.allow_ips), source


@given(before=st.text(max_size=30), proxies=st.lists(st.integers(0, 255), max_size=3))
@settings(deadline=None)
def test_nothing_that_a_client_writes_moves_the_address_its_proxy_adds(before: str, proxies: list[int]) -> None:
    """Whatever stands before it in the header, what the outermost trusted proxy wrote is believed."""
    door, _ = door_with()
    line = ", ".join([before, "203.0.113.9", *(f"10.0.0.{number}" for number in proxies)])
    scope = {"headers": [(b"x-forwarded-for", line.encode("latin-1", "replace"))], "client": ("10.1.1.1", 1)}
    assert str(door.client_of(scope)) == "203.0.113.9"


@given(header=st.binary(max_size=60), client=st.text(max_size=20))
@settings(deadline=None)
def test_no_header_and_no_address_stops_the_door(header: bytes, client: str) -> None:
    """Garbage is an address of nobody, never an error."""
    door, source = door_with(*SourceSettings.model_validate(
        {"scheme": "hmac-sha256-hex", "secrets": ["env:X"], "allow_ips": ["192.0.2.0/24"]}
    ).allow_ips)  # fmt: skip
    for address in ("10.1.1.1", client):
        found = door.client_of({"headers": [(b"x-forwarded-for", header)], "client": (address, 1)})
        assert source.allows(found) == (found is not None and str(found).startswith("192.0.2."))


TOKENED = """
[sources.bare]
scheme = "none"
path_token = "env:ACME_TOKEN"

[sources.fenced]
scheme = "none"
allow_ips = ["192.0.2.0/24"]

[sources.basic]
scheme = "basic"
secrets = ["env:BASIC"]
path_token = "env:ACME_TOKEN"

[sources.bearer]
scheme = "bearer"
secrets = ["env:ACME_SECRET"]
allow_ips = ["192.0.2.0/24"]
"""
CREDENTIALS = {"ACME_TOKEN": TOKEN, "BASIC": f"acme:{SECRET}"}


def to(path: str, authorization: str | None = None, client: str = "192.0.2.7") -> Ask:
    """A request to *path*."""
    headers = {} if authorization is None else {"Authorization": authorization}
    return Ask(EVENT, headers, url=f"http://receiver.test/webhooks/{path}", client=(client, 1))


def in_base64(text: str) -> str:
    """As HTTP Basic authentication writes it."""
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("asked", "status_code"),
    [
        (to(f"bare/{TOKEN}"), 200),
        (to(f"bare/{TOKEN}?a=b"), 200),
        (to(f"bare/%{ord(TOKEN[0]):02x}{TOKEN[1:]}"), 200),
        (to("bare"), 404),
        (to("bare/"), 404),
        (to(f"bare/{TOKEN}/"), 404),
        (to(f"bare/{TOKEN[:-1]}"), 404),
        (to(f"bare/{TOKEN}x"), 404),
        (to(f"bare/{TOKEN.upper()}"), 404),
        (to(f"bare//{TOKEN}"), 404),
        (to(f"bare?{TOKEN}"), 404),
        (to("bare/%F0%9F%A6%A9"), 404),
        (to("fenced"), 200),
        (to(f"fenced/{TOKEN}"), 404),
        (to("fenced", client="198.51.100.1"), 403),
        (to("bearer", f"Bearer {SECRET}"), 200),
        (to("bearer", f"bearer   {SECRET}"), 200),
        (to("bearer", f"Bearer {SECRET}x"), 401),
        (to("bearer", SECRET), 401),
        (to("bearer"), 401),
        (to("bearer", f"Bearer {SECRET}", client="198.51.100.1"), 403),
        (to(f"basic/{TOKEN}", f"Basic {in_base64(f'acme:{SECRET}')}"), 200),
        (to(f"basic/{TOKEN}", f"Basic {in_base64(f'acme:{SECRET}x')}"), 401),
        (to(f"basic/{TOKEN}", f"Basic {in_base64(f'other:{SECRET}')}"), 401),
        (to(f"basic/{TOKEN}", "Basic %%%"), 401),
        (to(f"basic/{TOKEN}"), 401),
        (to("basic", f"Basic {in_base64(f'acme:{SECRET}')}"), 404),
    ],
    ids=lambda value: value.url.removeprefix("http://receiver.test/webhooks/") if isinstance(value, Ask) else value,
)
def test_who_signs_nothing_passes_another_fence(tmp_path: Path, asked: Ask, status_code: int) -> None:
    """A token in the path, a network, a credential: each is needed where it is configured, and to the letter."""
    [answer], [line] = ask(tmp_path, TOKENED, [asked], environ=CREDENTIALS)
    assert (answer.status_code, line.status_code) == (status_code, status_code)
    for path in tmp_path.rglob("var/**/*"):
        if path.is_file():
            written = path.read_text()
            assert TOKEN not in written
            assert SECRET not in written


HUBSPOT = """
[sources.hub]
scheme = "hubspot-v3"
secrets = ["env:ACME_SECRET"]
"""
TIME = str(int(NOW.timestamp() * 1000))


def signed_for(url: str, client: str = "198.51.100.1", at: str = "http://inside:8000", **headers: str) -> Ask:
    """A request to the path of *url* on the machine *at*, signed for *url*."""
    digest = hmac.digest(SECRET.encode(), b"POST" + url.encode() + EVENT + TIME.encode(), hashlib.sha256)
    signed = {
        "X-HubSpot-Signature-v3": base64.b64encode(digest).decode(),
        "X-HubSpot-Request-Timestamp": TIME,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    path = "/" + url.split("/", 3)[3]
    return Ask(EVENT, signed, url=at + path, client=(client, 1))


FORWARDED = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "hooks.example.com"}
PUBLIC = "https://hooks.example.com/webhooks/hub"


@pytest.mark.parametrize(
    ("receiver", "asked", "status_code"),
    [
        ("", signed_for("http://inside:8000/webhooks/hub"), 200),
        ("", signed_for("http://inside:8000/webhooks/hub?portal=1&x=%20"), 200),
        ("", signed_for(PUBLIC), 401),
        ("", signed_for(PUBLIC, **FORWARDED), 401),
        ('public_url = "https://hooks.example.com"', signed_for(PUBLIC), 200),
        ('public_url = "https://hooks.example.com"', signed_for(PUBLIC + "?portal=1"), 200),
        ('public_url = "https://hooks.example.com"', signed_for("http://inside:8000/webhooks/hub"), 401),
        ('public_url = "https://other.example.com"', signed_for(PUBLIC, **FORWARDED), 401),
        ('trusted_proxies = ["198.51.100.1"]', signed_for(PUBLIC, **FORWARDED), 200),
        ('trusted_proxies = ["198.51.100.1"]', signed_for(PUBLIC, client="198.51.100.2", **FORWARDED), 401),
        ('trusted_proxies = ["198.51.100.1"]', signed_for("http://inside:8000/webhooks/hub"), 200),
        (
            'trusted_proxies = ["198.51.100.1"]',
            signed_for(PUBLIC, at="http://hooks.example.com", X_Forwarded_Proto="https"),
            200,
        ),
    ],
)
def test_a_signature_over_the_url_is_over_the_one_its_sender_called(
    tmp_path: Path, receiver: str, asked: Ask, status_code: int
) -> None:
    """The public URL as configured, else as a trusted proxy tells it, else as the request says; never a stranger's."""
    [answer], _ = ask(tmp_path, f"[receiver]\n{receiver}\n{HUBSPOT}", [asked], now=NOW)
    assert answer.status_code == status_code


def test_over_real_connections_too(tmp_path: Path) -> None:
    """From 127.0.0.1 with a claim: turned away, unless that is a proxy we trust."""
    claim = {**SIGNED, "X-Forwarded-For": "192.0.2.7"}
    with RunningReceiver(tmp_path, FENCED) as receiver:
        assert receiver.post(EVENT, claim).status_code == 403
    with RunningReceiver(tmp_path, FENCED + '[receiver]\ntrusted_proxies = ["127.0.0.0/8"]\n') as receiver:
        assert receiver.post(EVENT, claim).status_code == 200
        assert receiver.post(EVENT, {**claim, "X-Forwarded-For": "192.0.2.7, 198.51.100.1"}).status_code == 403
        assert receiver.post(EVENT).status_code == 403
