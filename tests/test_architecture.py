"""Who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "mappings", "ingest", "pipelines", "sending", "simulator", "hookmart", "dbt_project")
ALLOWED: dict[str, tuple[str, ...]] = {
    "models": (),
    "mappings": ("models",),
    "ingest": ("models", "mappings"),
    "pipelines": (
        "models", "mappings", "ingest.staging", "ingest.durable_files", "ingest.archive", "ingest.tombstones",
        "ingest.erased_json",
    ),
    "sending": ("ingest.sources", "ingest.signing_plan"),
    "simulator": ("models", "sending", "ingest.sources"),
    "hookmart": ("models", "mappings", "ingest", "pipelines", "sending", "simulator"),
    "dbt_project": (),
}  # fmt: skip
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported_modules(path: Path) -> set[str]:
    """Every module that *path* imports, wherever in the file it does."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_package_imports_only_what_it_may(path: Path) -> None:
    """The flow goes one way: contracts know nobody, the receiver knows contracts, the pipeline knows segments."""
    package = path.relative_to(ROOT).parts[0]
    allowed = (package, *ALLOWED[package])
    ours = {module for module in imported_modules(path) if module.split(".")[0] in PACKAGES}
    strangers = {module for module in ours if not any(f"{module}.".startswith(f"{each}.") for each in allowed)}
    assert not strangers


def test_every_package_is_shipped() -> None:
    """What stands at the top of the project with an `__init__` or a dbt project is in the wheel."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("packages = "))
    assert {each for each in PACKAGES if f'"{each}"' in line} == set(PACKAGES)


def test_no_file_has_a_name_that_says_nothing() -> None:
    """A file is named for its one reason to exist."""
    assert not [path for path in SOURCES if path.stem in {"utils", "helpers", "common", "misc"}]


def test_nothing_private_is_committed() -> None:
    """The lock names no index, and no file a machine's own paths."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert "index" not in lock.replace("pydantic-extra-index", "")
