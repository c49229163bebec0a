"""
`raw` to `marts` with dbt, in this process: what changed since the last complete build, or everything.

The parsed project (dbt's manifest) is kept between builds of one process, which saves most of a small build's time.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipelines.compiled_models import CompiledModels, GateError
from pipelines.compiled_store import CompiledStore
from pipelines.errors import BuildError
from pipelines.full_disk import full_disk_told
from pipelines.project_graph import ProjectGraph, project_graph
from pipelines.publish import PUBLISHED_NOTE
from pipelines.selection import Selection, downstream_of_changes
from pipelines.warehouse import Warehouse, WarehouseSession

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"

_MOST_MEMORY = 2560 * 1024**2
"""
Bytes for the engine, where it runs in this process: then all of it stays under 4 GB, however long the history is.

What is larger goes to the disk meanwhile.
"""

_GATE = "gate"
"""Tag of the data tests that every build must pass before its marts are published."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """
    What one build did.

    Attributes:
        load_seq: The newest load that the marts include.
        is_full: Whether everything was derived anew.
        models: Models built.
        tests: Data tests passed.
        generation: The published directory; None where nothing was new, or where readers read the warehouse itself.
        is_new: Whether readers got something new.
    """

    load_seq: int
    is_full: bool
    models: int = 0
    tests: int = 0
    generation: Path | None = None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """
    What a build is to do.

    Attributes:
        load_seq: The newest load that it includes.
        fingerprint: What the rows of the marts depend on besides the events.
        selection: What runs; None where everything is derived anew.
    """

    load_seq: int
    fingerprint: str
    selection: Selection | None


@dataclass(slots=True)
class Builder:
    """
    Builds and publishes the marts of one warehouse.

    Attributes:
        warehouse: Held while a build runs.
        published: Where readers find `current/marts.duckdb`, unless they read the warehouse itself.
        state: dbt's working folder.
        reporting_timezone: IANA name; days and months of the marts are its days.
        reporting_currency: Of the `_rc` columns.
        on_node: Told the name of each model or test when it is done.
    """

    warehouse: Warehouse
    published: Path
    state: Path
    reporting_timezone: str = "UTC"
    reporting_currency: str = "EUR"
    on_node: Callable[[str], None] = lambda _name: None
    _manifest: "Manifest | None" = field(default=None, repr=False)
    _parsed: str = field(default="", repr=False)
    _compiled: CompiledStore = field(init=False, repr=False)
    _inputs: Sequence[str] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Look for nothing yet."""
        self._compiled = CompiledStore(self.state / "compiled")

    def build(self, *, full_refresh: bool = False) -> BuildReport:
        """
        Bring the marts up to what is loaded, test them, publish them.

        A build is full by itself where an incremental one could not be right: the first one, and after the project's
        SQL, the reporting timezone or currency changed, `raw` was made anew, or an optional input came that rows of
        any age depend on.

        Raises:
            BuildError: A model or a gate test failed; nothing was published.
            WarehouseLockedError: Another program kept the warehouse open.
            DiskFullError: There was no room; readers have what they had.
        """
        with full_disk_told("build"), self.warehouse.session() as session:
            session.spare_memory(_MOST_MEMORY)
            plan = self.plan(session, full_refresh=full_refresh)
            if plan is None:
                return BuildReport(session.last_load_seq(), is_full=False)
            models, tests = self.derive(session, plan)
            generation = session.publish(self.published, plan.load_seq)
            if generation is None:
                (self.state / PUBLISHED_NOTE).write_text(f"marts, up to load {plan.load_seq}", encoding="utf-8")
            # Last, so that a build that was killed before readers had it is not taken for done.
            session.stamp_build(plan.fingerprint)
        return BuildReport(plan.load_seq, plan.selection is None, models, tests, generation, is_new=True)

    def plan(self, session: WarehouseSession, *, full_refresh: bool = False) -> BuildPlan | None:
        """Look what has to be done; None where readers have all there is."""
        self.look_at(session)
        fingerprint, load_seq, last = self._fingerprint(), session.last_load_seq(), session.last_build()
        if full_refresh or last is None or last.fingerprint != fingerprint or last.load_seq > load_seq:
            return BuildPlan(load_seq, fingerprint, selection=None)
        if last.load_seq == load_seq and not session.changed_inputs() and session.is_published(self.published):
            return None
        unchanged = session.unchanged_since(last.load_seq)
        return BuildPlan(load_seq, fingerprint, downstream_of_changes(self._graph(session), unchanged, _GATE))

    def derive(self, session: WarehouseSession, plan: BuildPlan) -> tuple[int, int]:
        """Run the models of *plan*, then its tests; return how many did and passed."""
        if session.runs_compiled:
            return self._derive_compiled(session, plan)
        if plan.selection is None:
            with session.lent():
                return self._dbt("run", "--full-refresh", variables=_variables_of(session, plan)), self._dbt(
                    "test", "--select", f"tag:{_GATE}"
                )
        models, tests = plan.selection.models, plan.selection.tests
        if not models:
            session.advance_build(plan.load_seq)
            return 0, 0
        with session.lent():
            ran = self._dbt("run", "--select", *models, variables=_variables_of(session, plan))
            return ran, self._dbt("test", "--select", *tests) if tests else 0

    def _derive_compiled(self, session: WarehouseSession, plan: BuildPlan) -> tuple[int, int]:
        key = self._compiled_key(session, is_full=plan.selection is None)
        compiled = self._compiled_models(session, plan, key)
        try:
            if plan.selection is None:
                tests = [node.name for node in compiled.graph.nodes.values() if node.is_test and _GATE in node.tags]
                return compiled.run_all(session, tests, plan.load_seq, self.on_node), len(tests)
            compiled.run(session, plan.selection, plan.load_seq, self.on_node)
        except GateError:
            session.forget_build()
            raise
        except BuildError:
            # dbt compiles a model whose table somebody dropped as one to be derived anew.
            self._compiled.forget(key)
            raise
        return len(plan.selection.models), len(plan.selection.tests)

    def _compiled_models(self, session: WarehouseSession, plan: BuildPlan, key: str) -> CompiledModels:
        compiled = self._compiled.get(key)
        if compiled is None:
            options = [] if plan.selection else ["--full-refresh"]
            with session.lent():
                nodes = self._invoke(
                    "compile", "--select", "resource_type:model", f"tag:{_GATE}", *options,
                    variables=_variables_of(session, plan),
                )  # fmt: skip
            compiled = CompiledModels(
                project_graph(self._parsed_project()), {each.node.unique_id: each.node.compiled_code for each in nodes}
            )
            self._compiled.put(key, compiled)
        return compiled

    def _compiled_key(self, session: WarehouseSession, *, is_full: bool) -> str:
        """Of all that the SQL depends on which dbt compiles: its macros and the names of relations too."""
        [(catalog,)] = session.execute("select current_database()")
        versions = [version(name) for name in ("dbt-core", f"dbt-{self.warehouse.dbt_target}")]
        parts = [self._fingerprint(), catalog, *versions, "anew" if is_full else "touched"]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def _graph(self, session: WarehouseSession) -> ProjectGraph:
        if session.runs_compiled:
            keys = [self._compiled_key(session, is_full=is_full) for is_full in (False, True)]
            if compiled := self._compiled.either(*keys):
                return compiled.graph
        return project_graph(self._parsed_project())

    def document(self, page: Path) -> None:
        """
        Write *page*, one HTML file that needs no other: every model with its columns, tests, SQL and lineage.

        Raises:
            BuildError: dbt could not make it.
            WarehouseLockedError: Another program kept the warehouse open.
        """
        with full_disk_told("documentation"), self.warehouse.session() as session:
            self.look_at(session)
            with session.lent():
                self._dbt("docs", "generate", "--static")
        made = (self.state / "target" / "static_index.html").read_text(encoding="utf-8")
        page.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all, since somebody may be reading it; and without paths of ours, since it is handed on.
        making = page.with_name(f".{page.name}.making")
        making.write_text(made.replace(f"{self.state / 'target'}/", ""), encoding="utf-8")
        making.replace(page)

    def look_at(self, session: WarehouseSession) -> None:
        """Notice which optional inputs `raw` holds; dbt is told of no other."""
        session.show_allocations()
        self._inputs = sorted(session.inputs())

    def _fingerprint(self) -> str:
        return hashlib.sha256((json.dumps(self._vars(), sort_keys=True) + _project_digest()).encode()).hexdigest()

    def _vars(self) -> dict[str, Any]:
        return {
            "reporting_timezone": self.reporting_timezone,
            "reporting_currency": self.reporting_currency,
            "inputs": list(self._inputs),
        }

    def _dbt(self, *command: str, variables: Mapping[str, Any] | None = None) -> int:
        """Run one dbt command as `_invoke` does, and return how many nodes succeeded."""
        # dbt counts its hooks among the results.
        nodes = [
            each for each in self._invoke(*command, variables=variables) if each.node.resource_type in {"model", "test"}
        ]
        return sum(each.status in {"success", "pass"} for each in nodes)

    def _invoke(self, *command: str, variables: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """
        Run one dbt command, its own options behind it, and return the results of its nodes.

        *variables* are of this run alone: no row depends on them.
        """
        # dbt takes seconds to import; no other command should pay for it.
        from dbt.cli.main import dbtRunner  # noqa: PLC0415

        runner = dbtRunner(manifest=self._parsed_project(), callbacks=[self._report_node])
        try:
            outcome = runner.invoke([*command, *self._common(variables)])
        finally:
            # Kept open from node to node, which saves a third of a small build, but not beyond: the loader comes next.
            self.warehouse.close_dbt()
        results: Sequence[Any] = getattr(outcome.result, "results", [])
        if not outcome.success:
            failures = [f"{each.node.name}: {each.message}" for each in results if each.status in {"error", "fail"}]
            raise BuildError("; ".join(failures[:3]) or f"dbt {command[0]} failed: {outcome.exception}")
        return results

    def _parsed_project(self) -> "Manifest":
        from dbt.cli.main import dbtRunner  # noqa: PLC0415

        os.environ.update(self.warehouse.dbt_environment())
        # Not a flag: dbt reads it before it reads the project, and would otherwise call home.
        os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
        # A manifest keeps the SQL as it was parsed, and files may change under a process that lives for months.
        digest = _project_digest()
        if self._manifest is None or self._parsed != digest:
            parsed = dbtRunner().invoke(["parse", *self._common()])
            if not parsed.success:
                raise BuildError(f"dbt could not parse the project: {parsed.exception}")
            self._manifest, self._parsed = cast("Manifest", parsed.result), digest
        return self._manifest

    def _common(self, variables: Mapping[str, Any] | None = None) -> list[str]:
        return [
            "--project-dir", str(PROJECT),
            "--profiles-dir", str(PROJECT),
            "--target", self.warehouse.dbt_target,
            "--target-path", str(self.state / "target"),
            "--log-path", str(self.state / "logs"),
            "--vars", json.dumps({**self._vars(), **(variables or {})}),
            "--no-write-json",
            "--quiet",
            "--log-level", "none",
        ]  # fmt: skip

    def _report_node(self, event: Any) -> None:
        if event.info.name in {"LogModelResult", "LogTestResult"}:
            self.on_node(event.data.node_info.node_name)


def _variables_of(session: WarehouseSession, plan: BuildPlan) -> dict[str, Any]:
    """What the macros of `dbt_project/macros/builds.sql` have to know of this build."""
    return {
        "build_load_seq": plan.load_seq,
        "loads_whole": session.loads_whole,
        "left_out": [] if plan.selection is None else list(plan.selection.left_out),
        # Elsewhere nobody looks whether a model made rows of no touched key.
        "touched_only": session.runs_compiled and plan.selection is not None,
    }


def _project_digest() -> str:
    """Of the SQL, and of what configures it: a model's types stand in its YAML."""
    digest = hashlib.sha256()
    for path in sorted([*PROJECT.rglob("*.sql"), *PROJECT.rglob("*.yml")]):
        digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
