"""The log of deliveries: what it keeps through a kill, what a restart makes of it, and what people read in it."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from sending.answer import Answer
from sending.clock import SystemClock
from sending.delivery import Delivery
from sending.delivery_log import DeliveryLog, LogFailed
from sending.log_reading import LogReader
from sending.policy import Policy, Progress, State, Verdict
from tests.misbehaving_server import MisbehavingServer, Say
from tests.sending_clock import WaitingClock
from tests.test_sending import PATIENT, delivery, send

ROOT = Path(__file__).parent.parent
FAR_FUTURE = 4_000_000_000.0
SENDER = """
import sys
from pathlib import Path
from sending.clock import SystemClock
from tests.test_sending import PATIENT, delivery, send
url, log, count = sys.argv[1:]
stream = (delivery(f"evt_{number}") for number in range(int(count)))
send(url, stream, SystemClock(), policy=PATIENT, log=Path(log), connections=4)
"""


def rows(log: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def test_a_killed_sender_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed three times and started again: nothing is lost, what is done stays done, and what waits keeps its turn."""
    log = tmp_path / "deliveries.sqlite"
    names = [f"evt_{number}" for number in range(3000)]
    failing = set(names[:2000:10])
    attempts_before: dict[str, int] = {}
    with MisbehavingServer(scripts={delivery(name).body: [Say(500)] for name in failing}) as server:
        for kills in range(1, 4):
            process = subprocess.Popen([sys.executable, "-c", SENDER, server.url, str(log), str(len(names))], cwd=ROOT)
            while len(_known(log)) < kills * 600:
                assert process.poll() is None
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
            known = _known(log)
            done = {name for name, state in known.items() if state == "delivered"}
            # Half a minute is not over yet, so what failed has been tried once, or not recorded and tried again.
            assert known.keys() - done <= failing
            assert not done & failing
            attempts_before |= {name: len(server.attempts[delivery(name).body]) for name in done}
        server.heal()
        # The clock of this one runs so fast that the half minute is.
        send(server.url, map(delivery, names), SystemClock(1000), policy=PATIENT, log=log, connections=4)
        attempts = {name: len(server.attempts[delivery(name).body]) for name in names}
    assert set(_known(log).values()) == {"delivered"}
    assert _known(log).keys() == set(names)
    assert {name: attempts[name] for name in attempts_before} == attempts_before
    assert all(attempts[name] >= 2 for name in known.keys() - done)
    assert rows(log, "select max(number) from attempts where event_id = 'evt_0'") == [(2,)]


def _known(log: Path) -> dict[str, str]:
    try:
        return {str(name): str(state) for name, state in rows(log, "select event_id, state from deliveries")}
    except sqlite3.OperationalError:
        return {}  # not begun yet


def test_what_waits_keeps_its_rung_and_its_time(tmp_path: Path) -> None:
    """A restart is no new beginning: the fourth attempt follows when it was due, and two more after it at most."""
    log, clock = tmp_path / "log", WaitingClock()

    class Stopped(Exception):
        pass

    def stop_after_three(_delivery: Delivery, _answer: Answer, verdict: Verdict) -> None:
        if verdict.progress.attempts == 4:
            raise Stopped

    one = delivery("evt_1")
    with MisbehavingServer(Say(500), now=clock.now) as server:
        with pytest.raises(Stopped):
            send(server.url, [one], clock, policy=PATIENT, log=log, observe=stop_after_three)
        later = WaitingClock(server.times(one.body)[0] + 200)
        server._now = later.now
        send(server.url, [one], later, policy=PATIENT, log=log)
        times = [at - server.times(one.body)[0] for at in server.times(one.body)]
    # The fourth attempt was made and not recorded, so it is made again, at its own time.
    assert times == [0, 30, 150, 750, 750, 4350, 18750]
    assert [each.number for each in LogReader(log).attempts("evt_1")] == [1, 2, 3, 4, 5, 6]


def test_accepted_deliveries_are_sent_without_being_given_again(tmp_path: Path) -> None:
    """What was accepted is durable before it is tried, so its source may forget it; twice is once."""
    log = tmp_path / "log"

    async def accept(names: list[str]) -> None:
        with DeliveryLog(log) as opened:
            await opened.accept(map(delivery, names), due_at=0.0)

    asyncio.run(accept(["evt_1", "evt_2"]))
    asyncio.run(accept(["evt_2", "evt_3"]))
    with MisbehavingServer() as server:
        send(server.url, [], WaitingClock(), log=log)
        send(server.url, [], WaitingClock(), log=log)
        assert sorted(server.received) == ["evt_1", "evt_2", "evt_3"]


def test_the_body_goes_once_it_is_delivered_and_stays_while_it_is_not(tmp_path: Path) -> None:
    """What was refused or given up can still be looked at, and sent by hand."""
    log = tmp_path / "log"
    good, bad = delivery("evt_1"), delivery("evt_2")
    with MisbehavingServer(scripts={bad.body: [Say(404)]}) as server:
        send(server.url, [good, bad], WaitingClock(), log=log)
    assert rows(log, "select event_id, body from deliveries order by 1") == [("evt_1", None), ("evt_2", bad.body)]


