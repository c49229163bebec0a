"""The configuration of inputs: what it refuses, and that the documentation has all of it."""

import re
from pathlib import Path

import pytest

from hookmart.configured_inputs import input_loader_of
from ingest.errors import SettingsError
from ingest.input_settings import InputSettings, InputsSettings
from ingest.settings import Settings, load_settings
from models.inputs import INPUTS
from pipelines.input_sql import SqlTable
from pipelines.input_tables import ERROR_SCHEMA, table_schema

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")


def _load(directory: Path, text: str) -> Settings:
    path = directory / "hookmart.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, {})


def _section(heading: str) -> str:
    section = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert section
    return section[1]


def test_what_the_documentation_shows_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example becomes three inputs, with the URL where it belongs and nowhere in what is printed."""
    (example,) = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    monkeypatch.setenv("BACKOFFICE_URL", "sqlite:///hunter2.db")
    loader = input_loader_of(_load(tmp_path, example))
    activity, spend, rates = loader.inputs
    assert activity.origin == tmp_path / "inputs" / "activity" / "**" / "*.csv"
    assert spend.origin == SqlTable("sqlite:///hunter2.db", "reporting.spend", "updated_at")
    assert "hunter2" not in repr(loader)
    assert (rates.shape.layout.sheet, rates.shape.columns["rate"]) == ("2026", "Mid")


def test_every_input_and_column_is_documented() -> None:
    """Each table with its key, and each column with what it holds and whether it is needed."""
    keys = {name: tuple(re.findall(r"`(\w+)`", key)) for name, key in re.findall(
        r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", _section("Tables"), re.MULTILINE
    )}  # fmt: skip
    assert keys == {name: table.key for name, table in INPUTS.items()}
    for name, table in INPUTS.items():
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w ]+) \|$", _section(name), re.MULTILINE)
        assert rows == [
            (
                column.name,
                column.kind.value,
                "yes" if column.is_required else "one of the two" if column.name in table.one_of else "no",
            )
            for column in table.columns
        ]
    kinds = re.findall(r"^\| (\w+) \| [^|]+ \| `", _section("What cells hold"), re.MULTILINE)
    assert kinds == [*dict.fromkeys(kinds)]
    assert {column.kind.value for table in INPUTS.values() for column in table.columns} == set(kinds)


def test_every_other_column_is_documented() -> None:
    """Where a row came from, and the tables for the record."""
    own = {column.name for column in INPUTS["fx_rates"].columns}
    besides = set(table_schema(INPUTS["fx_rates"]).names) - own - {"row_key", "part"}
    assert set(re.findall(r"^\| `(\w+)` \|", _section("What cells hold"), re.MULTILINE)) == besides
    assert {*ERROR_SCHEMA.names} <= set(re.findall(r"`(\w+)`", _section("Tables for the record")))


def test_every_key_is_documented_with_its_default() -> None:
    """A key that is added, or a default that is changed, is missed here."""
    keys = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", _section("Keys of an input"), re.MULTILINE))
    assert keys.keys() == InputSettings.model_fields.keys()
    for name, field in InputSettings.model_fields.items():
        if isinstance(field.default, str) and field.default:
            assert keys[name] == f"`{field.default}`"
    assert InputsSettings.model_fields.keys() == INPUTS.keys()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[inputs.fx_rates]", "either `path`, a file or a glob, or `sql`"),
        ('[inputs.fx_rates]\npath = "a.csv"\nsql = "env:X"', "either `path`, a file or a glob, or `sql`"),
        ('[inputs.fx_rates]\nsql = "env:X"', "not which `table`"),
        ('[inputs.fx_rates]\nsql = "sqlite:///x"\ntable = "t"', "a secret does not belong into the configuration"),
        ('[inputs.fx_rates]\npath = "a.csv"\ncursor = "id"', "are of a database"),
        ('[inputs.fx_rates]\npath = "a.csv"\ncolumns = { rates = "x" }', "has 'rates', which is none of its columns"),
        ('[inputs.fx_rates]\npath = "a.csv"\nwithout = ["rate"]', "which it cannot do without"),
        ('[inputs.player_activity]\npath = "a"\nwithout = ["ggr"]\ncolumns = { ggr = "x" }', "given as well"),
        ('[inputs.fx_rates]\npath = "a"\ncolumns = { rate = "x", rate_date = "x" }', "two columns from the same one"),
        ('[inputs.fx_rates]\npath = "a"\ndecimal = ","\nthousands = ","', "are the same"),
        ('[inputs.fx_rates]\npath = "a"\nencoding = "utf-9"', "is not a text encoding"),
        ('[inputs.rates]\npath = "a"', "`inputs.rates` is not a setting"),
        ('[inputs.fx_rates]\npath = "s3://bucket/a.csv"', "s3:// is not supported yet"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """In a sentence that says what to do, at start."""
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        _load(tmp_path, text)


def test_a_constant_that_fits_no_cell_is_refused_at_start(tmp_path: Path) -> None:
    """Otherwise every row would be wrong, each told by itself."""
    text = '[inputs.fx_rates]\npath = "a.csv"\nconstants = { base_currency = "EURO" }'
    with pytest.raises(SettingsError, match="is not a known currency code"):
        input_loader_of(_load(tmp_path, text))


def test_a_missing_url_is_refused_at_start(tmp_path: Path) -> None:
    """The sentence says which variable to set."""
    text = '[inputs.fx_rates]\nsql = "env:NO_SUCH_URL"\ntable = "rates"'
    with pytest.raises(SettingsError, match="NO_SUCH_URL"):
        input_loader_of(_load(tmp_path, text))
