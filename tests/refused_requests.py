"""Refused requests for tests: as they come, as they are kept, and what stands on the disk."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.delivery import rfc3339
from ingest.refused_directory import RefusedDirectory
from ingest.refused_request import RefusedRequest, UnverifiedRequest
from ingest.sources import PRESETS, Scheme
from ingest.staging import CLOSED
from ingest.uuid7 import new_uuid7

NOW = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
HEX = PRESETS["hmac-sha256-hex"]


def unverified(
    number: int, body: bytes = b"{}", headers: list[tuple[bytes, bytes]] | None = None, scheme: Scheme = HEX
) -> UnverifiedRequest:
    """A request that no secret verified, told from others by its *number*."""
    return UnverifiedRequest(
        delivery_id=f"refused-{number}", source_id="acme", scheme=scheme, max_decompressed_bytes=1 << 20,
        received_at=NOW + timedelta(seconds=number), reason="bad_signature", headers=headers or [], body=body,
    )  # fmt: skip


def refused(number: int, body: bytes = b"{}", *, is_redacted: bool = False, source: str = "acme") -> RefusedRequest:
    """One that is kept, told from others by its *number*."""
    return RefusedRequest(
        delivery_id=f"refused-{number}", source_id=source, received_at=rfc3339(NOW + timedelta(seconds=number)),
        reason="bad_signature", method="POST", url=None, headers=[], body_base64=base64.b64encode(body).decode(),
        is_redacted=is_redacted, body_bytes=len(body),
    )  # fmt: skip


def closed_segment(root: Path, requests: list[RefusedRequest], made_at: datetime | None = None) -> Path:
    """A segment that holds *requests*, as a receiver leaves it; made now, or when the clock said *made_at*."""
    root.mkdir(parents=True, exist_ok=True)
    identity = new_uuid7()
    name = identity.hex
    if made_at is not None:
        name = f"{int(made_at.timestamp() * 1000):012x}{name[12:]}"
    path = root / f"{name}-1{CLOSED}"
    path.write_bytes(b"".join(request.encode() for request in requests))
    return path


def kept_numbers(root: Path) -> list[int]:
    """The numbers of the requests that stand in *root*, oldest segment first."""
    return [int(request.delivery_id.partition("-")[2]) for request in RefusedDirectory(root).requests()]


def bytes_on_disk(root: Path) -> int:
    """What the segments take."""
    return sum(path.stat().st_size for path in root.glob(f"*{CLOSED}"))
