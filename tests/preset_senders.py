"""A sender for each preset: signs as its platform does, put together from what the preset says and nothing of ours."""

import base64
import hashlib
import hmac
import time

from ingest.presets import PRESET_TABLES, UNSIGNED_TABLES
from ingest.sources import PRESETS, UNSIGNED, Scheme
from tests.running_receiver import SECRET

_TOKENS = {"basic": f"user:{SECRET}"}
ENVIRON = {"BASIC_SECRET": _TOKENS["basic"]}
"""What a receiver with `CONFIGURATION` needs in its environment."""

SCHEMES: dict[str, Scheme] = {**PRESETS, **UNSIGNED}
_WITH_ARRAYS = ("shopify", "paddle", "none")
_ONLY_LOCAL = 'allow_ips = ["127.0.0.1/32"]\n'


def _section(name: str) -> str:
    secret = "BASIC_SECRET" if name == "basic" else "ACME_SECRET"
    return (
        f'[sources.{name}]\nscheme = "{name}"\nsecrets = ["env:{secret}"]\n'
        "max_body_bytes = 20000\nmax_decompressed_bytes = 30000\n"
        + ("arrays = true\n" if name in _WITH_ARRAYS else "")
        + (_ONLY_LOCAL if name in UNSIGNED_TABLES else "")
    )


CONFIGURATION = "[stage]\nsegment_max_age_seconds = 0.2\n" + "".join(
    _section(name) for name in [*PRESET_TABLES, *UNSIGNED_TABLES]
)
"""A source of each preset's name, three of which take arrays; bodies of 20,000 bytes at most, 30,000 decompressed."""


def signed_headers(name: str, body: bytes, url: str) -> list[tuple[str, str]]:
    """The headers by which the sender of preset *name* proves a POST of *body* to *url*."""
    scheme = SCHEMES[name]
    if scheme.algorithm == "none":
        return []
    if scheme.algorithm == "token":
        token = _TOKENS.get(name, SECRET)
        sent = base64.b64encode(token.encode()).decode() if scheme.encoding == "base64" else token
        return [(scheme.header, scheme.prefix + sent)]
    now = str(int(time.time() * (1000 if scheme.timestamp_unit == "milliseconds" else 1)))
    message = scheme.signed.encode()
    for field, value in {"id": "msg_1", "timestamp": now, "method": "POST", "url": url}.items():
        message = message.replace(f"{{{field}}}".encode(), value.encode())
    # The body last, since it may hold what stands for another field.
    opening, _, closing = message.partition(b"{body}")
    key = base64.b64decode(SECRET) if scheme.key == "whsec" else SECRET.encode()
    digest = hmac.new(key, opening + body + closing, hashlib.sha256).digest()
    signature = scheme.prefix + (digest.hex() if scheme.encoding == "hex" else base64.b64encode(digest).decode())
    if scheme.timestamp_prefix is not None:
        signature = f"{scheme.timestamp_prefix}{now}{scheme.separator}{signature}"
    headers = [(scheme.header, signature)]
    headers += [(scheme.timestamp_header, now)] if scheme.timestamp_header is not None else []
    headers += [(scheme.id_header, "msg_1")] if scheme.id_header is not None else []
    return headers
