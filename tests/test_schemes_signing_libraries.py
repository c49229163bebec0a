"""What the platforms' own libraries sign, we accept; and of what is tampered with, they and we think the same."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import standardwebhooks
import stripe
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import Refused
from ingest.sources import PRESETS, Scheme, Secret
from ingest.verify import verify

STANDARD_TEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD = PRESETS["standard-webhooks"]
STRIPE_TEXT = "whsec_0123456789abcdef0123456789abcdef"

_BODIES = st.text(max_size=200)
_IDS = st.from_regex(r"\A[!-~]{1,40}\Z")
# What is changed, where in it, and by how much.
_CHANGES = st.tuples(
    st.sampled_from(["nothing", "id", "timestamp", "signature", "body"]), st.integers(0, 100), st.integers(1, 9)
)

Headers = dict[str, str]


def _is_accepted(scheme: Scheme, secret: Secret, headers: Headers, body: str, now: datetime) -> bool:
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    try:
        verify(scheme, body.encode(), sent, [secret], now)
    except Refused:
        return False
    return True


def _changed(text: str, place: int, step: int, alphabet: str) -> str:
    """*text* with one of its characters that are in *alphabet* replaced by another of them."""
    places = [each for each, character in enumerate(text) if character in alphabet]
    if not places:
        return text
    where = places[place % len(places)]
    other = alphabet[(alphabet.index(text[where]) + step) % len(alphabet)]
    return text[:where] + other + text[where + 1 :]


def _their_verdict(check: Callable[[], object], error: type[Exception]) -> bool:
    try:
        check()
    except error:
        return False
    return True


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
@given(body=_BODIES, event_id=_IDS, change=_CHANGES)
def test_standard_webhooks_and_svix_libraries_agree_with_us(
    prefix: str, body: str, event_id: str, change: tuple[str, int, int]
) -> None:
    """Whole, they and we accept it; with one letter of id, time, signature or body another, they and we do not."""
    now = datetime.now(UTC)
    standard, branded = standardwebhooks.Webhook(STANDARD_TEXT), svix.webhooks.Webhook(STANDARD_TEXT)
    signer = standard if prefix == "webhook" else branded
    headers = {
        f"{prefix}-id": event_id,
        f"{prefix}-timestamp": str(int(now.timestamp())),
        f"{prefix}-signature": signer.sign(event_id, now, body),
    }
    part, place, step = change
    if part == "body":
        body += "x" * step
    elif part == "signature":
        # The last digit before the padding has bits that mean nothing; there, we are the stricter ones.
        whole = headers[f"{prefix}-signature"]
        headers[f"{prefix}-signature"] = "v1," + _changed(whole[3:-2], place, step, "AbCd019+/Z") + whole[-2:]
    elif part != "nothing":
        name = f"{prefix}-{part}"
        headers[name] = _changed(headers[name], place, step, "0123456789")
    ours = _is_accepted(STANDARD, STANDARD.secret_of("env:X", STANDARD_TEXT), headers, body, now)
    theirs = _their_verdict(
        lambda: (
            standard.verify(body, headers, json_parse=False) if prefix == "webhook" else branded.verify(body, headers)
        ),
        standardwebhooks.WebhookVerificationError,
    )
    assert ours is theirs
    if part == "nothing":
        assert ours


@given(body=_BODIES, change=_CHANGES)
def test_stripes_library_agrees_with_us(body: str, change: tuple[str, int, int]) -> None:
    """The same with its own header, in which time and signature stand beside each other."""
    now = datetime.now(UTC)
    scheme = PRESETS["stripe"]
    header = stripe.WebhookSignature.generate_signature_header(body, STRIPE_TEXT, timestamp=int(now.timestamp()))
    time, signature = header.removeprefix("t=").split(",v1=")
    part, place, step = change
    if part == "body":
        body += "x" * step
    elif part == "signature":
        signature = _changed(signature, place, step, "0123456789abcdef")
    elif part == "timestamp":
        time = _changed(time, place, step, "0123456789")
    headers = {"stripe-signature": f"t={time},v1={signature}"}
    ours = _is_accepted(scheme, scheme.secret_of("env:X", STRIPE_TEXT), headers, body, now)
    theirs = _their_verdict(
        lambda: stripe.WebhookSignature.verify_header(body, headers["stripe-signature"], STRIPE_TEXT, tolerance=300),
        stripe.SignatureVerificationError,
    )
    assert ours is theirs
    if part in {"nothing", "id"}:
        assert ours


@given(parts=st.lists(st.sampled_from(["t", "late", "v1", "wrong", "v0", "empty", " "]), max_size=6), body=_BODIES)
def test_what_stripes_library_refuses_we_never_accept(parts: list[str], body: str) -> None:
    """However the header is put together, with us a stranger gets no further than with them."""
    now = datetime.now(UTC)
    good = stripe.WebhookSignature.generate_signature_header(body, STRIPE_TEXT, timestamp=int(now.timestamp()))
    time, signature = good.split(",")
    spelt = {"t": time, "late": "t=1", "v1": signature, "wrong": "v1=" + "0" * 64, "v0": "v0=00", "empty": "v1="}
    header = ",".join(spelt.get(part, part) for part in parts)
    scheme = PRESETS["stripe"]
    if _is_accepted(scheme, scheme.secret_of("env:X", STRIPE_TEXT), {"stripe-signature": header}, body, now):
        assert stripe.WebhookSignature.verify_header(body, header, STRIPE_TEXT, tolerance=300)
