"""Running the receiver: one process, or several on one socket and one stage."""

import os
import signal
import ssl
from logging import getLogger
from pathlib import Path
from socket import socket
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import LOGGING_CONFIG
from uvicorn.supervisors import Multiprocess

from ingest.app import CONFIG_VARIABLE
from ingest.fast_lane import FastLaneProtocol
from ingest.secrets import resolve_privacy_key, resolve_source_secrets
from ingest.settings import load_settings
from ingest.warnings import warnings_of
from ingest.worker_metrics import shared_between_workers

_DRAIN_SECONDS = 30

_logger = getLogger(__name__)


def serve(
    config: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    ssl_certfile: Path | None = None,
    ssl_keyfile: Path | None = None,
    listener: socket | None = None,
    log_level: str = "info",
) -> None:
    """
    Serve until SIGTERM or SIGINT; then answer what has been asked, close the segment, and return or exit with 0.

    Args:
        config: The configuration file; the workers read it again.
        port: 0 takes a free one, which the log names.
        workers: Processes.
        ssl_certfile: With its key: TLS 1.2 or later, without a proxy in front.
        listener: A bound socket to use in place of *host* and *port*.
        log_level: Of the server's own lines.

    Raises:
        SettingsError: The configuration or a secret cannot be used; nothing was started.
    """
    settings = load_settings(config, os.environ)
    resolve_source_secrets(settings, os.environ)
    resolve_privacy_key(settings, os.environ)
    os.environ[CONFIG_VARIABLE] = str(config.absolute())
    server = uvicorn.Config(
        "ingest.app:app_from_environment",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
        http=FastLaneProtocol,
        lifespan="on",
        proxy_headers=False,
        log_config=_log_config(log_level),
        log_level=log_level,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    for warning in warnings_of(settings):
        _logger.warning(warning)
    bound = listener or server.bind_socket()
    if workers > 1:
        with shared_between_workers():
            Multiprocess(server, sockets=[bound]).run()
        return
    # uvicorn raises the signal again once it has drained; a drained receiver has done what it was asked.
    signal.signal(signal.SIGTERM, _exit_done)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the receiver listens for it
    try:
        uvicorn.Server(server).run(sockets=[bound])
    except KeyboardInterrupt:
        return


def _log_config(level: str) -> dict[str, Any]:
    """The server's own, with our lines among its."""
    ours = {"handlers": ["default"], "level": level.upper(), "propagate": False}
    return {**LOGGING_CONFIG, "loggers": {**LOGGING_CONFIG["loggers"], __package__: ours}}


def _exit_done(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
