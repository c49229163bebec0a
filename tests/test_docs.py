"""The documentation against the code: its lists are complete, its links lead somewhere, its examples run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import typer.core
import typer.main
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from hookmart.commands import app
from ingest.errors import REFUSALS
from ingest.settings import ProgramSettings, StageSettings, load_settings
from ingest.source_settings import SourceSettings
from ingest.sources import PRESETS, Scheme
from ingest.warehouse_settings import WarehouseSettings
from models.event_types import EVENT_TYPES
from pipelines.batches import empty_tables
from pipelines.raw_tables import RAW_TABLES
from simulator.faults import FAULTS, FaultName
from simulator.flavour import Flavour
from tests.documents import DOCUMENTS, ROOT, blocks_of, section_of, slug_of, table_of, terms_of
from tests.line import Line, fixture_bodies
from tests.running_receiver import SECRET, RunningReceiver

FIXTURES = ROOT / "tests" / "fixtures"
MARTS = {path.stem: path for path in (ROOT / "dbt_project" / "models" / "marts").rglob("*.sql")}
MARTS_MD, WAREHOUSE, HTTP, CONFIGURATION, GO_LIVE = (
    DOCUMENTS[name] for name in ("marts.md", "warehouse.md", "http.md", "configuration.md", "go-live.md")
)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    """A link within the documentation names a file that is there, and a heading that is in it."""
    for target in re.findall(r"\]\(([^)]+)\)", DOCUMENTS[name]):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        text = (ROOT / "docs" / (path or name)).read_text(encoding="utf-8")
        assert not anchor or anchor in {slug_of(each) for each in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}, target


def test_every_fault_is_documented_with_its_share_and_its_right_answers() -> None:
    """The table of faults is the one that is played, and the help of the command names them all."""
    rows = table_of(section_of(DOCUMENTS["sending.md"], "Faults"), "fault")
    assert {terms_of(row[0])[0]: float(row[1]) for row in rows} == {
        str(name): each.share for name, each in FAULTS.items()
    }
    for name, *_, answers, ends in rows:
        fault = FAULTS[FaultName(terms_of(name)[0])]
        assert {int(status) for status in re.findall(r"[0-9]{3}", answers)} - {429} == set(fault.answers)
        assert fault.ends.split()[-1] in ends
    shown = CliRunner().invoke(app, ["simulate", "--help"], env={"COLUMNS": "200"}).output
    assert all(name in shown for name in FAULTS)


def test_every_option_of_simulate_and_every_flavour_is_documented() -> None:
    """The tables of docs/simulate.md list what the command takes, and what it plays, no more and no less."""
    document = DOCUMENTS["simulate.md"]
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    options = {option for parameter in group.commands["simulate"].params for option in parameter.opts}
    rows = table_of(section_of(document, "Options"), "option")
    told = {option for row in rows for option in re.findall(r"--[a-z-]+", row[0])}
    assert told == options
    assert [terms_of(row[0])[0] for row in table_of(section_of(document, "What is played"), "flavour")] == list(Flavour)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The example events from stage to published file, in `var` of a directory of its own."""
    line = Line(tmp_path_factory.mktemp("documented") / "var")
    line.stage_bodies([("affiliate", each) for each in fixture_bodies(FIXTURES / "events")])
    line.load()
    line.build()
    return line


def test_every_mart_has_its_section() -> None:
    """The table at the top and the sections are the marts there are."""
    assert {terms_of(row[0])[0] for row in table_of(MARTS_MD, "mart")} == MARTS.keys()
    assert set(re.findall(r"^## `(\w+)`$", MARTS_MD, re.MULTILINE)) == MARTS.keys()


@pytest.mark.parametrize("mart", MARTS)
def test_every_documented_column_is_one(line: Line, mart: str) -> None:
    """A name that ends in dots stands for the columns that begin so; the money tables list every column they have."""
    columns = {row["column_name"] for row in line.query(f"describe marts.{mart}")}
    section = section_of(MARTS_MD, f"`{mart}`")
    named = [name for row in table_of(section, "column") for name in terms_of(row[0])]
    assert named
    for name in named:
        prefix = name.removesuffix("...")
        assert name in columns or (prefix != name and any(each.startswith(prefix) for each in columns)), name
    if mart in {"commission_ledger", "commission_statement_monthly"}:
        assert columns <= set(terms_of(section))


def test_every_metric_is_a_column_of_its_mart(line: Line) -> None:
    """The dictionary of metrics names marts and columns that are there, each once."""
    rows = table_of(DOCUMENTS["metrics.md"], "metric")
    assert len({row[0] for row in rows}) == len(rows) > 0
    for metric, _, mart, column in rows:
        columns = {row["column_name"] for row in line.query(f"describe marts.{terms_of(mart)[0]}")}
        assert terms_of(column)[0] in columns, metric


