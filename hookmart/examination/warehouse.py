"""The warehouse: whether it opens, or who has it; what was loaded and built last; what readers get."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import duckdb

from hookmart.examination.finding import Finding, Part
from hookmart.reconcile import published_marts
from hookmart.terminal import OperationError
from hookmart.wiring import impatient, warehouse_of
from ingest.errors import SettingsError
from ingest.settings import Settings
from pipelines.duckdb_warehouse import DuckDBSession, DuckDBWarehouse
from pipelines.errors import NotPublishedError, PipelineError, WarehouseLockedError
from pipelines.warehouse import Warehouse, WarehouseSession

_PART = Part("warehouse")
_PATIENCE = 2.0

_STORAGE = "select tags['storage_version'] from duckdb_databases() where database_name = current_database()"


def examined_warehouse(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Yield what the warehouse and the published marts are like; neither is changed."""
    try:
        warehouse = warehouse_of(settings)
    except (SettingsError, OperationError) as error:
        yield _PART.wrong(str(error))
        return
    if not warehouse.exists():
        yield _PART.good("Nothing has been loaded yet; the first load makes the warehouse.")
        return
    load_seq = 0
    try:
        with _looking(warehouse) as session:
            yield _opened(settings, session)
            load_seq = session.last_load_seq()
            yield from _newest(session, load_seq, now)
    except WarehouseLockedError as error:
        holder = "" if error.__cause__ is None else f" ({_first_line(error.__cause__)})"
        yield _PART.warning(f"{error}{holder} A load or a build that is under way is no fault; look again in a minute.")
    except (PipelineError, duckdb.Error, OSError) as error:
        yield _PART.wrong(f"The warehouse does not open: {error}. What was received stays staged until it does.")
        return
    yield from _published(settings, load_seq)


def _looking(warehouse: Warehouse) -> AbstractContextManager[WarehouseSession]:
    """Open it, for a moment, and without the changes that a session of ours may begin with."""
    if isinstance(warehouse, DuckDBWarehouse):
        return _read_only(warehouse)
    return impatient(warehouse, _PATIENCE).session()


@contextmanager
def _read_only(warehouse: DuckDBWarehouse) -> Iterator[WarehouseSession]:
    try:
        session = DuckDBSession(lambda: duckdb.connect(warehouse.database, read_only=True))
    except duckdb.IOException as error:
        if "lock" not in str(error).lower():
            raise
        raise WarehouseLockedError(f"The warehouse {warehouse.database} is open in another program.") from error
    try:
        yield session
    finally:
        session.connection.close()


def _opened(settings: Settings, session: WarehouseSession) -> Finding:
    destination = settings.warehouse.destination
    if destination != "duckdb":
        return _PART.good(f"The warehouse ({destination}) opens.")
    [(storage,)] = session.execute(_STORAGE)
    return _PART.good(
        f"{settings.warehouse.database} opens, with DuckDB {duckdb.__version__}; its storage version is {storage}."
    )


def _newest(session: WarehouseSession, load_seq: int, now: datetime) -> Iterator[Finding]:
    missing = session.missing_tables()
    if missing:
        yield _PART.good("Nothing has been loaded yet.")
        return
    loaded_at = session.last_loaded_at()
    if loaded_at is not None:
        ago = (now - loaded_at.replace(tzinfo=loaded_at.tzinfo or UTC)).total_seconds()
        yield _PART.good(f"The newest load is {load_seq}, {ago:,.0f} s ago.")
    built = session.last_build()
    if built is None:
        yield _PART.warning("No marts have been built yet; run `hookmart build`.")
    elif built.load_seq < load_seq:
        yield _PART.warning(
            f"The marts are built up to load {built.load_seq}, and {load_seq} is loaded; run `hookmart build`, or"
            " look at what `hookmart up` prints."
        )
    else:
        yield _PART.good(f"The marts are built up to load {built.load_seq}.")


def _published(settings: Settings, load_seq: int) -> Iterator[Finding]:
    try:
        with published_marts(settings) as marts:
            rows = marts("select count(*) as partners from partners", {}).to_pylist()
    except NotPublishedError as error:
        yield _PART.warning(str(error)) if load_seq else _PART.good("Nothing is published yet.")
    except (PipelineError, duckdb.Error, OSError) as error:
        yield _PART.wrong(f"The published marts cannot be read ({_first_line(error)}); run `hookmart build`.")
    else:
        yield _PART.good(f"Readers get the published marts; partners in them: {rows[0]['partners']:,}.")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
