"""The truth of a played programme: what the simulator's own books say is what the marts say, to the cent."""

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner, Result

from hookmart.commands import app
from hookmart.configured_inputs import input_loader_of
from hookmart.reconcile import comparison_of, published_marts, shape_of
from hookmart.truth_check import Difference, check_truth
from ingest.settings import Settings, load_settings
from pipelines.platform_report import read_report
from pipelines.reconciliation import reconcile
from simulator.back_office import INPUTS, BackOffice, close_months
from simulator.flavour import Flavour
from simulator.late_mail import LateMail
from simulator.programme import Programme, ProgrammeSize
from simulator.truth import MONEY_COLUMNS, Truth, read_truth
from tests.line import RECEIVED_AT, Line, staged_line

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
SIZE = ProgrammeSize(events=1500, partners=12)
ZONE = "Europe/Malta"
CLOSED_AT = RECEIVED_AT + timedelta(hours=1)

CONFIGURATION = f"""
[program]
reporting_timezone = "{ZONE}"

[stage]
url = "stage"

[warehouse]
database = "warehouse.duckdb"
publish = "published"
"""
SOURCE = """
[sources.{name}]
scheme = "hmac-sha256-hex"
header = "X-Webhook-Signature"
secrets = ["file:secret"]

[reports.{name}]
source = "{name}"

[reports.{name}.columns]
kind = "kind"
partner = "partner"
timestamp = "timestamp"
currency = "currency"
amount = "amount"

[reports.{name}.money]
payout = "debit"
"""
INPUT = """
[inputs.{name}]
path = "office/*/{name}.csv"
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Line, Settings, dict[str, Truth]]:
    """One programme of each flavour, each a source of its own, in disorder, some of it twice, some late; built once."""
    line = Line(tmp_path_factory.mktemp("played"), timezone=ZONE)
    truths = {}
    later: list[tuple[str, bytes]] = []
    for flavour in Flavour:
        with BackOffice(line.root / "office" / flavour, flavour.value, "EUR") as office:
            programme = Programme(7, SIZE, UNTIL, flavour, zone=ZoneInfo(ZONE), office=office)
            with LateMail() as mail:
                in_time = [event.body for event in mail.in_time(programme.events())]
                late = [event.body for event in mail.late()]
        assert late
        truths[flavour.value] = programme.truth
        rng = random.Random(flavour.value)
        arriving = [*in_time, *rng.sample(in_time, 50)]
        rng.shuffle(arriving)
        line.stage_bodies((flavour.value, body) for body in arriving)
        later += [(flavour.value, body) for body in [*late, *rng.sample(in_time, 10)]]
    for flavour in Flavour:
        close_months(line.root / "office" / flavour, CLOSED_AT)
    line.stage_lines(staged_line(*each, CLOSED_AT) for each in later)
    text = CONFIGURATION + "".join(SOURCE.format(name=flavour) for flavour in Flavour)
    text += "".join(INPUT.format(name=name) for name in INPUTS)
    (line.root / "hookmart.toml").write_text(text)
    (line.root / "secret").write_text("s" * 32)
    settings = load_settings(line.root / "hookmart.toml", {})
    line.load()
    assert input_loader_of(settings).load().is_right
    line.build()
    return line, settings, truths


@pytest.mark.parametrize("flavour", Flavour)
def test_truth_and_marts_agree(played: tuple[Line, Settings, dict[str, Truth]], flavour: Flavour) -> None:
    """Statement, counts by event type, states of conversions, rejections by reason, completeness: all the same."""
    _, settings, truths = played
    check = check_truth(settings, flavour.value, truths[flavour.value])
    assert check.differences == ()
    assert check.rows > SIZE.partners
    assert check.figures > 25


@pytest.mark.parametrize("flavour", Flavour)
def test_what_came_late_is_booked_in_the_open_month(
    played: tuple[Line, Settings, dict[str, Truth]], flavour: Flavour
) -> None:
    """Two months are closed, and the statement of the third says how much of it is of theirs."""
    line, _, truths = played
    late = line.query(f"""
        select effective_date, booking_date from marts.commission_ledger
        where is_prior_period and source_id = '{flavour}'
    """)
    assert late
    assert {row["booking_date"] for row in late} == {date(2026, 10, 1)}
    assert {row["effective_date"].month for row in late} <= {8, 9}
    prior = {row.month for row in truths[flavour.value].statement if row.prior_period_amount}
    assert prior == {date(2026, 10, 1)}


@pytest.mark.parametrize("flavour", Flavour)
def test_a_tier_that_holds_for_the_month_is_paid_for_the_month(
    played: tuple[Line, Settings, dict[str, Truth]], flavour: Flavour
) -> None:
    """What commissions are worth more since the first is what the partner gets, but for what was rounded each time."""
    line, _, truths = played
    rises = line.query(f"""
        select * from marts.tier_impact where is_retroactive and source_id = '{flavour}' and retro_received_rc <> 0
    """)
    assert rises
    for rise in rises:
        assert (rise["retroactive_from"].day, rise["effective_from"].day) == (1, 12)
        assert rise["retro_received_rc"] > 0
    expected, received = (sum(rise[name] for rise in rises) for name in ("retro_expected_rc", "retro_received_rc"))
    # Cancelled meanwhile, or reached on the last day: no platform pays a delta for that.
    assert abs(received - expected) <= expected / 4
    assert any(kind == "retro_tier" for kind, _ in truths[flavour.value].adjustments)


@pytest.mark.parametrize("flavour", Flavour)
def test_an_order_that_belongs_to_somebody_else_goes_over_with_its_commission(
    played: tuple[Line, Settings, dict[str, Truth]], flavour: Flavour
) -> None:
    """The conversion is of the one who was found to be owed it; the other's commission is taken back in full."""
    line, _, _ = played
    moved = line.query(f"""
        select conversions.conversion_id, conversions.partner_id, commissions.partner_id as paid, commissions.net_amount
        from marts.conversions inner join marts.commissions using (source_id, conversion_id)
        where conversions.source_id = '{flavour}' and commissions.model <> 'override'
          and conversion_id in (
              select conversion_id from marts.commissions where model <> 'override' and source_id = '{flavour}'
              group by conversion_id having count(distinct partner_id) = 2
          )
    """)
    assert moved
    assert all(row["net_amount"] == 0 for row in moved if row["paid"] != row["partner_id"])
    assert all(row["net_amount"] > 0 for row in moved if row["paid"] == row["partner_id"])


