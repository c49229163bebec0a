"""The least that any Python behind this server can do with a webhook: the ceiling of the server itself."""

from starlette.types import Receive, Scope, Send

_BODY = b'{"status":"accepted"}'
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())],
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, whatever the path, and answer."""
    if scope["type"] != "http":
        raise NotImplementedError(f"{scope['type']} is not served.")
    while (await receive()).get("more_body", False):
        pass
    await send(_START)
    await send({"type": "http.response.body", "body": _BODY})