def test_two_senders_do_not_share_a_log(tmp_path: Path) -> None:
    """Both would send what waits."""
    with DeliveryLog(tmp_path / "log"), pytest.raises(LogFailed, match="Another sender"):
        DeliveryLog(tmp_path / "log").__enter__()
    with DeliveryLog(tmp_path / "log"):
        pass


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    """Neither a sender nor a reader takes it for one, and neither changes it."""
    path = tmp_path / "hookmart.toml"
    path.write_text("[stage]\n" * 1000)
    with pytest.raises(LogFailed, match="name another file"):
        DeliveryLog(path).__enter__()
    with pytest.raises(LogFailed, match="not a log"):
        LogReader(path).counts()
    with pytest.raises(LogFailed, match="There is no log"):
        LogReader(tmp_path / "none").counts()
    assert path.read_text() == "[stage]\n" * 1000


def test_a_log_that_cannot_be_written_ends_the_sending(tmp_path: Path) -> None:
    """Nothing goes on as if it were recorded: the next attempt says why, and a restart sends what is missing."""
    log = tmp_path / "log"
    names = [f"evt_{number}" for number in range(1000)]

    async def run() -> None:
        with DeliveryLog(log) as opened:
            # As a full disk does it.
            opened._writing.execute("pragma max_page_count = 12")
            for name in names:
                opened.record(delivery(name), Answer(0.01, 500, body=b"x"), WAITING, 1.0)
                await asyncio.sleep(0.001)

    with MisbehavingServer() as server:
        with pytest.raises(LogFailed, match="full"):
            asyncio.run(run())
        send(server.url, map(delivery, names), SystemClock(), log=log)
        assert set(server.received) == set(names)


WAITING = Verdict(State.waiting, Progress(1, 1, 1.0), 2.0)


def test_commits_are_shared(tmp_path: Path) -> None:
    """Ten thousand attempts recorded at once are few syncs, not ten thousand."""
    commits = 0

    class Counting(DeliveryLog):
        def _commit(self, attempts: list[tuple[object, ...]], deliveries: list[tuple[str, tuple[object, ...]]]) -> None:
            nonlocal commits
            commits += bool(attempts)
            super()._commit(attempts, deliveries)

    delivered = Verdict(State.delivered, Progress(1, 0, 1.0))
    with Counting(tmp_path / "log") as opened:
        for number in range(10_000):
            opened.record(delivery(f"evt_{number}"), Answer(0.01, 200), delivered, 1.0)
    assert LogReader(tmp_path / "log").counts()[State.delivered] == 10_000
    assert commits < 1000


def test_what_was_told_to_be_durable_is_there_for_another_process(tmp_path: Path) -> None:
    """Read by another process, while this one still has it open."""
    log = tmp_path / "log"
    script = """
import json, sys
from pathlib import Path
from sending.log_reading import LogReader
from sending.policy import State
print(json.dumps([each.event_id for each in LogReader(Path(sys.argv[1])).deliveries(State.waiting, 5)]))
"""

    async def run() -> list[str]:
        with DeliveryLog(log) as opened:
            opened.record(
                delivery("evt_1"), Answer(0.01, 500), Verdict(State.waiting, Progress(1, 1, 1.0), FAR_FUTURE), 1.0
            )
            await opened.durable()
            seen = subprocess.run(
                [sys.executable, "-c", script, str(log)], cwd=ROOT, env=os.environ, capture_output=True, check=True
            )
            names: list[str] = json.loads(seen.stdout)
            return names

    assert asyncio.run(run()) == ["evt_1"]


def test_a_policy_is_the_same_for_what_is_taken_up_again() -> None:
    """A delivery that used all rungs before a restart gets no new ones."""
    verdict = Policy().verdict(Progress(5, 5, 0.0), Answer(1.0, 500), 20_000.0, 20_001.0)
    assert verdict.state is State.undeliverable


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hookmart", "deliveries", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_log_can_be_read_by_command(tmp_path: Path) -> None:
    """How many stand where, what was given up, and every attempt of one event, for people and for programs."""
    log = tmp_path / "log"
    gone = delivery("evt_3")
    with MisbehavingServer(scripts={gone.body: [Say(503)], delivery("evt_2").body: [Say(410)]}) as server:
        send(server.url, [delivery("evt_1"), delivery("evt_2"), gone], WaitingClock(), policy=PATIENT, log=log)
    told = json.loads(command("list", log, "--json").stdout)
    assert {name: told[name] for name in State} == {"waiting": 0, "delivered": 1, "refused": 1, "undeliverable": 1}
    assert [(each["event_id"], each["attempts"], each["last_answer"]) for each in told["deliveries"]] == [
        ("evt_3", 6, "503")
    ]
    assert "evt_2" in command("list", log, "--state", "refused").stdout
    attempts = json.loads(command("show", log, "evt_3", "--json").stdout)
    assert [(each["number"], each["status_code"], each["state"]) for each in attempts] == [
        *((number, 503, "waiting") for number in range(1, 6)), (6, 503, "undeliverable"),
    ]  # fmt: skip
    assert command("show", log, "evt_3").stdout.count("503") == 6
    unknown, missing = command("show", log, "evt_9"), command("list", tmp_path / "none")
    assert (unknown.returncode, missing.returncode) == (1, 1)
    assert "no attempt of 'evt_9'" in unknown.stderr
    assert "There is no log" in missing.stderr
