"""`hookmart docs`: one page in which analysts find every mart, every column, and where its rows come from."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookmart.commands import app
from tests.browser import BROWSER, document_of
from tests.line import Line
from tests.programmes import random_programme

MODELS = Path(__file__).parent.parent / "dbt_project" / "models"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a warehouse with marts."""
    root = tmp_path_factory.mktemp("docs")
    line = Line(root)
    line.stage_posts(random_programme(6, partners=2, conversions=2, payouts=1, clicks=1))
    line.load()
    line.derive()
    config = root / "hookmart.toml"
    config.write_text('[stage]\nurl = "stage"\n[warehouse]\ndatabase = "warehouse.duckdb"\n')
    output = root / "site" / "index.html"
    answer = CliRunner().invoke(app, ["docs", "--config", str(config), "--output", str(output)])
    assert answer.exit_code == 0, answer.output
    return output


def as_shown(page: Path, model: str, profile: Path) -> str:
    """The document that a browser makes of the page, at *model*."""
    return document_of(page, profile, f"#!/{model}")


def test_every_model_is_on_the_page_and_nothing_of_this_machine(page: Path) -> None:
    """It can be handed on: no path of the disk it was made on, and nothing fetched from elsewhere."""
    text = page.read_text()
    missing = [path.stem for path in MODELS.rglob("*.sql") if f"model.hookmart.{path.stem}" not in text]

    assert missing == []
    assert str(MODELS.parent) not in text
    assert str(page.parent.parent) not in text
    assert 'src="http' not in text


@pytest.mark.skipif(BROWSER is None, reason="needs a browser: apt-get install chromium")
def test_a_browser_shows_a_mart_with_its_columns(page: Path, tmp_path: Path) -> None:
    """What one row is, and what its columns mean, is there to read."""
    shown = as_shown(page, "model/model.hookmart.commission_statement_monthly", tmp_path)
    for text in ("One row per month, source, partner and currency", "closing_balance", "DECIMAL(28,8)"):
        assert text in shown
    assert "From an affiliate platform's signed webhooks" in as_shown(page, "overview", tmp_path)
