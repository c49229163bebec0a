"""Sources and secrets that change while the receiver runs, over real HTTP and by real signals."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from tests.running_receiver import CONFIGURATION, EVENT_FILES, SECRET, RunningReceiver, signature, until

EVENT = orjson.loads(EVENT_FILES[2].read_bytes())
BODY = orjson.dumps(EVENT)
OLD, NEW, TOKEN = "o" * 32, "n" * 32, "t" * 32
BROKEN = {
    "no TOML": "[sources.acme\n",
    "no such setting": CONFIGURATION + "allow_ip = []\n",
    "a secret that is not set": CONFIGURATION.replace("ACME_SECRET", "NOT_SET"),
    "a secret that is too short": CONFIGURATION.replace("env:ACME_SECRET", "file:short"),
    "a secret in the file": CONFIGURATION.replace("env:ACME_SECRET", SECRET),
}


def with_secrets(*references: str) -> str:
    """The configuration of `acme` with these."""
    return CONFIGURATION.replace('"env:ACME_SECRET"', ", ".join(f'"{reference}"' for reference in references))


def answered(receiver: RunningReceiver, secret: str, path: str = "acme") -> int:
    """The status of a request that *secret* signed."""
    return receiver.post(BODY, signature(BODY, secret), source=path).status_code


class Sender:
    """
    Sends events one after another.

    Attributes:
        secret: That it signs with; may change at any time.
        statuses: Of the answers, by the id of the event.
        resent: Events that had to be sent again because a connection broke.
    """

    def __init__(self, url: str, prefix: str, *, keeps_connection: bool = True) -> None:
        self.secret = OLD
        self.statuses: dict[str, int] = {}
        self.resent: set[str] = set()
        self._url = f"{url}/webhooks/acme"
        self._prefix = prefix
        self._keeps_connection = keeps_connection

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop."""
        with httpx.Client(trust_env=False, timeout=20.0, verify=False) as client:
            while not stop.is_set():
                event_id = f"{self._prefix}-{len(self.statuses)}"
                body = orjson.dumps(EVENT | {"id": event_id})
                headers = signature(body, self.secret) | ({} if self._keeps_connection else {"Connection": "close"})
                while event_id not in self.statuses:
                    try:
                        self.statuses[event_id] = client.post(self._url, content=body, headers=headers).status_code
                    except httpx.TransportError:
                        self.resent.add(event_id)
                        time.sleep(0.02)


@contextmanager
def sending(senders: list[Sender]) -> Iterator[None]:
    """Have them all send meanwhile."""
    stop = threading.Event()
    threads = [threading.Thread(target=sender.run, args=(stop,)) for sender in senders]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def go_on(senders: list[Sender], count: int = 20) -> None:
    """Wait until each has sent some more."""
    goals = [len(sender.statuses) + count for sender in senders]
    until(lambda: all(len(sender.statuses) >= goal for sender, goal in zip(senders, goals, strict=True)))


def test_a_secret_is_rotated_without_a_lost_request(tmp_path: Path) -> None:
    """Both are taken while the senders move on; in the end the old one is not, and no request failed meanwhile."""
    (tmp_path / "old").write_text(OLD)
    (tmp_path / "new").write_text(NEW)
    with RunningReceiver(tmp_path, with_secrets("file:old")) as receiver:
        assert answered(receiver, NEW) == 401
        senders = [Sender(receiver.url, f"sender-{number}") for number in range(3)]
        with sending(senders):
            go_on(senders)
            receiver.reconfigure(with_secrets("file:new", "file:old"))
            until(lambda: answered(receiver, NEW) == 200)
            go_on(senders)
            for sender in senders:
                sender.secret = NEW
            go_on(senders)
            receiver.reconfigure(with_secrets("file:new"))
            until(lambda: answered(receiver, OLD) == 401)
            go_on(senders)
        lines = [line for line in receiver.staged_after_stop() if (line.event_id or "").startswith("sender-")]
    sent = Counter(event_id for sender in senders for event_id in sender.statuses)
    assert {status for sender in senders for status in sender.statuses.values()} == {200}
    assert [sender.resent for sender in senders] == [set()] * 3
    assert Counter(line.event_id for line in lines) == sent
    for sender in senders:
        names = [str(line.secret_name) for line in lines if line.event_id in sender.statuses]
        assert names == sorted(names, reverse=True), "from the old to the new, and not back"
        assert set(names) == {"file:old", "file:new"}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    directory = tmp_path_factory.mktemp("receiver")
    (directory / "short").write_text("too short")
    with RunningReceiver(directory) as running:
        yield running