@pytest.mark.parametrize("flavour", Flavour)
def test_nothing_of_a_test_counts(played: tuple[Line, Settings, dict[str, Truth]], flavour: Flavour) -> None:
    """Neither the operator's own partner nor what says that it is a test is in any mart, though all was loaded."""
    line, _, truths = played
    truth = truths[flavour.value]
    sandbox = f"ptn_{truth.statement[0].partner_id.split('_')[1]}_0012"
    assert truth.test_events > 5
    [raw] = line.query_warehouse(f"""
        select
            count(*) filter (where livemode = false) as tests,
            count(*) filter (where partner_id = '{sandbox}') as own
        from raw.commission_events where source_id = '{flavour}'
    """)
    assert raw["tests"]
    assert raw["own"]
    for mart in ("partners", "clicks", "conversions", "commissions", "payouts", "commission_ledger"):
        assert not line.query(f"select 1 from marts.{mart} where partner_id = '{sandbox}'")
    assert not any(row.partner_id == sandbox for row in truth.statement)


@pytest.mark.parametrize("flavour", Flavour)
def test_the_same_order_twice_and_the_same_calculation_twice_are_raised(
    played: tuple[Line, Settings, dict[str, Truth]], flavour: Flavour
) -> None:
    """With what is at risk; and a new version of a calculation is booked as what it differs by."""
    line, _, truths = played
    raised = {
        row["rule"]: row["at_risk"]
        for row in line.query(f"""
            select rule, sum(amount_at_risk) as at_risk from marts.data_exceptions
            where source_id = '{flavour}' group by rule
        """)
    }
    assert raised["duplicate_business_key"] > 0
    assert raised["duplicate_commission_calculated"] > 0
    assert truths[flavour.value].counts["duplicate_conversions"]["conversions"] > 0
    assert line.query(
        f"select 1 from marts.commission_ledger where entry_type = 'restated' and source_id = '{flavour}'"
    )


