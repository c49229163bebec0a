"""
Offers to speak another protocol, which are declined: the request is served as it is.

Java's HTTP client adds `Upgrade: h2c` to every request it sends without TLS. The parser takes all that follows such a
head for the other protocol's, and so a genuine event would arrive without its body, be refused and never come again.
"""

from contextlib import suppress

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OF_THE_OFFER = frozenset({b"upgrade", b"http2-settings"})
_INVALID = "Invalid HTTP request received."


class PlainHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol for an application that speaks nothing else, WebSockets included."""

    def data_received(self, data: bytes) -> None:
        """Read on; a head that offers an upgrade is read once more, without the offer."""
        self._unset_keepalive_if_required()
        try:
            self._feed(memoryview(data))
        except HttpParserError:
            self.logger.warning(_INVALID)
            self.send_400_response(_INVALID)

    def _feed(self, data: memoryview) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
            else:
                return
            if not self._should_upgrade():  # CONNECT: what follows is for somebody else
                return
            head = self._head_without_the_offer()
            # The old one may think that this was the last request of the connection.
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
            with suppress(HttpParserUpgrade):
                self.parser.feed_data(head)

    def _should_upgrade(self) -> bool:
        # While this holds, uvicorn makes no request of a head.
        return any(name == b"upgrade" for name, _ in self.headers)

    def _head_without_the_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token for token in value.split(b",") if token.strip().lower() not in _OF_THE_OFFER]
                lines += [b"connection: " + b",".join(tokens)] if tokens else []
            elif name not in _OF_THE_OFFER:
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])
