"""The further ids of a customer are found wherever they stand beside the id, and those of others are left to them."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingest.erased_json import external_ids_in
from ingest.tombstones import Tombstones
from pipelines.further_ids import further_ids
from tests.line import Line
from tests.test_erase import CUSTOMER, conversion, staged


def of_unknown_type(number: int, who: str, external: str) -> dict[str, Any]:
    """What goes into quarantine."""
    return {**conversion(number, who, external), "type": "conversion.unheard_of"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """Conversions and what waits in quarantine, of the customer and of others, some under the same external id."""
    line = Line(tmp_path_factory.mktemp("told"))
    in_base64 = orjson.dumps(of_unknown_type(7, CUSTOMER, "in base64"))
    line.stage_lines(
        [
            staged(conversion(1, external="in a column")),
            staged(of_unknown_type(2, CUSTOMER, "in quarantine")),
            staged(orjson.dumps(conversion(3, external="by an escape")).replace(b"cus_5f3a", b"cus_\\u0035f3a")),
            replace(
                staged(in_base64), payload=None, payload_base64="eyJ1c2VyX2lkIjogImN1c181ZjNhNzdlMGIxIiwgInVzZXJfZXh0"
                "ZXJuYWxfaWQiOiAiaW4gYmFzZTY0In0="
            ),
            staged(conversion(4, external="of two")),
            staged(conversion(5, "cus_other", "of two")),
            staged(conversion(6, external="of two, one in quarantine")),
            staged(of_unknown_type(8, "cus_other", "of two, one in quarantine")),
            staged(conversion(9, external="")),
            staged(conversion(10, "cus_other", "of another")),
            replace(staged(conversion(11, external="of another source")), source_id="zenith"),
        ]
    )  # fmt: skip
    line.load()
    return line


FOUND = {"in a column", "in quarantine", "by an escape", "in base64"}


def test_they_are_found_beside_the_id_wherever_it_stands(told: Line) -> None:
    """In columns and bodies, loaded or in quarantine; what another goes by too is nobody's, and empty is none."""
    assert further_ids(told.loader, CUSTOMER, ["acme"]) == {("acme", external) for external in FOUND}
    assert further_ids(told.loader, CUSTOMER, ["zenith"]) == {("zenith", "of another source")}
    assert further_ids(told.loader, "cus_nobody", ["acme"]) == set()


@pytest.mark.parametrize("gone", ["archive", "warehouse.duckdb"])
def test_either_of_archive_and_warehouse_is_enough(told: Line, tmp_path: Path, gone: str) -> None:
    """The archive keeps some days only, and a warehouse may be made anew."""
    shutil.copytree(told.root, tmp_path / "line")
    line = Line(tmp_path / "line")
    if gone == "archive":
        shutil.rmtree(line.root / gone)
    else:
        (line.root / gone).unlink()
        line.load()
    assert further_ids(line.loader, CUSTOMER, ["acme"]) == {("acme", external) for external in FOUND}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"customer": {"id": "a", "externalId": "x"}}', {("a", "x")}),
        ('{"buyer": {"external_id": 7, "id": 42}}', {("42", "7")}),
        ('{"customer_id": "a", "player_external_id": "x"}', set()),
        ('{"customer_id": "a", "customer_external_id": "x", "id": "e"}', {("a", "x")}),
        ('{"customer": {"id": null, "external_id": "x"}}', set()),
        ('{"partner": {"id": "p", "external_id": "x"}, "customer": {"id": "a"}}', set()),
        ('[{"customer": {"id": "a", "external_id": "x"}}, {"customer": {"id": "b"}}]', {("a", "x")}),
        ('{"customer": {"id": "a", "external_id": "x"}', set()),
    ],
)
def test_an_external_id_is_one_of_the_same_person(text: str, found: set[tuple[str, str]]) -> None:
    """It stands beside the id, in the same object and of the same name."""
    assert external_ids_in(text) == found


def test_one_that_is_new_goes_where_the_id_goes(tmp_path: Path) -> None:
    """In the event that has both it is taken out everywhere; others may go by it, so elsewhere it stays."""
    tombstones = Tombstones(tmp_path)
    tombstones.add([("acme", CUSTOMER)], "2026-11-28T00:00:00+00:00")
    event = orjson.dumps(conversion(1, external="crm-new", note=["crm-new", "crm-old"])).decode()
    cleaned = tombstones.cleaned("acme", event)
    assert "crm-new" not in cleaned
    assert "crm-old" in cleaned
    assert Tombstones(tmp_path).cleaned("acme", event) == cleaned
    other = orjson.dumps(conversion(2, "cus_other", "crm-new")).decode()
    assert tombstones.cleaned("acme", other) == other
