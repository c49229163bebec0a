"""A real browser without a screen: what it makes of a page."""

import shutil
import subprocess
from pathlib import Path

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
"""None where there is none; `apt-get install chromium`."""


def document_of(page: Path, profile: Path, fragment: str = "") -> str:
    """The document that the browser makes of *page*, at *fragment*, with *profile* as its own directory."""
    assert BROWSER is not None
    return subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom", f"{page.as_uri()}{fragment}",
        ],
        capture_output=True, text=True, check=True, timeout=240,
    ).stdout  # fmt: skip
