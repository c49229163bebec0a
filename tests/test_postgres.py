"""A warehouse on a real PostgreSQL server: the same rows as on DuckDB, and readers who never wait."""

import random
import shutil
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
import pytest
from typer.testing import CliRunner

from hookmart.commands import app
from models.inputs import INPUTS
from pipelines.errors import BuildError, NotPublishedError, QueryError, WarehouseAwayError, WarehouseLockedError
from pipelines.input_changes import Input
from pipelines.inputs import InputLoader
from pipelines.postgres_destination import InsertJob
from pipelines.postgres_warehouse import PostgresWarehouse
from pipelines.quarantine import Quarantine, Selection
from pipelines.raw_tables import RAW_TABLES
from pipelines.status import read_status
from tests.input_files import ROWS as INPUT_ROWS
from tests.input_files import as_loaded, shape, write_file
from tests.line import BareLine, Line
from tests.postgres_line import PostgresLine, sorted_marts
from tests.postgres_server import PROGRAMS, PostgresServer
from tests.programme_activity import economic_inputs, plan_stories
from tests.programme_inputs import programme_inputs
from tests.programme_traffic import dense_traffic
from tests.programmes import mutate_delivery, random_programme
from tests.test_load import assert_accounted_for, distinct_ids, ids

TIMEZONE = "Europe/Malta"
POSTS = random_programme(5, partners=3, conversions=4, payouts=2, clicks=3)

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")


@pytest.fixture
def line(server: PostgresServer, tmp_path: Path) -> PostgresLine:
    """A line into a database of its own."""
    return PostgresLine(tmp_path, server, server.make_database())


