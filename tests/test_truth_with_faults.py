"""Truth and marts agree whatever the seed, the flavour and the faults on the way."""

import asyncio
import random
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hookmart.inputs import load_inputs
from hookmart.played_programme import PlayedProgramme
from hookmart.played_source import played_source
from hookmart.receiver_process import ReceiverProcess
from hookmart.truth_check import check_truth
from hookmart.wiring import builder_of, loader_of
from ingest.settings import load_settings
from pipelines.status import read_status
from sending.clock import SystemClock
from simulator.back_office import BackOffice, close_months
from simulator.delivery import deliveries
from simulator.faults import FaultName, Faults
from simulator.flavour import Flavour
from simulator.journal import Event
from simulator.late_mail import LateMail
from simulator.programme import Programme, ProgrammeSize
from simulator.sender import send

SEEDS = 20
SIZE = ProgrammeSize(events=1500, partners=12)
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)

CONFIGURATION = """
[program]
reporting_timezone = "America/New_York"

[stage]
url = "stage"

[warehouse]
database = "warehouse.duckdb"
publish = "published"

[inputs.accounting_periods]
path = "office/accounting_periods.csv"
"""
SOURCE = """
[sources.{name}]
scheme = "standard-webhooks"
secrets = ["file:secret"]
"""


@pytest.mark.slow
def test_truth_and_marts_agree_for_twenty_seeds_in_all_flavours_with_all_faults(tmp_path: Path) -> None:
    """Eighty programmes, each a source of its own, posted with every fault, some late, loaded and built once."""
    seeds = random.Random(str(datetime.now(UTC).date())).sample(range(10**6), SEEDS)
    sources = {f"{flavour}-{seed}": (flavour, seed) for flavour in Flavour for seed in seeds}
    config = tmp_path / "hookmart.toml"
    config.write_text(CONFIGURATION + "".join(SOURCE.format(name=name) for name in sources))
    (tmp_path / "secret").write_text("whsec_" + "c2VjcmV0" * 6)
    settings = load_settings(config, {})
    faults = Faults.parse("all")
    played = {name: PlayedProgramme(settings, name, flavour, seed, SIZE) for name, (flavour, seed) in sources.items()}
    with ReceiverProcess(config, log_level="warning") as receiver, ExitStack() as stack:
        mails = {name: stack.enter_context(LateMail()) for name in sources}

        def post(name: str, events: Iterable[Event]) -> None:
            source = played_source(settings, name, receiver.url, {})
            posts = deliveries(events, faults, played[name].seed)
            report = asyncio.run(send(source.url, source.signer, posts, clock=SystemClock(100)))
            assert not report.undelivered, name
            assert not report.unexpected, name

        for name, programme in played.items():
            post(name, mails[name].in_time(programme.events(UNTIL, None, live_rate=None)))
        _close_months(tmp_path / "office")
        assert sum(mail.count for mail in mails.values()) > len(mails)
        for name, mail in mails.items():
            post(name, mail.late())
    loader_of(settings).load()
    load_inputs(settings)
    builder_of(settings).build()
    outcome = {name: check_truth(settings, name, programme.replayed_truth(UNTIL)) for name, programme in played.items()}
    assert not {name: check.differences for name, check in outcome.items() if check.differences}
    counts = read_status(settings.warehouse.state).sources
    assert all(counts[name].counts.duplicate and counts[name].counts.refused for name in sources)
    assert set(faults.shares) == set(FaultName)


def _close_months(office: Path) -> None:
    """For all of them at once, since months are closed for all sources of an operator."""
    with BackOffice(office, "none", "EUR") as files:
        for _ in Programme(1, ProgrammeSize(1, 1), UNTIL, office=files).events():
            pass
    close_months(office, datetime.now(UTC))
