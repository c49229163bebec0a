"""The receiver as an application: the webhook endpoint in front, FastAPI behind it for everything else."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from logging import getLogger
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest.group_commit import StageWriter
from ingest.receiver import PATH_PREFIX, Receiver, Source
from ingest.secrets import resolve_privacy_key, resolve_secrets
from ingest.segment_file import probe
from ingest.settings import Settings, load_settings
from ingest.sources import Secret
from ingest.staging import Stage

CONFIG_VARIABLE = "HOOKMART_CONFIG"
DEFAULT_CONFIG = "hookmart.toml"

_logger = getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    secrets: Mapping[str, Sequence[Secret]],
    *,
    privacy_key: bytes | None = None,
    now: Callable[[], datetime] = _utc_now,
) -> ASGIApp:
    """
    The receiver for *settings*, to be run by an ASGI server with lifespan support.

    It starts without its stage too, and answers 503 until the disk is back.

    Args:
        settings: As loaded.
        secrets: Of each source, newest first, as `resolve_secrets` gives them.
        privacy_key: Of the hashes that take the place of personal data; None drops it.
        now: The clock, timezone-aware.
    """
    stage = settings.stage
    writer = StageWriter(
        stage.directory, segment_max_bytes=stage.segment_max_bytes, segment_max_age=stage.segment_max_age_seconds
    )
    sources = {name: Source(name, source, tuple(secrets[name])) for name, source in settings.sources.items()}
    return _InFront(Receiver(sources, writer, now, privacy_key=privacy_key), _behind(writer))


def app_from_environment() -> ASGIApp:
    """The receiver for the configuration that `HOOKMART_CONFIG` names: what every worker process calls."""
    settings = load_settings(Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG), os.environ)
    secrets = resolve_secrets(settings, os.environ)
    return create_app(settings, secrets, privacy_key=resolve_privacy_key(settings, os.environ))


class _InFront:
    # A route of FastAPI's would cost a delivery more than its durability does.
    def __init__(self, receiver: Receiver, behind: FastAPI) -> None:
        self._receiver = receiver
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PATH_PREFIX):
            await self._receiver(scope, receive, send)
        else:
            await self._behind(scope, receive, send)


def _behind(writer: StageWriter) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            recovered = await asyncio.to_thread(Stage(writer.root).recover)
        except OSError as error:
            _logger.error(  # noqa: TRY400  # the cause is the whole story
                "The stage %s cannot be read (%s); repair it. Deliveries get 503 until then.", writer.root, error
            )
        else:
            _logger.info("Recovered %d segments left by receivers that died.", len(recovered))
        await writer.start()
        yield
        await writer.stop()

    app = FastAPI(title="hookmart", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        """Alive: the process answers."""
        return JSONResponse({"status": "alive"})

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """Able to stage: a probe has just been written, synced and removed where deliveries go."""
        try:
            await asyncio.to_thread(probe, writer.root)
        except OSError as error:
            _logger.warning("Not ready: %s", error)
            return JSONResponse({"status": "unavailable"}, status_code=503, headers={"retry-after": "5"})
        return JSONResponse({"status": "ready"})

    return app