def test_every_fraud_signal_is_listed() -> None:
    """A signal that is added is missed in the documentation."""
    (model,) = yaml.safe_load(MARTS["fraud_signals_daily"].with_suffix(".yml").read_text())["models"]
    [accepted] = [
        test["accepted_values"]["arguments"]["values"]
        for column in model["columns"]
        for test in column.get("data_tests", ())
    ]
    rows = table_of(section_of(MARTS_MD, "`fraud_signals_daily`"), "signal")
    assert [terms_of(row[0])[0] for row in rows] == accepted


def test_every_kind_of_ledger_entry_is_listed() -> None:
    """The entry types and the buckets are those that the ledger is tested to hold."""
    (model,) = yaml.safe_load(MARTS["commission_ledger"].with_suffix(".yml").read_text())["models"]
    accepted = {
        column["name"]: set(test["accepted_values"]["arguments"]["values"])
        for column in model["columns"]
        for test in column.get("data_tests", ())
        if isinstance(test, dict) and "accepted_values" in test
    }
    rows = table_of(section_of(MARTS_MD, "`commission_ledger`"), "entry type")
    assert {terms_of(row[0])[0] for row in rows} == accepted["entry_type"]
    assert {bucket for row in rows for bucket in terms_of(row[1])} == accepted["bucket"]


def test_the_worked_example_is_the_one_the_ledger_is_tested_with() -> None:
    """The statement in the documentation is the statement that the tests expect of the build."""
    golden = json.loads((FIXTURES / "golden_statement.json").read_text())["statement"]
    names = ["opening", "earned", "adjusted", "paid", "returned", "closing", "pending", "payable", "in_transit"]
    rows = table_of(section_of(MARTS_MD, "A worked example"), "month")
    assert rows == [[each["month"][:7], *(each[name] for name in names)] for each in golden]