def test_one_wrong_cent_is_found(played: tuple[Line, Settings, dict[str, Truth]]) -> None:
    """Whatever figure of whatever row is a cent off, it is the one that is told."""
    _, settings, truths = played
    truth = truths["igaming"]
    for number, name in enumerate(MONEY_COLUMNS):
        row = truth.statement[number]
        wrong = row._replace(**{name: getattr(row, name) + Decimal("0.01")})
        spoilt = replace(truth, statement=(*truth.statement[:number], wrong, *truth.statement[number + 1 :]))
        (difference,) = check_truth(settings, "igaming", spoilt).differences
        assert difference.column == name
        assert difference.truth == difference.held + Decimal("0.01")  # type: ignore[operator]
        assert row.partner_id in difference.where


def test_what_one_side_lacks_is_found(played: tuple[Line, Settings, dict[str, Truth]]) -> None:
    """A row too many or too few, another count, and an event that is missing are told, each as what it is."""
    _, settings, truths = played
    truth = truths["saas"]
    spoilt = replace(
        truth,
        statement=truth.statement[1:],
        event_types={**truth.event_types, "click.tracked": truth.event_types["click.tracked"] - 1},
        counts={**truth.counts, "rejections": {}},
        adjustments={},
    )
    differences = check_truth(settings, "saas", spoilt).differences
    assert {each.what for each in differences} == {
        "statement", "event_types", "rejections", "completeness", "adjustments",
    }  # fmt: skip
    assert Difference("completeness", "saas", "loaded", truth.events - 1, truth.events) in differences
    assert all(each.truth is None for each in differences if each.what in {"statement", "rejections", "adjustments"})


def test_truth_is_read_back_as_it_was_written(played: tuple[Line, Settings, dict[str, Truth]]) -> None:
    """The document holds everything, exactly; anything else is said to be none."""
    for truth in played[2].values():
        assert read_truth(truth.document()) == truth
    for document in (b"", b"[]", b"{}", b'{"programme": "1"}'):
        with pytest.raises(ValueError, match="truth"):
            read_truth(document)


def check_by_command(line: Line, *arguments: str) -> Result:
    return CliRunner().invoke(
        app,
        [
            "simulate", "--check", "--config", str(line.root / "hookmart.toml"), "--source", "forex",
            "--flavour", "forex", "--seed", "7", "--events", str(SIZE.events), "--partners", str(SIZE.partners),
            "--until", "2026-11-01", *arguments,
        ],
    )  # fmt: skip


def test_check_plays_again_or_reads_the_truth_and_exits_by_what_it_finds(
    played: tuple[Line, Settings, dict[str, Truth]], tmp_path: Path
) -> None:
    """0 where truth and marts agree, 1 with a table or a document where a cent is wrong, or there is no truth."""
    line, _, truths = played
    agreed = check_by_command(line)
    assert (agreed.exit_code, "agree, to the cent" in agreed.output) == (0, True)

    row = truths["forex"].statement[2]
    wrong = row._replace(paid=row.paid + Decimal("0.01"))
    statement = tuple(wrong if each == row else each for each in truths["forex"].statement)
    spoilt = replace(truths["forex"], statement=statement)
    (tmp_path / "truth.json").write_bytes(spoilt.document())
    told = check_by_command(line, "--out", str(tmp_path))
    assert told.exit_code == 1
    assert "-0.01" in told.output
    document = check_by_command(line, "--out", str(tmp_path), "--json")
    assert document.exit_code == 1
    (difference,) = json.loads(document.output)["differences"]
    assert (difference["column"], difference["where"].split()[1]) == ("paid", row.partner_id)

    elsewhere = replace(truths["forex"], timezone="UTC")
    (tmp_path / "truth.json").write_bytes(elsewhere.document())
    assert "begin in UTC" in check_by_command(line, "--out", str(tmp_path)).output
    assert check_by_command(line, "--out", str(tmp_path / "nowhere")).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--check", "--live"), "--out"),
        (("--live", "--until", "2026-11-01"), "--until"),
        (("--live", "--log", "log.sqlite"), "--log"),
    ],
)
def test_what_live_cannot_do_is_said(
    played: tuple[Line, Settings, dict[str, Truth]], arguments: tuple[str, ...], said: str
) -> None:
    """What happens now has no other end, cannot be taken up again, and leaves its truth only where it is told to."""
    config = ("--config", str(played[0].root / "hookmart.toml"), "--source", "saas")
    answer = CliRunner().invoke(app, ["simulate", *config, *arguments])
    assert answer.exit_code == 2
    assert said in answer.output


