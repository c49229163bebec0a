"""What becomes of a whole request: proven genuine, unpacked, read; the same at the door and when it is judged again."""

from datetime import datetime

from ingest.compression import content_encoding, decompressed
from ingest.delivery import Delivery, staged_lines
from ingest.door import Source
from ingest.platform_delivery import platform_line
from ingest.staging import StagedLine
from ingest.verify import verify


def judged(
    source: Source,
    delivery: Delivery,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    received_at: datetime,
    *,
    method: str = "POST",
    url: str = "",
    privacy_key: bytes | None = None,
) -> list[StagedLine]:
    """
    Return the lines that stand for a request in the stage.

    Args:
        headers: As ASGI gives them.
        body: As sent.
        received_at: Timezone-aware; the age of a signature is reckoned from it.
        url: As its sender wrote it; needed where the scheme's signature covers it.
        privacy_key: Of the hashes that take the place of personal data; None drops it.

    Raises:
        Refused: It is not proven genuine, or cannot be unpacked.
    """
    encoding = content_encoding(headers)
    if encoding is not None and source.signs_decompressed:
        body, encoding = decompressed(body, encoding, source.max_decompressed_bytes), None
    verified = verify(source.scheme, body, headers, source.secrets, received_at, method=method, url=url)
    if encoding is not None:
        body = decompressed(body, encoding, source.max_decompressed_bytes)
    if source.mapping is not None:
        return [platform_line(delivery, received_at, verified.secret_name, body, source.mapping, privacy_key)]
    return staged_lines(
        delivery, received_at, verified.secret_name, body, may_be_array=source.may_send_arrays, privacy_key=privacy_key
    )