@pytest.mark.parametrize("sql", blocks_of(MARTS_MD, "sql"))
def test_every_query_runs_on_the_published_file(line: Line, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened as the documentation says, each query finds something in the example events."""
    monkeypatch.chdir(line.root.parent)
    is_attached = sql.startswith("attach")
    with (
        duckdb.connect()
        if is_attached
        else duckdb.connect("var/published/current/marts.duckdb", read_only=True) as file
    ):
        if not is_attached:
            file.execute("use marts.marts")
        assert file.execute(sql).fetchall()


def test_every_raw_table_is_documented_column_by_column() -> None:
    """Each table with its key and with the columns the loader writes."""
    keys = {
        terms_of(row[0])[0]: tuple(terms_of(row[2]))
        for row in table_of(section_of(WAREHOUSE, "Tables of `raw`"), "table")
    }
    assert keys == {f"raw.{name}": table.key for name, table in RAW_TABLES.items()}
    every_event = {
        name
        for row in table_of(section_of(WAREHOUSE, "Columns of all event tables"), "from")
        for name in terms_of(row[1])
    }
    alike = {
        name
        for row in table_of(section_of(WAREHOUSE, "Columns of clicks and conversions alike"), "from")
        for name in terms_of(row[1])
    }
    for name, table in empty_tables().items():
        section = section_of(WAREHOUSE, f"`raw.{name}`")
        if name.endswith("_events") and "lifecycle_rank" in table.column_names:
            documented = every_event | {column for row in table_of(section, "from") for column in terms_of(row[1])}
            documented |= alike if name in {"click_events", "conversion_events"} else set()
        else:
            documented = set(terms_of(section.strip().partition("\n\n")[0]))
        assert documented == set(table.column_names), name


def test_the_warehouse_can_be_made_anew_as_described(line: Line, tmp_path: Path) -> None:
    """The recipe, run as it stands, gives the marts that were there before."""
    shutil.copytree(line.root, tmp_path / "var", symlinks=True)
    (tmp_path / "hookmart.toml").touch()
    command = tmp_path / "hookmart"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m hookmart "$@"\n')
    command.chmod(0o755)
    (recipe,) = blocks_of(section_of(WAREHOUSE, "Making it anew"), "sh")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKMART_")}
    subprocess.run(
        ["sh", "-ec", recipe], cwd=tmp_path, env={**environment, "PATH": path}, check=True, capture_output=True
    )
    assert not list((tmp_path / "var" / "stage").glob("*.jsonl"))
    assert Line(tmp_path / "var").marts() == line.marts()


def test_every_refusal_is_listed_with_its_status() -> None:
    """The sender learns the status only; the documentation says what may stand behind it."""
    rows = table_of(section_of(HTTP, "Refusals"), "status")
    assert {terms_of(row[1])[0]: int(row[0]) for row in rows} == REFUSALS


@pytest.mark.parametrize("language", ["python", "sh"])
def test_the_signing_examples_are_accepted(language: str, tmp_path: Path) -> None:
    """Run as they stand, but for the port, the examples post an event that a real receiver accepts."""
    source = '[sources.affiliate]\nscheme = "hmac-sha256-hex"\nsecrets = ["env:AFFILIATE_WEBHOOK_SECRET"]\n'
    (tmp_path / ".env").write_text(f"AFFILIATE_WEBHOOK_SECRET={SECRET}\n")
    (tmp_path / "event.json").write_bytes((FIXTURES / "events" / "01_partner.registered.json").read_bytes())
    (example,) = blocks_of(section_of(HTTP, "Signing"), language)
    with RunningReceiver(tmp_path, source) as receiver:
        code = example.replace("http://127.0.0.1:8000", receiver.url)
        ran = subprocess.run(
            [sys.executable, "-c", code] if language == "python" else ["sh", "-ec", code],
            cwd=tmp_path,
            env={**os.environ, "AFFILIATE_WEBHOOK_SECRET": SECRET, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            check=True,
            capture_output=True,
            text=True,
        )
        assert '{"status":"accepted","event_id":"evt_0001"}' in ran.stdout
        assert [each.event_id for each in receiver.staged_after_stop()] == ["evt_0001"]


@pytest.mark.parametrize(
    ("heading", "first_header", "model"),
    [
        ("program", "key", ProgramSettings),
        ("stage", "key", StageSettings),
        ("warehouse", "key", WarehouseSettings),
        ("sources", "key", SourceSettings),
        ("Signature schemes", "key of a scheme", Scheme),
    ],
)
def test_every_setting_is_listed_with_its_default(heading: str, first_header: str, model: type[BaseModel]) -> None:
    """A key that is added, or a default that is changed, is missed here."""
    documented = {terms_of(row[0])[0]: row[1] for row in table_of(section_of(CONFIGURATION, heading), first_header)}
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    assert documented.keys() == fields.keys()
    for key, field in fields.items():
        if field.is_required():
            assert documented[key] == "required"
        elif field.default_factory is None and field.default:
            assert documented[key] == f"`{field.default}`", key


def test_every_scheme_is_listed_with_what_it_signs() -> None:
    """The table says of each preset where its signature is and what it covers."""
    rows = {terms_of(row[0])[0]: row for row in table_of(section_of(CONFIGURATION, "Signature schemes"), "scheme")}
    assert rows.keys() == PRESETS.keys()
    for name, scheme in PRESETS.items():
        _, header, signed, encoding = rows[name]
        parts = (scheme.header, scheme.prefix, scheme.timestamp_header, scheme.timestamp_prefix, scheme.id_header)
        assert set(terms_of(header)) == {part for part in parts if part}
        assert signed == f"`{scheme.signed}`"
        assert encoding.startswith(scheme.encoding)
        assert ("whsec" in encoding) == (scheme.key == "whsec")


@pytest.mark.parametrize("toml", blocks_of(CONFIGURATION, "toml"))
def test_every_configuration_shown_can_be_used(toml: str, tmp_path: Path) -> None:
    """What the documentation shows is read without a complaint."""
    (tmp_path / "hookmart.toml").write_text(toml)
    assert load_settings(tmp_path / "hookmart.toml", {}).sources


def test_every_check_before_going_live_is_explained(tmp_path: Path) -> None:
    """Whoever reads a certificate finds each of its checks, under its step."""
    source = '[sources.acme]\nscheme = "slack"\nsecrets = ["env:ACME_SECRET"]\narrays = true\n'
    with RunningReceiver(tmp_path, source) as receiver:
        ran = subprocess.run(
            [sys.executable, "-m", "hookmart", "certify", receiver.url, "--json", "--no-arrival", "--volume", "1"],
            cwd=tmp_path, env={**os.environ, "ACME_SECRET": SECRET}, check=True, capture_output=True, text=True,
        )  # fmt: skip
    for check in json.loads(ran.stdout)["checks"]:
        if check["step"] not in {"high volume", "arrived once"} and check["name"] not in EVENT_TYPES:
            heading = next(
                each for each in re.findall(r"^### (.+)$", GO_LIVE, re.MULTILINE) if check["step"] in each.lower()
            )
            assert check["name"] in {
                name for row in table_of(section_of(GO_LIVE, heading), "check") for name in terms_of(row[0])
            }


def test_every_option_of_certify_is_listed() -> None:
    """An option that is added is missed here."""
    listed = {name for row in table_of(section_of(GO_LIVE, "Options"), "option") for name in terms_of(row[0])}
    commands = typer.main.get_command(app)
    assert isinstance(commands, typer.core.TyperGroup)
    options = {
        name
        for each in commands.commands["certify"].params
        for name in (*each.opts, *each.secondary_opts)
        if name.startswith("--")
    }
    assert listed == options - {"--config", "--json"}
