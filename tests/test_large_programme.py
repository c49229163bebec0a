"""A programme large enough for what shows only where there are hundreds of clicks a day."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from hookmart.truth_check import check_truth
from ingest.settings import load_settings
from simulator.flavour import Flavour
from simulator.programme import Programme, ProgrammeSize
from tests.line import Line
from tests.test_truth import CONFIGURATION, SOURCE

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
SIZE = ProgrammeSize(events=250_000, partners=6)
TOGETHER = 25_000


@pytest.mark.slow
def test_a_ring_converts_as_no_other_partner_does(tmp_path: Path) -> None:
    """Its clicks become customers far more often than those of its peers, and on one day there are far more of them."""
    line = Line(tmp_path)
    programme = Programme(7, SIZE, UNTIL, Flavour.igaming)
    bodies = (("igaming", event.body) for event in programme.events())
    while batch := list(islice(bodies, TOGETHER)):
        line.stage_bodies(batch)
    line.load()
    line.build()
    (tmp_path / "hookmart.toml").write_text(
        CONFIGURATION.replace("Europe/Malta", "UTC") + SOURCE.format(name="igaming")
    )
    settings = load_settings(tmp_path / "hookmart.toml", {})
    assert check_truth(settings, "igaming", programme.truth).differences == ()

    ring = f"ptn_{programme.truth.statement[0].partner_id.split('_')[1]}_0006"
    outliers = line.query("""
        select partner_id, count(*) as days, max(value) as highest from marts.fraud_signals_daily
        where is_breach and signal = 'conversion_rate_outlier' group by partner_id order by days desc, highest desc
    """)
    assert outliers[0]["partner_id"] == ring
    assert outliers[0]["days"] >= 3
    # With few peers on a day an honest one may be an outlier among them, by little.
    assert all(outliers[0]["highest"] > 1.5 * each["highest"] for each in outliers[1:])
    [raid] = line.query("""
        select partner_id, value from marts.fraud_signals_daily
        where is_breach and signal = 'velocity' order by numerator desc limit 1
    """)
    assert raid["partner_id"] == ring
    assert raid["value"] > 3
