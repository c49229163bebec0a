"""Snowflake, BigQuery and Redshift from the configuration alone; nothing is connected."""

import json
import re
from pathlib import Path

import pytest

from hookmart.terminal import OperationError
from hookmart.wiring import warehouse_of
from ingest.errors import SettingsError
from ingest.settings import load_settings
from pipelines import cloud_engines
from pipelines.build import PROJECT
from pipelines.cloud_warehouse import CloudWarehouse

KEY = json.dumps({"project_id": "keys", "client_email": "loader@keys", "private_key": "hidden"})
SOURCE = '[sources.acme]\nscheme = "hmac-sha256-hex"\nsecrets = ["env:ACME"]\n'
CASES = [
    ('destination = "snowflake"', "snowflake://me:hidden@account/db?warehouse=w&role=r", "snowflake://account/db"),
    ('destination = "redshift"', "redshift://me:hidden@host/db?sslmode=require", "redshift://host:5439/db"),
    ('destination = "bigquery"\nproject = "marts"\nlocation = "EU"', KEY, "bigquery://marts"),
]


def configured(tmp_path: Path, section: str, credentials: str) -> CloudWarehouse:
    """The warehouse that the section asks for."""
    path = tmp_path / "hookmart.toml"
    path.write_text(f'[warehouse]\n{section}\ncredentials = "file:credentials"\n{SOURCE}')
    (tmp_path / "credentials").write_text(credentials)
    warehouse = warehouse_of(load_settings(path, {}))
    assert isinstance(warehouse, CloudWarehouse)
    return warehouse


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the extras are installed or not."""
    monkeypatch.setattr(cloud_engines, "import_module", lambda _name: None)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(("section", "credentials", "name"), CASES)
def test_configuration_is_all_it_takes(section: str, credentials: str, name: str, tmp_path: Path) -> None:
    """Everything that dbt's output asks for is given, and what is shown of it holds no secret."""
    warehouse = configured(tmp_path, section, credentials)
    assert str(warehouse) == name
    assert "hidden" not in repr(warehouse)
    profile = (PROJECT / "profiles.yml").read_text()
    prefix = f"HOOKMART_{warehouse.dbt_target.upper()}"
    asked = {each for each in re.findall(r"env_var\('(\w+)'", profile) if prefix in each}
    assert asked == warehouse.dbt_environment().keys()


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("destination", "credentials"),
    [
        ("snowflake", "mysql://me:hidden@h/d"),
        ("snowflake", "snowflake://hidden@account/db"),
        ("redshift", "redshift://hidden@host:many/db"),
        ("redshift", "redshift://hidden@host/db"),
        ("bigquery", "hidden"),
        ("bigquery", '{"project_id": "hidden"}'),
    ],
)
def test_wrong_credentials_are_told_without_them(destination: str, credentials: str, tmp_path: Path) -> None:
    """A sentence says what form they have, and does not repeat them."""
    with pytest.raises(SettingsError, match="credentials") as refused:
        configured(tmp_path, f'destination = "{destination}"', credentials)
    assert "hidden" not in str(refused.value)


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the adapters the command says what to install."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name, name=name)

    monkeypatch.setattr(cloud_engines, "import_module", missing)
    for section, credentials, _ in CASES:
        destination = section.split('"')[1]
        with pytest.raises(OperationError, match=rf"install hookmart\[{destination}\]"):
            configured(tmp_path, section, credentials)


@pytest.mark.parametrize("line", ['project = "p"', 'location = "EU"', 'private_key = "env:KEY"'])
def test_keys_of_another_engine_are_refused(line: str, tmp_path: Path) -> None:
    """What would go unread is refused."""
    path = tmp_path / "hookmart.toml"
    path.write_text(f'[warehouse]\ndestination = "redshift"\ncredentials = "env:URL"\n{line}\n{SOURCE}')
    with pytest.raises(SettingsError, match="leave it out"):
        load_settings(path, {})