@pytest.mark.parametrize("broken", list(BROKEN))
def test_a_configuration_that_cannot_be_used_changes_nothing(receiver: RunningReceiver, broken: str) -> None:
    """It is logged in a sentence without the secret, and what was read before goes on until it is corrected."""
    before = receiver.log.read_text().count("The sources stay as they were.")
    receiver.reconfigure(BROKEN[broken])
    until(lambda: receiver.log.read_text().count("The sources stay as they were.") == before + 1)
    assert answered(receiver, SECRET) == 200
    assert SECRET not in receiver.log.read_text()
    receiver.reconfigure(CONFIGURATION.replace("acme", f"after-{before}"))
    until(lambda: answered(receiver, SECRET, f"after-{before}") == 200)
    assert answered(receiver, SECRET) == 404
    receiver.reconfigure(CONFIGURATION)
    until(lambda: answered(receiver, SECRET) == 200)


def test_a_source_that_is_added_or_removed_takes_effect_at_once(receiver: RunningReceiver) -> None:
    """Its settings too; requests that are under way are not disturbed, and it is counted by its name."""
    assert answered(receiver, SECRET, "newcomer") == 404
    receiver.reconfigure(CONFIGURATION + CONFIGURATION.partition("[sources.acme]")[2].join(["[sources.newcomer]", ""]))
    until(lambda: answered(receiver, SECRET, "newcomer") == 200)
    assert answered(receiver, SECRET) == 200
    assert receiver.figures()("events_total", source="newcomer", outcome="accepted") == 1
    receiver.reconfigure(CONFIGURATION + "max_body_bytes = 10\n")
    until(lambda: answered(receiver, SECRET, "newcomer") == 404)
    assert answered(receiver, SECRET) == 413
    receiver.reconfigure(CONFIGURATION)
    until(lambda: answered(receiver, SECRET) == 200)


FROM_FILES = (
    with_secrets("file:new", "file:old")
    + """
[sources.late]
scheme = "hmac-sha256-hex"
secrets = ["file:late"]

[sources.tokened]
scheme = "none"
path_token = "file:token"
"""
)


def test_a_secret_that_cannot_be_read_is_ours_until_it_can(tmp_path: Path) -> None:
    """What another secret signed is accepted all the while; the rest is asked to come again, at start and later."""
    new, old, late, token = (tmp_path / name for name in ("new", "old", "late", "token"))
    new.write_text(NEW)
    old.write_text(OLD)
    with RunningReceiver(tmp_path, FROM_FILES) as receiver:

        def get(path: str, secret: str = NEW) -> int:
            return answered(receiver, secret, path)

        unavailable = receiver.post(BODY, signature(BODY, NEW), source="late")
        assert (unavailable.status_code, unavailable.headers["retry-after"]) == (503, "5")
        assert get("late", "x" * 32) == 503, "nobody can say that it is wrong"
        assert (get(f"tokened/{TOKEN}"), get("tokened/other"), get("tokened")) == (503, 503, 404)
        assert (get("acme", NEW), get("acme", OLD), get("acme", "x" * 32)) == (200, 200, 401)

        late.write_text(NEW)
        token.write_text(TOKEN)
        until(lambda: get("late") == 200)
        until(lambda: get(f"tokened/{TOKEN}") == 200)
        assert (get("late", "x" * 32), get("tokened/other")) == (401, 404)

        new.rename(tmp_path / "aside")
        receiver.reconfigure(FROM_FILES)
        until(lambda: get("acme", NEW) == 503)
        assert (get("acme", OLD), get("acme", "x" * 32), get("late")) == (200, 503, 200)
        (tmp_path / "aside").rename(new)
        until(lambda: get("acme", NEW) == 200)
        assert get("acme", "x" * 32) == 401

        assert "A secret of" in receiver.log.read_text()
        lines = receiver.staged_after_stop()
        assert {(line.source_id, line.reason) for line in lines if line.status_code == 503} == {
            ("late", "secret_unreadable"),
            ("tokened", "secret_unreadable"),
            ("acme", "secret_unreadable"),
        }
        kept = b"".join(path.read_bytes() for path in (tmp_path / "var").rglob("*.jsonl"))
        for secret in (OLD, NEW, TOKEN):
            assert secret.encode() not in kept


def test_several_workers_change_over_without_a_lost_event(tmp_path: Path) -> None:
    """One worker after another is replaced; whoever loses his connection meanwhile sends again, and is heard."""
    (tmp_path / "old").write_text(OLD)
    (tmp_path / "new").write_text(NEW)
    with RunningReceiver(tmp_path, with_secrets("file:old"), workers=2) as receiver:
        senders = [Sender(receiver.url, f"sender-{number}", keeps_connection=False) for number in range(2)]
        with sending(senders):
            go_on(senders)
            receiver.reconfigure(with_secrets("file:new", "file:old"))
            until(lambda: receiver.log.read_text().count("Finished server process") == 2)
            for sender in senders:
                sender.secret = NEW
            go_on(senders)
            receiver.reconfigure(BROKEN["no such setting"])
            until(lambda: "aborting the restart" in receiver.log.read_text())
            go_on(senders)
        staged = Counter(line.event_id for line in receiver.staged_after_stop())
    for sender in senders:
        assert set(sender.statuses.values()) == {200}
        for event_id in sender.statuses:
            # Who sent again may have been heard the first time as well.
            assert 1 <= staged[event_id] <= 1 + (event_id in sender.resent)
