"""Months that a played operator closes before all of theirs has come: by the command, once, and played again."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from hookmart.played_programme import TRUTH_FILE, PlayedProgramme
from ingest.settings import load_settings
from simulator.back_office import INPUTS, months_closed_at
from simulator.flavour import Flavour
from simulator.late_mail import LateMail
from simulator.programme import ProgrammeSize
from tests.line import share_compiled
from tests.running_receiver import CONFIGURATION, SECRET, RunningReceiver

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
PROGRAMME = ("--flavour", "prop", "--events", "1200", "--partners", "12", "--until", "2026-11-01", "--out", "played")


def run(directory: Path, *arguments: str) -> str:
    """What a command says in *directory*; it has to succeed."""
    answer = subprocess.run(
        [sys.executable, "-m", "hookmart", *arguments],
        cwd=directory, env={"PYTHONPATH": str(Path(__file__).parent.parent), "ACME_SECRET": SECRET, "PATH": ""},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_what_is_posted_after_the_closing_is_of_a_prior_period(tmp_path: Path) -> None:
    """Truth and marts agree on it; so they do when the same is played again, which closes nothing anew."""
    configuration = CONFIGURATION + "".join(f'\n[inputs.{name}]\npath = "played/{name}.csv"\n' for name in INPUTS)
    share_compiled(tmp_path / "var" / "state")
    with RunningReceiver(tmp_path, configuration) as receiver:
        post = ("simulate", "--url", receiver.url, *PROGRAMME, "--faults", "all=0.01,disorder=1")
        run(tmp_path, *post)
        closed_at = months_closed_at(tmp_path / "played")
        assert closed_at is not None
        run(tmp_path, "load")
        run(tmp_path, "build")
        assert json.loads(run(tmp_path, "simulate", "--check", *PROGRAMME, "--json"))["is_equal"]
        prior = "select sum(abs(prior_period_amount)) as late from commission_statement_monthly"
        assert float(json.loads(run(tmp_path, "query", prior, "--format", "json"))[0]["late"]) > 0

        run(tmp_path, *post)
        assert months_closed_at(tmp_path / "played") == closed_at
        run(tmp_path, "load")
        run(tmp_path, "build")
        assert "agree, to the cent" in run(tmp_path, "simulate", "--check", *PROGRAMME[:-2])


def test_months_are_closed_anew_where_nothing_of_the_programme_is_held(tmp_path: Path) -> None:
    """As after the warehouse was thrown away; a log that is gone on with says that they were closed rightly before."""
    (tmp_path / "hookmart.toml").write_text(CONFIGURATION)
    settings = load_settings(tmp_path / "hookmart.toml", {"ACME_SECRET": SECRET})
    played = PlayedProgramme(settings, "acme", Flavour.saas, 1, ProgrammeSize(400, 12))
    office = tmp_path / "played"
    closings = []
    for is_gone_on_with in (False, False, True, True):
        close = played.closing(UNTIL, office, is_gone_on_with=is_gone_on_with)
        with LateMail() as mail:
            in_time = list(mail.in_time(played.events(UNTIL, office, live_rate=None)))
            assert months_closed_at(office) is None
            late = list(mail.late())
        assert len(in_time) + len(late) == 400
        assert sorted([*in_time, *late], key=lambda event: event.event_id) == list(
            played.events(UNTIL, None, live_rate=None)
        )
        close()
        closings.append(months_closed_at(office))
    assert closings[0] < closings[1] == closings[2] == closings[3]  # type: ignore[operator]
    (office / TRUTH_FILE).unlink()
    played.closing(UNTIL, office, is_gone_on_with=True)()
    assert months_closed_at(office) > closings[3]  # type: ignore[operator]
