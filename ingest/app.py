"""The receiver as an application: the webhook endpoint in front, FastAPI behind it for everything else."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from logging import getLogger
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest.door import PATH_PREFIX, Door, Source, sources_of
from ingest.group_commit import StageWriter
from ingest.in_flight import InFlight
from ingest.metrics import ReceiverMetrics
from ingest.receiver import Keeping, Receiver
from ingest.refusal_log import RefusalLog
from ingest.refused import RefusedStore
from ingest.reloading import Reloading
from ingest.secrets import resolve_privacy_key, resolve_source_secrets
from ingest.segment_file import probe
from ingest.settings import Settings, load_settings
from ingest.staging import Stage

CONFIG_VARIABLE = "HOOKMART_CONFIG"
DEFAULT_CONFIG = "hookmart.toml"

_COLLECT_AFTER = 10_000
"""Objects more than were freed; a batch of requests alone makes the default of 700."""

_logger = getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings, environ: Mapping[str, str], *, now: Callable[[], datetime] = _utc_now) -> ASGIApp:
    """
    The receiver for *settings*, to be run by an ASGI server with lifespan support.

    It starts without its stage too, and answers 503 until the disk is back.

    Args:
        settings: As loaded. The sources in it, and their secrets, are read from its file again on SIGHUP.
        environ: Where secrets are, beside `.env` and files.
        now: The clock, timezone-aware.

    Raises:
        SettingsError: A secret is missing or weak.
    """
    stage, receiving = settings.stage, settings.receiver
    metrics = ReceiverMetrics((), Stage(stage.directory))

    def read_sources() -> dict[str, Source]:
        read = load_settings(settings.path, environ)
        sources = sources_of(read, resolve_source_secrets(read, environ))
        metrics.know(sources)
        return sources

    door = Door(
        read_sources,
        trusted_proxies=receiving.trusted_proxies,
        public_url=receiving.public_url,
    )
    writer = StageWriter(
        stage.directory, segment_max_bytes=stage.segment_max_bytes, segment_max_age=stage.segment_max_age_seconds
    )
    privacy_key = resolve_privacy_key(settings, environ)
    refusals = RefusalLog(writer)
    refused = RefusedStore(
        stage.refused,
        max_bytes=stage.refused_max_bytes,
        max_count=stage.refused_max_count,
        max_age_days=stage.refused_max_age_days,
        privacy_key=privacy_key,
    )
    keeping = Keeping(
        stage=writer,
        refusals=refusals,
        refused=refused,
        privacy_key=privacy_key,
    )
    in_flight = InFlight(receiving.in_flight_high_bytes, receiving.in_flight_low_bytes)
    metrics.watch(
        in_flight_bytes=lambda: in_flight.bytes,
        refused_bodies_dropped=lambda: refused.dropped,
        refusals_unrecorded=lambda: refusals.unrecorded,
    )
    receiver = Receiver(door, keeping, metrics, in_flight, now, body_seconds=receiving.body_seconds)
    return _InFront(receiver, _behind(keeping, Reloading(door), metrics))


def app_from_environment() -> ASGIApp:
    """The receiver for the configuration that `HOOKMART_CONFIG` names: what every worker process calls."""
    settings = load_settings(Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG), os.environ)
    app = create_app(settings, os.environ)
    # What is there by now stays for good: without it, a full collection no longer holds up an answer.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    return app


class _InFront:
    # A route of FastAPI's would cost a delivery more than its durability does.
    def __init__(self, receiver: Receiver, behind: FastAPI) -> None:
        self.receiver = receiver
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PATH_PREFIX):
            await self.receiver(scope, receive, send)
        else:
            await self._behind(scope, receive, send)


def _behind(keeping: Keeping, reloading: Reloading, metrics: ReceiverMetrics) -> FastAPI:
    writer = keeping.stage

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(_recover, writer.root)
        await writer.start()
        if keeping.refused is not None:
            await keeping.refused.start()
        reloading.start()
        following = asyncio.create_task(metrics.follow())
        yield
        following.cancel()
        reloading.stop()
        if keeping.refused is not None:
            await keeping.refused.stop()
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

    @app.get("/metrics")
    async def show_metrics(request: Request) -> Response:
        """For Prometheus: the counts of this process or, of several workers, of all."""
        content, content_type = await asyncio.to_thread(metrics.render, request.headers.get("accept", ""))
        return Response(content, headers={"content-type": content_type})

    return app


def _recover(root: Path) -> None:
    try:
        recovered = Stage(root).recover()
    except OSError as error:
        _logger.error(  # noqa: TRY400  # the cause is the whole story
            "The stage %s cannot be read (%s); repair it. Deliveries get 503 until then.", root, error
        )
    else:
        _logger.info("Recovered %d segments left by receivers that died.", len(recovered))
