"""A customer out of the refused requests: what held the id is kept without it, and can never be verified again."""

import base64
from dataclasses import replace

from ingest.compression import content_encoding, decompressed
from ingest.errors import Refused
from ingest.refused_directory import RefusedDirectory, whole_lines
from ingest.refused_request import RefusedRequest
from ingest.tombstones import Tombstones

_LARGEST = 64 * 1024 * 1024
"""Bytes to which a compressed body is unpacked, to look into it."""


def clean_refused(directory: RefusedDirectory, tombstones: Tombstones) -> int:
    """
    Rewrite the closed segments of *directory* that hold one who was erased; return how many requests did.

    Raises:
        OSError: The disk's.
    """
    if not directory.root.exists():
        return 0
    changed = 0
    with directory.changing():
        for segment in directory.stage.closed_segments():
            lines = list(whole_lines(segment))
            cleaned = [_cleaned(line, tombstones) for line in lines]
            if cleaned != lines:
                directory.rewrite(segment, cleaned)
                changed += sum(before != after for before, after in zip(lines, cleaned, strict=True))
    return changed


def _cleaned(line: bytes, tombstones: Tombstones) -> bytes:
    try:
        request = RefusedRequest.decode(line)
    except ValueError:
        return line
    body = _body(request, tombstones)
    url = None if request.url is None else tombstones.cleaned(request.source_id, request.url)
    if (body, url) == (request.body, request.url):
        return line
    headers = [each for each in request.headers if body == request.body or each[0] != "content-encoding"]
    body_base64 = base64.b64encode(body).decode()
    return replace(request, body_base64=body_base64, url=url, headers=headers, is_redacted=True).encode()


def _body(request: RefusedRequest, tombstones: Tombstones) -> bytes:
    try:
        encoding = content_encoding(request.raw_headers)
        plain = request.body if encoding is None else decompressed(request.body, encoding, _LARGEST)
    except Refused:  # a compression that is broken, or unknown
        plain = request.body
    cleaned = tombstones.cleaned_bytes(request.source_id, plain)
    return request.body if cleaned == plain else cleaned
