"""The receiver within this process, for tests that choose the client's address or the time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from ingest.app import create_app
from ingest.settings import load_settings
from ingest.staging import Stage, StagedLine
from tests.running_receiver import SECRET, staged_lines


@dataclass(frozen=True, slots=True)
class Ask:
    """
    One request.

    Attributes:
        client: Address and port of the socket; None for a Unix socket's.
        url: Scheme and host are those that the request itself names.
    """

    body: bytes = b""
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = field(default_factory=dict)
    url: str = "http://receiver.test/webhooks/acme"
    client: tuple[str, int] | None = ("127.0.0.1", 4711)
    method: str = "POST"


def ask(
    directory: Path,
    configuration: str,
    asks: Sequence[Ask],
    *,
    environ: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> tuple[list[httpx.Response], list[StagedLine]]:
    """
    Return what a receiver answers, one request after another, and what stands in its stage once it has stopped.

    Args:
        configuration: What stands in `hookmart.toml`; the secret of `acme` is set.
        now: What its clock says all the while; by default the true time.
    """
    path = directory / "hookmart.toml"
    path.write_text(configuration, encoding="utf-8")
    environment = {"ACME_SECRET": SECRET, **(environ or {})}
    clock: Callable[[], datetime] = (lambda: now) if now is not None else (lambda: datetime.now(UTC))
    settings = load_settings(path, environment)
    app = create_app(settings, environment, now=clock)

    async def answers() -> list[httpx.Response]:
        async with _running(app):
            return [await _answer(app, each) for each in asks]

    return asyncio.run(answers()), staged_lines(Stage(settings.stage.directory).closed_segments())


async def _answer(app: ASGIApp, asked: Ask) -> httpx.Response:
    client: Any = asked.client
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app, client=client)) as sender:
        return await sender.request(asked.method, asked.url, content=asked.body, headers=asked.headers)


@asynccontextmanager
async def _running(app: ASGIApp) -> AsyncIterator[None]:
    told: asyncio.Queue[Any] = asyncio.Queue()
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def live() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, told.get, heard.put)

    lifespan = asyncio.create_task(live())
    await told.put({"type": "lifespan.startup"})
    assert (await heard.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await told.put({"type": "lifespan.shutdown"})
        await lifespan