EVERYWHERE = {
    "ring": {
        "short_click_to_conversion",
        "same_ip_24h",
        "same_device_24h",
        "geo_mismatch",
        "rejection_spike",
        "self_referral",
        "payout_destination_shared",
        "velocity",
    },
    "accomplice": {
        "long_click_to_conversion",
        "conversions_without_click",
        "chargeback_rate",
        "payout_destination_shared",
    },
}


@pytest.mark.parametrize("flavour", Flavour)
def test_a_ring_leaves_its_signals(played: tuple[Line, Settings, dict[str, Truth]], flavour: Flavour) -> None:
    """The farm and its accomplice breach what they were caught by, and nobody honest shares machines or accounts."""
    line, _, truths = played
    tag = truths[flavour.value].statement[0].partner_id.split("_")[1]
    found: dict[str, set[str]] = {}
    for row in line.query(f"""
        select distinct partner_id, signal from marts.fraud_signals_daily
        where is_breach and source_id = '{flavour}'
    """):
        found.setdefault(row["partner_id"], set()).add(row["signal"])
    ring, accomplice = f"ptn_{tag}_0006", f"ptn_{tag}_0007"
    # Only a deposit has a smallest one.
    deposits = {"first_deposits_at_minimum"} if flavour in {Flavour.igaming, Flavour.forex} else set()
    assert found[ring] >= EVERYWHERE["ring"] | deposits
    assert found[accomplice] >= EVERYWHERE["accomplice"]
    honest = set().union(*(signals for partner, signals in found.items() if partner not in {ring, accomplice}))
    assert not honest & {
        "same_ip_24h",
        "same_device_24h",
        "payout_destination_shared",
        "short_click_to_conversion",
        "velocity",
    }


def test_shares_are_what_customers_were_worth(played: tuple[Line, Settings, dict[str, Truth]]) -> None:
    """What was booked for a month is its share of the activity, in whole cents, where no rate comes between."""
    line, _, _ = played
    shares = line.query("""
        select distinct shares.* from marts.revshare_monthly as shares
        inner join marts.commissions using (source_id, partner_id)
        where commissions.currency = 'EUR' and commissions.period_start is not null
    """)
    assert shares
    assert all(abs(row["variance_rc"]) <= Decimal("0.005") for row in shares)
    assert min(row["booked_rc"] for row in shares) < 0 < max(row["booked_rc"] for row in shares)


@pytest.mark.parametrize("flavour", Flavour)
def test_the_platforms_own_report_agrees(played: tuple[Line, Settings, dict[str, Truth]], flavour: Flavour) -> None:
    """The report that is written beside the events reconciles with the marts without a difference."""
    line, settings, _ = played
    configured = settings.reports[flavour.value]
    shape = shape_of(configured, ZONE)
    report = read_report(line.root / "office" / flavour / "report.csv", shape)
    with published_marts(settings) as marts:
        outcome = reconcile(marts, report, shape, comparison_of(settings, flavour.value, configured))
    assert not report.wrong_rows
    assert outcome.is_equal, outcome.differences.to_pylist()[:3]
