"""Running the receiver: one process, or several on one socket and one stage."""

import os
import signal
import ssl
from pathlib import Path
from socket import socket
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

from ingest.app import CONFIG_VARIABLE
from ingest.secrets import resolve_privacy_key, resolve_secrets
from ingest.settings import load_settings

_DRAIN_SECONDS = 30


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
    resolve_secrets(settings, os.environ)
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
        lifespan="on",
        log_level=log_level,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    bound = listener or server.bind_socket()
    if workers > 1:
        Multiprocess(server, sockets=[bound]).run()
        return
    # uvicorn raises the signal again once it has drained; a drained receiver has done what it was asked.
    signal.signal(signal.SIGTERM, _exit_done)
    try:
        uvicorn.Server(server).run(sockets=[bound])
    except KeyboardInterrupt:
        return


def _exit_done(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
