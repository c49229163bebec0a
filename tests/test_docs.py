"""The documentation against the code: its lists are complete, its links lead somewhere, its examples run."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

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
from mappings import errors as mapping_errors
from mappings import mapping_file
from mappings.contract_fields import FieldKind
from mappings.field import CONVERSIONS
from mappings.mapping_file import builtin_names, load_mapping
from models import enumerations
from models.event_types import EVENT_TYPES
from models.json_schema import json_schema
from models.reading import Reason, read_event
from pipelines.batches import empty_tables
from pipelines.raw_tables import RAW_TABLES
from simulator.faults import FAULTS, FaultName
from simulator.flavour import Flavour
from tests.line import Line, fixture_bodies
from tests.running_receiver import SECRET, RunningReceiver

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
MARTS = {path.stem: path for path in (ROOT / "dbt_project" / "models" / "marts").rglob("*.sql")}
DOCUMENTS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
EVENTS, MARTS_MD, WAREHOUSE, HTTP, CONFIGURATION, GO_LIVE = (
    DOCUMENTS[name] for name in ("events.md", "marts.md", "warehouse.md", "http.md", "configuration.md", "go-live.md")
)

# Objects of the contract with a section of their own; the fields of all others stand where they are used.
OBJECT_SECTIONS: dict[str, str] = {
    "Click": "Click",
    "Conversion": "Conversion",
    "Commission": "Commission",
    "Payout": "Payout",
    "Partner": "Partner",
    "FullPartner": "Full partner",
    "Tracking": "Tracking",
    "Geo": "Geo",
    "Device": "Device",
    "Customer": "Customer",
    "QualifyingEvent": "Qualifying event",
    "Actor": "Actor",
    "Period": "Period",
    "Rate": "Rate",
    "Tier": "Tier",
    "RatedTier": "Rated tier",
}
EXTENDS: dict[str, str] = {"FullPartner": "Partner", "RatedTier": "Tier"}
DEFINITIONS: dict[str, Any] = json_schema()["$defs"]  # type: ignore[assignment]
EVENT_DEFINITIONS: dict[str, Any] = {
    each["properties"]["type"]["const"]: each for each in DEFINITIONS.values() if "schema_version" in each["properties"]
}


def _section(document: str, heading: str) -> str:
    """The text under *heading*, up to the next one of its rank or above, or to the next below it."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", document, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {heading!r}"
    return found[1]


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _table(text: str, first_header: str) -> list[list[str]]:
    """The rows of the tables in *text* whose first column is headed *first_header*."""
    rows: list[list[str]] = []
    is_wanted = False
    previous = ""
    for line in text.splitlines():
        if line.startswith("|---"):
            is_wanted = next(_rows(previous))[0] == first_header
        elif not line.startswith("|"):
            is_wanted = False
        elif is_wanted:
            rows.extend(_rows(line))
        previous = line
    return rows