@pytest.fixture(scope="module")
def built(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> PostgresLine:
    """
    A programme with all optional inputs in three loads, shuffled and repeated, two built in full, one on top.

    The second was received before the first, so rows of the first have given way to those of the second.
    """
    line = PostgresLine(tmp_path_factory.mktemp("built"), server, server.make_database(), TIMEZONE)
    # How the server shows instants and dates is its own affair.
    line.execute(f"alter database {line.database} set timezone = 'Asia/Tokyo'")
    line.execute(f"alter database {line.database} set datestyle = 'German'")
    line.twin = Line(tmp_path_factory.mktemp("twin"), TIMEZONE)
    posts = [*random_programme(3), *plan_stories(), *dense_traffic(3, sources=("dense",))]
    parts = mutate_delivery(posts, random.Random(3), batches=3)
    changed = [{**post, "data": {**post["data"], "note": "another body"}} for post in parts[1][:4]]
    segments = [
        staged(line, posts) for posts in ([*parts[0], *changed], parts[1], [*parts[2], *changed, *parts[0][:3]])
    ]
    economics = economic_inputs(3, sources=("acme", "zenith", "dense"))
    told = {"player_activity": economics.activity, "marketing_spend": economics.spend}
    for each in (line.twin, line):
        each.load_inputs(programme_inputs(3).rows() | told)
        for segment in (segments[1], segments[0]):
            shutil.copy(segment, each.stage.root)
            each.load()
        assert each.build().is_full
        shutil.copy(segments[2], each.stage.root)
        each.load()
        assert not each.build().is_full
    return line


def staged(line: PostgresLine, posts: list[dict[str, Any]]) -> Path:
    """A segment of *posts*, aside from the stage."""
    line.stage_posts(posts)
    [segment] = line.stage.closed_segments()
    return segment.path.rename(line.root / segment.path.name)


def raw_rows(line: BareLine, table: str) -> list[list[tuple[str, object]]]:
    """The rows of a table of `raw`, without what the clock decides, in an order that no engine decides."""
    rows = line.query_warehouse(f"select * from raw.{table}")
    mine = ({name: value for name, value in row.items() if name not in {"loaded_at", "replayed_at"}} for row in rows)
    return sorted((sorted(row.items()) for row in mine), key=repr)


def test_every_mart_is_the_same_as_on_duckdb(built: PostgresLine) -> None:
    """Loaded and built by the same pipeline, full and incremental, row for row, whatever the server's settings."""
    for table in RAW_TABLES:
        assert raw_rows(built, table) == raw_rows(built.twin, table), table
    assert built.query("select 1 from raw.displaced_events where is_conflict limit 1")
    marts = built.sorted_marts()
    assert all(marts.values())
    assert built.query("select 1 from marts.partner_economics where margin_rc is not null limit 1")
    assert marts == sorted_marts(built.twin.marts())
    assert read_status(built.root / "state").sources == read_status(built.twin.root / "state").sources
    assert not built.build().is_new


def test_readers_never_wait_and_see_one_tested_build(built: PostgresLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A reader in a long transaction keeps its rows while everything is built anew, and the grants it has.

    A build whose marts fail their tests changes nothing for readers, and the next one makes up for it.
    """
    built.execute("drop role if exists analyst; create role analyst login")
    built.execute("grant usage on schema marts to analyst; grant select on all tables in schema marts to analyst")
    reader = psycopg2.connect(built.server.url(built.database, user="analyst"))
    cursor = reader.cursor()
    cursor.execute("begin isolation level repeatable read; select count(*) from marts.conversions")
    [before] = cursor.fetchone()
    published = built.sorted_marts()
    run = type(built.builder)._dbt

    def spoiling(builder: Any, command: str, *arguments: str, **named: Any) -> int:
        nodes = run(builder, command, *arguments, **named)
        if command == "run":
            built.execute("delete from marts_building.partners")
        return nodes

    built.stage_posts(random_programme(9, partners=2, conversions=3, payouts=1, clicks=1))
    built.load()
    with monkeypatch.context() as patched:
        patched.setattr(type(built.builder), "_dbt", spoiling)
        with pytest.raises(BuildError, match="partners_of_marts_are_known"):
            built.build()
    assert built.sorted_marts() == published
    assert built.build(full_refresh=True).is_new
    cursor.execute("select count(*), (select count(*) from marts.conversions) from marts.conversions as again")
    assert cursor.fetchone() == (before, before)
    reader.commit()
    cursor.execute("select count(*) from marts.conversions")
    assert cursor.fetchone()[0] > before
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("delete from marts.conversions")
    reader.close()
    assert len(built.marts()["partners"]) > len(published["partners"])


def test_the_commands_read_the_server(built: PostgresLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`query` and `status` work from the configuration alone, which names the URL and does not hold it."""
    config = tmp_path / "hookmart.toml"
    config.write_text(
        f'[program]\nreporting_timezone = "{TIMEZONE}"\n'
        '[warehouse]\ndestination = "postgres"\ncredentials = "env:WAREHOUSE_URL"\n'
        f'state = "{built.root / "state"}"\n[sources.acme]\nscheme = "hmac-sha256-hex"\nheader = "X-Signature"\n'
        'secrets = ["env:ACME"]\n'
    )
    monkeypatch.setenv("WAREHOUSE_URL", built.url)
    ask = CliRunner()
    partners = len(built.marts()["partners"])
    sql = "select count(*) as partners, sum(net_amount) as net from partners, marts.commissions"
    answer = ask.invoke(app, ["query", sql, "--config", str(config), "--format", "csv"])
    assert answer.output.startswith("partners,net\n")
    table = ask.invoke(app, ["query", "select count(*) as n from partners;", "--config", str(config)])
    assert str(partners) in table.output
    status = ask.invoke(app, ["status", "--config", str(config), "--json"])
    assert '"published": "marts, up to load ' in status.output
    for wrong in ("delete from partners returning 1", "select nothing"):
        refused = ask.invoke(app, ["query", wrong, "--config", str(config)])
        assert (refused.exit_code, "Traceback" in refused.output) == (1, False)
    assert ask.invoke(app, ["build", "--config", str(config), "--json"]).exit_code == 0
    monkeypatch.setenv("WAREHOUSE_URL", "mysql://u:hidden@h/d")
    for command in (["query", sql], ["load"]):
        wrong_url = ask.invoke(app, [*command, "--config", str(config)])
        assert (wrong_url.exit_code, "hidden" in wrong_url.output) == (2, False)
        assert "is not a URL such as postgresql://" in wrong_url.output


def test_nothing_built_is_said_in_a_sentence(line: PostgresLine) -> None:
    """A reader who comes before the first build is told what to run, and one with wrong SQL what is wrong."""
    with pytest.raises(NotPublishedError, match="run `hookmart load`"), line.warehouse.reading(line.root):
        pass
    line.execute("create schema marts; create table marts.one as select 1 as n")
    with line.warehouse.reading(line.root) as marts:
        assert marts("select n from one where n < $most", {"most": 2}).to_pylist() == [{"n": 1}]
        with pytest.raises(QueryError, match="nothing"):
            marts("select * from nothing", {})


def test_what_waits_in_quarantine_is_listed_and_replayed(line: PostgresLine) -> None:
    """The commands on the quarantine ask the server as they ask a file."""
    line.stage_bodies([("acme", b'{"no": "event"}'), ("acme", b"[")])
    line.load()
    quarantine = Quarantine(line.warehouse, line.stage)
    groups = quarantine.groups()
    assert sum(group.open for group in groups) == 2
    [delivery] = line.query("select delivery_id from raw.quarantined_events where payload = '['")
    [event] = quarantine.events(delivery["delivery_id"])
    assert (event.payload, event.position) == ("[", 0)
    assert quarantine.replay(Selection(source_id="acme")).examined == 2


def test_a_server_that_is_down_is_waited_for_and_loses_nothing(line: PostgresLine, server: PostgresServer) -> None:
    """The loader says whom it waits for, gives up in a sentence without the password, and loads once it is up."""
    told: list[str] = []
    url = server.url(line.database, password="hidden")
    line.loader = type(line.loader)(
        line.stage, line.root / "archive", PostgresWarehouse(url, line.root / "state", 0.3, told.append), line.root
    )
    line.stage_posts(POSTS)
    server.stop()
    try:
        with pytest.raises(WarehouseAwayError, match=r"does not answer: .*Start the server") as away:
            line.load()
        assert len(told) == 1
        assert told[0].startswith("waiting: postgresql://127.0.0.1")
        assert "hidden" not in str(away.value) + told[0] + repr(line.loader)
    finally:
        server.start()
    line.load()
    assert ids(line) == distinct_ids(POSTS)


def test_a_server_that_goes_away_in_the_middle_loses_nothing(
    line: PostgresLine, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that lost its server says so in a sentence, left nothing there, and the next one makes up for it."""
    line.load()
    line.stage_posts(POSTS)
    run = InsertJob.run

    def losing(job: InsertJob) -> None:
        run(job)
        server.stop()
        server.start()

    with monkeypatch.context() as patched:
        patched.setattr(InsertJob, "run", losing)
        with pytest.raises(WarehouseAwayError, match=r"went away: .*closed the connection"):
            line.load()
    assert ids(line) == []
    assert line.load().counts.loaded == len(ids(line))
    assert ids(line) == distinct_ids(POSTS)
    assert_accounted_for(line)
    assert line.stage.closed_segments() == []


def test_what_the_server_refuses_is_said_in_a_sentence(line: PostgresLine, server: PostgresServer) -> None:
    """A role that may not make schemas; nothing is lost, and the grant is what was missing."""
    server.execute("create role newcomer login")
    newcomer = PostgresWarehouse(server.url(line.database, user="newcomer"), line.root / "state")
    line.loader = type(line.loader)(line.stage, line.root / "archive", newcomer, line.root / "state")
    line.stage_posts(POSTS)
    with pytest.raises(WarehouseAwayError, match=r"refuses: permission denied for database .* Grant that to the role"):
        line.load()
    line.execute(f"grant create on database {line.database} to newcomer")
    line.load()
    assert ids(line) == distinct_ids(POSTS)


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_optional_inputs_are_loaded(line: PostgresLine, name: str) -> None:
    """What a file says is in `raw`, and a changed file takes the place of what it was."""
    path = line.root / f"{name}.csv"
    loader = InputLoader([Input(shape(name), write_file(path, INPUT_ROWS[name]))], line.warehouse, line.root / "state")
    columns = ", ".join(column.name for column in INPUTS[name].columns)
    for rows in (INPUT_ROWS[name], INPUT_ROWS[name][:1]):
        write_file(path, rows)
        assert loader.load().is_right
        found = line.query(f"select {columns} from raw.{name} order by {', '.join(INPUTS[name].key)}")
        assert found == as_loaded(name, rows)


def test_a_wrong_password_is_refused_at_once(line: PostgresLine, server: PostgresServer) -> None:
    """No use to wait: the sentence says where the URL comes from, and the right password opens."""
    server.guard("keeper", "right-password")
    line.execute("grant create on database " + line.database + " to keeper")
    for password, is_right in (("wrong-password", False), ("right-password", True)):
        url = server.url(line.database, user="keeper", password=password)
        line.loader = type(line.loader)(
            line.stage, line.root / "archive", PostgresWarehouse(url, line.root / "state", 60), line.root / "state"
        )
        if is_right:
            line.stage_posts(POSTS)
            line.load()
            assert ids(line) == distinct_ids(POSTS)
        else:
            with pytest.raises(WarehouseAwayError, match=r"does not let us in: .*password") as refused:
                line.load()
            assert password not in str(refused.value)


def test_one_loader_or_build_at_a_time_writes_to_a_warehouse(line: PostgresLine, tmp_path: Path) -> None:
    """Of two loaders with stages of their own the second waits, says so, and gives up or goes on."""
    told: list[str] = []
    other = PostgresLine(tmp_path / "other", line.server, line.database)
    other.stage_posts(POSTS)
    other.loader = type(other.loader)(
        other.stage, tmp_path / "archive", PostgresWarehouse(line.url, other.root / "state", 0.3, told.append), tmp_path
    )
    with line.warehouse.session():
        with pytest.raises(WarehouseLockedError, match="Another loader or build works in the warehouse"):
            other.load()
        assert told == [f"waiting: another loader or build works in {line.warehouse}"]
    other.load()
    assert ids(line) == distinct_ids(POSTS)
