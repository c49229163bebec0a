"""The optional inputs as `hookmart load` and a follower take them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hookmart.commands import app
from hookmart.inputs import LOOK_SECONDS, InputWatch
from tests.input_files import NOON, InputLine, shape, write_text

RATES = "rate_date,base_currency,quote_currency,rate\n"
CONFIGURATION = """
[stage]
segment_max_age_seconds = 0.01

[inputs.fx_rates]
path = "rates/*.csv"
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of another configuration is in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOOKMART_CONFIG", raising=False)


def _load() -> tuple[int, dict[str, Any], str]:
    ran = CliRunner().invoke(app, ["load", "--json"])
    return ran.exit_code, json.loads(ran.stdout), ran.stderr


def test_load_takes_the_inputs_and_tells_what_is_wrong(tmp_path: Path) -> None:
    """Counts beside those of events, a line for each wrong row, and exit code 1, once."""
    (tmp_path / "hookmart.toml").write_text(CONFIGURATION)
    write_text(tmp_path / "rates" / "a.csv", RATES + "2026-07-01,EUR,USD,1.1\n2026-07-02,EUR,hunter2,1.1\n")
    code, document, told = _load()
    assert (code, document["input_files"], document["input_rows"], document["input_wrong_rows"]) == (1, 1, 1, 1)
    assert told.strip() == "fx_rates: a.csv: line 3: 'quote_currency' is not a known currency code"
    code, document, told = _load()
    assert (code, document["input_files"], told) == (0, 0, "")
    write_text(tmp_path / "rates" / "a.csv", "day,rate\n", NOON + 1)
    code, document, told = _load()
    assert (code, document["input_refused_files"]) == (1, 1)
    assert told.startswith("fx_rates: a.csv: not loaded. There is no column 'rate_date', 'base_currency',")


def test_without_inputs_nothing_is_said_of_them(tmp_path: Path) -> None:
    """Who configures none sees what was there before."""
    (tmp_path / "hookmart.toml").write_text("[stage]\nsegment_max_age_seconds = 0.01\n")
    code, document, told = _load()
    assert (code, told) == (0, "")
    assert not any(name.startswith("input") for name in document)


def test_a_follower_looks_once_a_minute_and_tells_a_trouble_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that comes is loaded within a minute; one that is missing is not told again and again."""
    moment = [0.0]
    line = InputLine(tmp_path)
    watch = InputWatch(line.loader((shape("fx_rates"), tmp_path / "rates" / "*.csv")), lambda: moment[0])
    assert not watch.look()
    moment[0] = LOOK_SECONDS
    assert not watch.look()
    assert capsys.readouterr().err.count("There is no file") == 1
    write_text(tmp_path / "rates" / "a.csv", RATES + "2026-07-01,EUR,USD,1.1\n")
    moment[0] += LOOK_SECONDS - 1
    assert not watch.look()
    assert capsys.readouterr().out == ""
    moment[0] += 1
    assert watch.look()
    assert "input_files 1, input_rows 1" in capsys.readouterr().out
    assert len(line.table("fx_rates")) == 1
