"""`hookmart certify` where a receiver is at its limit, or cannot keep anything: 429 and 503, each as it must be."""

import base64
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.foreign_receivers import ForeignReceiver, served
from tests.running_receiver import CONFIGURATION, EVENT_FILES, RunningReceiver, until
from tests.small_disk import OPTIONS, SmallDisk, mounted
from tests.test_certify import FOREIGN, certified, ended

UNABLE = "disk full, stage not writable, secret unreadable"
SMALL = (
    CONFIGURATION
    + """
max_body_bytes = 4096

[receiver]
in_flight_high_bytes = 65536
"""
)


def test_with_the_operators_leave_our_receiver_is_brought_to_its_limit(tmp_path: Path) -> None:
    """It turns a genuine event away with 429 and says when to come again, and then it takes it; unasked, it is left."""
    with RunningReceiver(tmp_path, SMALL) as receiver:
        asked = certified(tmp_path, receiver.url, "--no-arrival", "--volume", "5", "--exercise-limits", "--yes")
        plain = certified(tmp_path, receiver.url, "--no-arrival", "--volume", "5")
        assert receiver.figures().all("requests_total", "outcome")[("aborted",)] > 5
    exercised = ended(asked, "pass")
    assert "Retry-After: 1" in exercised["too much in flight"]["came"]
    assert "taken once there is room again" in exercised
    assert "say --exercise-limits" in ended(plain, "not exercised")["too much in flight"]["remedy"]
    assert "cannot be forced from outside" in ended(plain, "not exercised")[UNABLE]["came"]


def test_a_limit_that_is_not_reached_is_said(tmp_path: Path) -> None:
    """A receiver that holds everything may be right; nothing is claimed."""
    (tmp_path / "hookmart.toml").write_text(FOREIGN + "[receiver]\nin_flight_high_bytes = 65536\n")
    with served(ForeignReceiver()) as url:
        certificate = certified(tmp_path, url, "--volume", "0", "--exercise-limits", "--no-arrival")
    left = ended(certificate, "not exercised")["too much in flight"]
    assert "and it took all" in left["came"]


class FailsWhenBusy(ForeignReceiver):
    """Answers 500 as soon as several requests are under way, and 429 without a time where *is_polite*."""

    def __init__(self, *, is_polite: bool) -> None:
        super().__init__()
        self._under_way = 0
        self._status = 429 if is_polite else 500

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Count, and fail."""
        if scope["type"] == "http" and self._under_way > 12:
            await send({"type": "http.response.start", "status": self._status, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        self._under_way += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._under_way -= 1


@pytest.mark.parametrize(
    ("is_polite", "remedy"), [(False, "bound what is held at one time"), (True, "say how many seconds to wait")]
)
def test_failing_under_load_is_found(tmp_path: Path, *, is_polite: bool, remedy: str) -> None:
    """A 5xx costs the platform its attempts, and a 429 without a time as well."""
    (tmp_path / "hookmart.toml").write_text(FOREIGN + "[receiver]\nin_flight_high_bytes = 8388608\n")
    with served(FailsWhenBusy(is_polite=is_polite)) as url:
        certificate = certified(tmp_path, url, "--volume", "0", "--exercise-limits", "--no-arrival", exit_code=1)
    assert remedy in ended(certificate, "fail")["too much in flight"]["remedy"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mounted(tmp_path / "var", OPTIONS["of few bytes"]) as small:
        yield small


@pytest.mark.parametrize("is_full", [True, False], ids=["full", "read-only"])
def test_a_stage_that_was_made_to_fail_is_certified_for_it(tmp_path: Path, disk: SmallDisk, *, is_full: bool) -> None:
    """503 with Retry-After to what is genuine, understood or not; mended, without a restart, it passes everything."""
    with RunningReceiver(tmp_path) as receiver:
        before = certified(tmp_path, receiver.url, "--stage-fails", exit_code=1)
        if is_full:
            disk.fill()
            until(lambda: receiver.post(EVENT_FILES[3].read_bytes()).status_code == 503)
            disk.fill()
        else:
            until(lambda: disk.is_remounted("ro"))
        broken = certified(tmp_path, receiver.url, "--stage-fails")
        if is_full:
            disk.free()
            assert disk.is_remounted("size=16m")
        else:
            assert disk.is_remounted("rw,size=16m")
        mended = certified(tmp_path, receiver.url, "--no-arrival", "--volume", "5")
    assert "nothing is wrong with it after all" in ended(before, "fail")[f"{UNABLE}: a genuine event"]["remedy"]
    assert {check["came"].split()[0] for check in ended(broken, "pass").values()} == {"503"}
    assert len(ended(broken, "pass")) == 2
    assert ended(mended, "fail") == {}


def test_a_secret_that_cannot_be_read_is_the_receivers_fault(tmp_path: Path) -> None:
    """Its file is away when the receiver starts, and is there for us, elsewhere: 503 until it is back."""
    secret, ours = tmp_path / "secret", tmp_path / "elsewhere"
    ours.mkdir()
    source = FOREIGN.replace("env:ACME_SECRET", "file:secret")
    (ours / "secret").write_text("s" * 32)
    (ours / "hookmart.toml").write_text(source)
    with RunningReceiver(tmp_path, source) as receiver:
        broken = certified(ours, receiver.url, "--stage-fails")
        shutil.copy(ours / "secret", secret)
    assert len(ended(broken, "pass")) == 2


class Forgets(ForeignReceiver):
    """Acknowledges everything, whatever becomes of it; or blames the sender."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self._status = status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self._status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("status", "remedy"), [(200, "It acknowledges what it cannot keep"), (400, "would lose the event")]
)
def test_a_wrong_answer_to_a_failing_stage_is_found(tmp_path: Path, status: int, remedy: str) -> None:
    """2xx for what is lost, and 4xx for what is not the sender's fault."""
    (tmp_path / "hookmart.toml").write_text(FOREIGN)
    with served(Forgets(status)) as url:
        failed = ended(certified(tmp_path, url, "--stage-fails", exit_code=1), "fail")
    assert all(remedy in check["remedy"] for check in failed.values())
    assert len(failed) == 2


def test_a_key_pair_of_ones_own_certifies_a_source_of_public_keys(tmp_path: Path) -> None:
    """Signed by the private half, which the configuration never holds; every forgery is still refused."""
    seed = bytes(range(32))
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    (tmp_path / "private.key").write_text("whsk_" + base64.b64encode(seed).decode())
    told = "whpk_" + base64.b64encode(public).decode()
    source = CONFIGURATION.replace("hmac-sha256-hex", "standard-webhooks")
    with RunningReceiver(tmp_path, source, environ={"ACME_SECRET": told}) as receiver:
        options = ("--no-arrival", "--volume", "5", "--signing-key", "file:private.key")
        certificate = certified(tmp_path, receiver.url, *options, ACME_SECRET=told)
    assert ended(certificate, "fail") == {}
    assert {"wrong secret", "body changed after signing", "signed too long ago"} <= ended(certificate, "pass").keys()


def test_no_more_files_than_there_may_be_is_said(tmp_path: Path) -> None:
    """The machine of whoever certifies may have fewer connections than it takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    (tmp_path / "hookmart.toml").write_text(FOREIGN + "max_body_bytes = 1048576\n")
    with served(ForeignReceiver()) as url:
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, hard))
        try:
            certificate = certified(tmp_path, url, "--volume", "0", "--exercise-limits", "--no-arrival")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "no more than" in ended(certificate, "not exercised")["too much in flight"]["came"]
