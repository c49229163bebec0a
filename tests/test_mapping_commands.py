"""`hookmart mapping`, as somebody who writes one runs it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hookmart.commands import app
from mappings.mapping_file import builtin_text
from tests.platform_payloads import NAMES, PLATFORMS

SALE = str(PLATFORMS / "dub" / "sale-created.json")
LINK = str(PLATFORMS / "dub" / "link-created.json")


def run(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["mapping", *arguments], input=given, env={"COLUMNS": "200"})


def test_what_comes_with_hookmart_is_listed_and_shown() -> None:
    """The list names each mapping with what it maps and ignores; its file is printed to the byte."""
    document = json.loads(run("list", "--json").stdout)
    assert [each["name"] for each in document["mappings"]] == NAMES
    text = run("list").stdout
    assert "  sale.created -> conversion.created\n" in text
    assert "  ignored: bounty.created" in text
    assert run("show", "rewardful").stdout == builtin_text("rewardful")
    assert run("show", "nobody").exit_code == 2


def test_a_payload_is_shown_as_the_events_it_becomes(tmp_path: Path) -> None:
    """From files and from the input, each with its events, why it is ignored, or where it does not fit."""
    result = run("check", "dub", SALE, LINK)
    assert result.exit_code == 0
    assert f"{SALE}: sale.created" in result.stdout
    assert '"amount": "123.45"' in result.stdout
    assert "ignored: the mapping ignores this type" in result.stdout
    assert "zzyzx" not in result.stdout.lower()
    wrong = tmp_path / "wrong.json"
    wrong.write_text(Path(SALE).read_text().replace("12345", '"a lot"'))
    result = run("check", "dub", "-", str(wrong), "--json", given=Path(LINK).read_bytes())
    assert result.exit_code == 1
    ignored, fault = json.loads(result.stdout)["payloads"]
    assert (ignored["type"], ignored["ignored"]) == ("link.created", "the mapping ignores this type")
    assert fault["fault"] == "mapping: data.sale.amount (for data.conversion.value): a whole number is expected"
    assert "does not fit: mapping: data.sale.amount" in run("check", "dub", str(wrong)).stdout


def test_a_currency_is_given_as_the_source_would(tmp_path: Path) -> None:
    """Payloads that name none need it, in whatever case."""
    commission = str(PLATFORMS / "firstpromoter" / "commission-created.json")
    assert run("check", "firstpromoter", commission).exit_code == 1
    assert '"currency": "JPY"' in run("check", "firstpromoter", commission, "--currency", "jpy").stdout
    assert run("check", "firstpromoter", commission, "--currency", "yen").exit_code == 2
    assert run("check", "firstpromoter", str(tmp_path / "gone.json")).exit_code == 1


def test_a_mapping_that_cannot_be_used_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path starts from where one is; what is wrong in the file is said, and what is right is listed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(builtin_text("dub").replace('to = "click.tracked"', 'to = "click.seen"'))
    result = run("check", "own.toml")
    assert result.exit_code == 2
    assert "'click.seen' is no event of the contract" in result.stderr
    (tmp_path / "own.toml").write_text(builtin_text("dub"))
    assert "  sale.created -> conversion.created\n" in run("check", "own.toml").stdout
