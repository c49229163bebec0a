"""Compressed bodies, unpacked no further than a limit."""

import zlib

from ingest.errors import Refused

_MOST_MEMBERS = 100
"""Of a gzip stream; who flushes now and then makes a few. Each costs a copy of all that follows it."""

_IDENTITY = frozenset({b"", b"identity"})
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_WINDOWS: dict[bytes, tuple[int, ...]] = {
    b"gzip": (_GZIP,),
    b"x-gzip": (_GZIP,),
    # RFC 9110 means the zlib format; many send the bare stream.
    b"deflate": (_ZLIB, _RAW),
}


def content_encoding(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """
    How the body is compressed, None for not at all.

    Raises:
        Refused: In a way that is not read here, or in several at once.
    """
    applied: bytes | None = None
    for name, value in headers:
        if name == b"content-encoding" and (encoding := value.strip().lower()) not in _IDENTITY:
            if applied is not None or encoding not in _WINDOWS:
                raise Refused("unknown_content_encoding")
            applied = encoding
    return applied


def decompressed(body: bytes, encoding: bytes, most_bytes: int) -> bytes:
    """
    Unpack *body*, compressed by *encoding* as `content_encoding` named it.

    Raises:
        Refused: It is not compressed so, is cut short or followed by something else, has hundreds of members, or
            unpacks to over *most_bytes*.
    """
    for window in _WINDOWS[encoding]:
        try:
            return _unpacked(body, window, most_bytes)
        except zlib.error:
            continue
    raise Refused("broken_compression")


def _unpacked(body: bytes, window: int, most_bytes: int) -> bytes:
    members: list[bytes] = []
    room = most_bytes
    rest = body
    while rest or not members:
        if len(members) == _MOST_MEMBERS:
            raise Refused("broken_compression")
        stream = zlib.decompressobj(window)
        # One byte more than there is room for tells a body that fits from one that does not.
        member = stream.decompress(rest, room + 1)
        if len(member) > room:
            raise Refused("body_too_large")
        if not stream.eof:
            raise Refused("broken_compression")
        members.append(member)
        room -= len(member)
        rest = stream.unused_data
        if rest and window != _GZIP:  # only gzip may have several members
            raise Refused("broken_compression")
    return b"".join(members)