def _terms(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def _blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    """A link within the documentation names a file that is there, and a heading that is in it."""
    for target in re.findall(r"\]\(([^)]+)\)", DOCUMENTS[name]):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        text = (ROOT / "docs" / (path or name)).read_text(encoding="utf-8")
        assert not anchor or anchor in {_slug(each) for each in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}, target


def _object_within(schema: dict[str, Any]) -> tuple[str | None, bool]:
    """The definition that *schema* refers to, and whether it is a list of it."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2], False
    if "items" in schema:
        return _object_within(schema["items"])[0], True
    return next((found for each in schema.get("anyOf", ()) if (found := _object_within(each))[0]), (None, False))


def _fields(definition: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Dotted paths and whether they are required, down to the objects that are documented apart."""
    for name, schema in definition["properties"].items():
        path = prefix + name
        yield path, name in definition.get("required", ())
        within, is_list = _object_within(schema)
        if within is not None and within not in OBJECT_SECTIONS and within != "Money":
            yield from _fields(DEFINITIONS[within], path + ("[]." if is_list else "."))


def _documented(heading: str) -> dict[str, bool]:
    """The fields in the tables of a section, with those of the section it says it adds to."""
    text = _section(EVENTS, heading)
    added = {_terms(row[0])[0]: row[2] == "yes" for row in _table(text, "field")}
    adds_to = re.search(r"As `([a-z._]+)`", text)
    return {**(_documented(f"`{adds_to[1]}`") if adds_to else {}), **added}


def test_every_fault_is_documented_with_its_share_and_its_right_answers() -> None:
    """The table of faults is the one that is played, and the help of the command names them all."""
    rows = _table(_section(DOCUMENTS["sending.md"], "Faults"), "fault")
    assert {_terms(row[0])[0]: float(row[1]) for row in rows} == {
        str(name): each.share for name, each in FAULTS.items()
    }
    for name, *_, answers, ends in rows:
        fault = FAULTS[FaultName(_terms(name)[0])]
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
    rows = _table(_section(document, "Options"), "option")
    told = {option for row in rows for option in re.findall(r"--[a-z-]+", row[0])}
    assert told == options
    assert [_terms(row[0])[0] for row in _table(_section(document, "What is played"), "flavour")] == list(Flavour)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_event_type_is_documented_field_by_field(event_type: str) -> None:
    """The section of an event lists what its data may hold and what it must, no more and no less."""
    data = DEFINITIONS[_object_within(EVENT_DEFINITIONS[event_type]["properties"]["data"])[0] or ""]
    assert _documented(f"`{event_type}`") == dict(_fields(data))


@pytest.mark.parametrize("name", OBJECT_SECTIONS)
def test_every_shared_object_is_documented_field_by_field(name: str) -> None:
    """So do the sections of the objects that several events carry."""
    inherited = dict(_fields(DEFINITIONS[EXTENDS[name]])) if name in EXTENDS else {}
    own = {path: required for path, required in _fields(DEFINITIONS[name]) if path not in inherited}
    assert _documented(OBJECT_SECTIONS[name]) == own


def test_the_envelope_is_documented_field_by_field() -> None:
    """The envelope is the same for every event."""
    for definition in EVENT_DEFINITIONS.values():
        envelope = {name: name in definition["required"] for name in definition["properties"]}
        assert _documented("Envelope") == envelope


def test_the_ranks_are_those_that_order_events() -> None:
    """The place of an event in the table is the rank that settles ties."""
    ranks = {
        _terms(cell)[0]: rank
        for row in _table(_section(EVENTS, "Order"), "entity")
        for rank, cell in enumerate(row)
        if "`" in cell
    }
    assert ranks == {each.name: each.lifecycle_rank for each in EVENT_TYPES.values()}


def test_every_enumeration_is_listed_value_by_value() -> None:
    """A value that is added to the code is missed in the documentation, and the other way round."""
    text = _section(EVENTS, "Enumerations")
    listed = [tuple(_terms(row[1])) for row in _table(text, "field")]
    by_category = {_terms(row[0])[0]: tuple(_terms(row[1])) for row in _table(text, "category")}
    constants = {
        name: value for name, value in vars(enumerations).items() if name.isupper() and isinstance(value, tuple)
    }
    del constants["REJECTION_REASON_CODES"]  # all of them; documented by category
    assert sorted(listed) == sorted(constants.values())
    assert by_category == enumerations.REJECTION_REASONS_BY_CATEGORY


def test_every_reason_for_quarantine_is_listed() -> None:
    """Whoever finds a reason in the warehouse finds it explained."""
    rows = _table(_section(EVENTS, "Refused or quarantined"), "reason")
    assert [_terms(row[0])[0] for row in rows] == list(get_args(Reason))


def test_the_example_event_is_one() -> None:
    """The example is one of the events the tests are made of."""
    (example,) = _blocks(_section(EVENTS, "An example"), "json")
    assert json.loads(example) in [json.loads(path.read_text()) for path in (FIXTURES / "events").glob("*.json")]
    assert read_event(example.encode()).event_type == "conversion.qualified"


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
    assert {_terms(row[0])[0] for row in _table(MARTS_MD, "mart")} == MARTS.keys()
    assert set(re.findall(r"^## `(\w+)`$", MARTS_MD, re.MULTILINE)) == MARTS.keys()


@pytest.mark.parametrize("mart", MARTS)
def test_every_documented_column_is_one(line: Line, mart: str) -> None:
    """A name that ends in dots stands for the columns that begin so; the money tables list every column they have."""
    columns = {row["column_name"] for row in line.query(f"describe marts.{mart}")}
    section = _section(MARTS_MD, f"`{mart}`")
    named = [name for row in _table(section, "column") for name in _terms(row[0])]
    assert named
    for name in named:
        prefix = name.removesuffix("...")
        assert name in columns or (prefix != name and any(each.startswith(prefix) for each in columns)), name
    if mart in {"commission_ledger", "commission_statement_monthly"}:
        assert columns <= set(_terms(section))


def test_every_metric_is_a_column_of_its_mart(line: Line) -> None:
    """The dictionary of metrics names marts and columns that are there, each once."""
    rows = _table(DOCUMENTS["metrics.md"], "metric")
    assert len({row[0] for row in rows}) == len(rows) > 0
    for metric, _, mart, column in rows:
        columns = {row["column_name"] for row in line.query(f"describe marts.{_terms(mart)[0]}")}
        assert _terms(column)[0] in columns, metric


def test_every_fraud_signal_is_listed() -> None:
    """A signal that is added is missed in the documentation."""
    (model,) = yaml.safe_load(MARTS["fraud_signals_daily"].with_suffix(".yml").read_text())["models"]
    [accepted] = [
        test["accepted_values"]["arguments"]["values"]
        for column in model["columns"]
        for test in column.get("data_tests", ())
    ]
    rows = _table(_section(MARTS_MD, "`fraud_signals_daily`"), "signal")
    assert [_terms(row[0])[0] for row in rows] == accepted


def test_every_kind_of_ledger_entry_is_listed() -> None:
    """The entry types and the buckets are those that the ledger is tested to hold."""
    (model,) = yaml.safe_load(MARTS["commission_ledger"].with_suffix(".yml").read_text())["models"]
    accepted = {
        column["name"]: set(test["accepted_values"]["arguments"]["values"])
        for column in model["columns"]
        for test in column.get("data_tests", ())
        if isinstance(test, dict) and "accepted_values" in test
    }
    rows = _table(_section(MARTS_MD, "`commission_ledger`"), "entry type")
    assert {_terms(row[0])[0] for row in rows} == accepted["entry_type"]
    assert {bucket for row in rows for bucket in _terms(row[1])} == accepted["bucket"]


def test_the_worked_example_is_the_one_the_ledger_is_tested_with() -> None:
    """The statement in the documentation is the statement that the tests expect of the build."""
    golden = json.loads((FIXTURES / "golden_statement.json").read_text())["statement"]
    names = ["opening", "earned", "adjusted", "paid", "returned", "closing", "pending", "payable", "in_transit"]
    rows = _table(_section(MARTS_MD, "A worked example"), "month")
    assert rows == [[each["month"][:7], *(each[name] for name in names)] for each in golden]


@pytest.mark.parametrize("sql", _blocks(MARTS_MD, "sql"))
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
    keys = {_terms(row[0])[0]: tuple(_terms(row[2])) for row in _table(_section(WAREHOUSE, "Tables of `raw`"), "table")}
    assert keys == {f"raw.{name}": table.key for name, table in RAW_TABLES.items()}
    every_event = {
        name for row in _table(_section(WAREHOUSE, "Columns of all event tables"), "from") for name in _terms(row[1])
    }
    alike = {
        name
        for row in _table(_section(WAREHOUSE, "Columns of clicks and conversions alike"), "from")
        for name in _terms(row[1])
    }
    for name, table in empty_tables().items():
        section = _section(WAREHOUSE, f"`raw.{name}`")
        if name.endswith("_events") and "lifecycle_rank" in table.column_names:
            documented = every_event | {column for row in _table(section, "from") for column in _terms(row[1])}
            documented |= alike if name in {"click_events", "conversion_events"} else set()
        else:
            documented = set(_terms(section.strip().partition("\n\n")[0]))
        assert documented == set(table.column_names), name


def test_the_warehouse_can_be_made_anew_as_described(line: Line, tmp_path: Path) -> None:
    """The recipe, run as it stands, gives the marts that were there before."""
    shutil.copytree(line.root, tmp_path / "var", symlinks=True)
    (tmp_path / "hookmart.toml").touch()
    command = tmp_path / "hookmart"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m hookmart "$@"\n')
    command.chmod(0o755)
    (recipe,) = _blocks(_section(WAREHOUSE, "Making it anew"), "sh")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKMART_")}
    subprocess.run(
        ["sh", "-ec", recipe], cwd=tmp_path, env={**environment, "PATH": path}, check=True, capture_output=True
    )
    assert not list((tmp_path / "var" / "stage").glob("*.jsonl"))
    assert Line(tmp_path / "var").marts() == line.marts()


def test_every_refusal_is_listed_with_its_status() -> None:
    """The sender learns the status only; the documentation says what may stand behind it."""
    rows = _table(_section(HTTP, "Refusals"), "status")
    assert {_terms(row[1])[0]: int(row[0]) for row in rows} == REFUSALS


@pytest.mark.parametrize("language", ["python", "sh"])
def test_the_signing_examples_are_accepted(language: str, tmp_path: Path) -> None:
    """Run as they stand, but for the port, the examples post an event that a real receiver accepts."""
    source = '[sources.affiliate]\nscheme = "hmac-sha256-hex"\nsecrets = ["env:AFFILIATE_WEBHOOK_SECRET"]\n'
    (tmp_path / ".env").write_text(f"AFFILIATE_WEBHOOK_SECRET={SECRET}\n")
    (tmp_path / "event.json").write_bytes((FIXTURES / "events" / "01_partner.registered.json").read_bytes())
    (example,) = _blocks(_section(HTTP, "Signing"), language)
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
    documented = {_terms(row[0])[0]: row[1] for row in _table(_section(CONFIGURATION, heading), first_header)}
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    assert documented.keys() == fields.keys()
    for key, field in fields.items():
        if field.is_required():
            assert documented[key] == "required"
        elif field.default_factory is None and field.default:
            assert documented[key] == f"`{field.default}`", key


def test_every_scheme_is_listed_with_what_it_signs() -> None:
    """The table says of each preset where its signature is and what it covers."""
    rows = {_terms(row[0])[0]: row for row in _table(_section(CONFIGURATION, "Signature schemes"), "scheme")}
    assert rows.keys() == PRESETS.keys()
    for name, scheme in PRESETS.items():
        _, header, signed, encoding = rows[name]
        parts = (scheme.header, scheme.prefix, scheme.timestamp_header, scheme.timestamp_prefix, scheme.id_header)
        assert set(_terms(header)) == {part for part in parts if part}
        assert signed == f"`{scheme.signed}`"
        assert encoding.startswith(scheme.encoding)
        assert ("whsec" in encoding) == (scheme.key == "whsec")


@pytest.mark.parametrize("toml", _blocks(CONFIGURATION, "toml"))
def test_every_configuration_shown_can_be_used(toml: str, tmp_path: Path) -> None:
    """What the documentation shows is read without a complaint."""
    (tmp_path / "hookmart.toml").write_text(toml)
    assert load_settings(tmp_path / "hookmart.toml", {}).sources


MAPPINGS = DOCUMENTS["mappings.md"]


@pytest.mark.parametrize("name", builtin_names())
def test_every_mapping_is_documented_type_by_type(name: str) -> None:
    """What a mapping makes of which type, and what it ignores, is what its section says."""
    mapping = load_mapping(name, ROOT)
    made: dict[str, set[str]] = {}
    for rule in mapping.rules:
        for platform_type in rule.platform_types:
            made.setdefault(platform_type, set()).add(rule.event_type)
    heading = next(each for each in re.findall(r"^## (.+)$", MAPPINGS, re.MULTILINE) if each.lower() == name)
    section = _section(MAPPINGS, heading)
    assert {_terms(row[0])[0]: set(_terms(row[1])) for row in _table(section, "sent")} == made
    ignored = re.search(r"^Ignored: (.*?)\.$", section, re.MULTILINE | re.DOTALL)
    assert ignored
    assert set(_terms(ignored[1])) == mapping.ignored


def test_the_reasons_of_mappings_are_listed() -> None:
    """Whoever finds a payload waiting finds out why."""
    rows = _table(_section(MAPPINGS, "What happens to a payload"), "reason")
    assert [_terms(row[0])[0] for row in rows] == [*get_args(mapping_errors.Reason), "unmapped"]


def test_the_keys_of_a_mapping_are_listed() -> None:
    """Each key that a file may have, and each way a value may be written."""
    section = _section(MAPPINGS, "One of your own")
    tables: dict[str, type[BaseModel]] = {
        "`[mapping]`": mapping_file._MappingTable, "`[personal]`": mapping_file._PersonalTable,
        "`[[event]]`": mapping_file._EventTable, "field": mapping_file._FieldTable,
    }  # fmt: skip
    for name, table in tables.items():
        listed = [_terms(row[1])[0] for row in _table(section, "table") if row[0] == name]
        assert listed == [field.alias or key for key, field in table.model_fields.items()], name
    written = {(row[0], _terms(row[1])[0]) for row in _table(section, "the contract's field is")}
    kinds = {kind.value: ways for kind, ways in CONVERSIONS.items() if kind is not FieldKind.ANY}
    assert written == {(kind, way) for kind, ways in kinds.items() for way in ways}


def test_the_example_mapping_maps() -> None:
    """The mapping in the documentation is one, and makes the events that it says."""
    example = _blocks(_section(MAPPINGS, "One of your own"), "toml")[0]
    body = {
        "kind": "sale", "uid": "u1", "at": 1777802400, "order": "o1", "total": 12.5, "currency": "jpy", "brand": "b",
        "affiliate": {"id": 7, "name": "Seven"},
        "shares": [
            {"id": 1, "kind": "pct", "cents": 9, "affiliate": 7}, {"id": 2, "kind": "x", "cents": 1, "affiliate": 8},
        ],
    }  # fmt: skip
    events = mapping_file.read_mapping(example, "the example").apply(json.dumps(body).encode()).events
    assert [(event.header.event_id, event.header.event_type) for event in events] == [
        ("u1", "conversion.created"), ("u1#1", "commission.calculated"), ("u1#2", "commission.calculated"),
    ]  # fmt: skip


def test_the_example_of_a_list_maps() -> None:
    """Added to the example above it, it makes the list that it says."""
    [whole] = _blocks(_section(MAPPINGS, "One of your own"), "toml")
    [of_list] = _blocks(_section(MAPPINGS, "Lists"), "toml")
    body = {
        "kind": "paid", "uid": "u2", "at": 1777802400, "payout": "p1", "sum": 1500, "currency": "jpy",
        "affiliate": {"id": 7}, "lines": [{"sale": 1, "cents": 1200}, {"sale": None, "cents": 300}],
    }  # fmt: skip
    [event] = mapping_file.read_mapping(whole + of_list, "the example").apply(json.dumps(body).encode()).events
    assert json.loads(event.payload)["data"]["payout"]["allocations"] == [
        {"commission_id": "1", "amount": {"amount": "1200", "currency": "JPY"}}
    ]


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
                name for row in _table(_section(GO_LIVE, heading), "check") for name in _terms(row[0])
            }


def test_every_option_of_certify_is_listed() -> None:
    """An option that is added is missed here."""
    listed = {name for row in _table(_section(GO_LIVE, "Options"), "option") for name in _terms(row[0])}
    commands = typer.main.get_command(app)
    assert isinstance(commands, typer.core.TyperGroup)
    options = {
        name
        for each in commands.commands["certify"].params
        for name in (*each.opts, *each.secondary_opts)
        if name.startswith("--")
    }
    assert listed == options - {"--config", "--json"}
