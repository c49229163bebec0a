"""The certificate as a page: whole in one file, and safe to open whatever a receiver answered."""

from pathlib import Path

import pytest

from hookmart.certification.check import Certificate, Step, failed, not_exercised, passed
from hookmart.certification.page import certificate_page
from tests.browser import BROWSER, document_of

HOSTILE = '500 <script>document.title = "owned"</script> & "more"'


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with a check of each ending, one of which came back with markup."""
    checks = (
        passed(Step.EVENTS, "answers in time", "a click", "2xx", "200"),
        failed(Step.FAILURES, "malformed JSON", "half an object", "2xx", HOSTILE, "Keep the bytes & answer 200."),
        not_exercised(Step.FAILURES, "disk full", "503", "only from inside", "Fill it in staging."),
    )
    certificate = Certificate(
        "https://hooks.example", "acme", "1f2e", "2026-11-28T10:00:00Z", is_live=False, checks=checks
    )
    path = tmp_path / "certificate.html"
    path.write_text(certificate_page(certificate), encoding="utf-8")
    return path


def test_nothing_is_fetched_from_elsewhere(page: Path) -> None:
    """It can be sent by mail, and opened on a plane."""
    text = page.read_text()
    assert "src=" not in text
    assert "href=" not in text
    assert "url(" not in text


@pytest.mark.skipif(BROWSER is None, reason="needs a browser: apt-get install chromium")
def test_a_browser_shows_every_check_and_runs_nothing(page: Path, tmp_path: Path) -> None:
    """Each check with its ending and what to do; an answer that is markup is shown as text."""
    shown = document_of(page, tmp_path / "profile")
    for text in (
        "1 passed, 1 failed, 1 not exercised", "answers in time", "Keep the bytes &amp; answer 200.",
        "Fill it in staging.", "&lt;script&gt;document.title", "<title>Go-live certificate: acme</title>",
        "6. arrived once", "marked as test events",
    ):  # fmt: skip
        assert text in shown
    assert "<script" not in shown
    assert shown.index("What to do") < shown.index("1. real event types")
