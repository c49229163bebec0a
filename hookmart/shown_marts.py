"""What `hookmart demo` shows of the marts: which there are, the funnel, whom to look at, and a statement."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from hookmart.terminal import out
from ingest.settings import Settings
from models.currencies import CURRENCY_EXPONENTS
from pipelines.publish import open_published

_MARTS = (
    ("partners", "who sends customers, in which state"),
    ("conversions", "every conversion at its latest known state"),
    ("commissions", "what each commission is worth by now"),
    ("commission_ledger", "every money move, signed"),
    ("commission_statement_monthly", "what each partner is owed, month by month"),
    ("payouts", "what was paid, failed, came back"),
    ("fraud_rejections", "what was rejected, why, and what it saved"),
    ("conversion_funnel_daily", "how many came, converted and stayed, by day"),
    ("fraud_scorecard", "whom to look at first"),
    ("partner_economics", "what each partner brings and costs, by month"),
    ("data_exceptions", "what does not add up, and the money at risk"),
)

_STATEMENT = """
    select month, currency, opening_balance, earned, adjusted, paid, returned, closing_balance
    from commission_statement_monthly
    where partner_id = ? order by currency, month
"""

# A statement worth looking at: of the partners something was returned to or taken back from, the one with most moves.
_PARTNER_TO_SHOW = """
    select ledger.partner_id, any_value(partners.name)
    from commission_ledger as ledger inner join partners using (source_id, partner_id)
    group by ledger.partner_id
    order by
        count(*) filter (where ledger.entry_type = 'returned') > 0 desc,
        count(*) desc,
        ledger.partner_id
    limit 1
"""

_FUNNEL = """
    select
        strftime(event_date, '%Y-%m') as month,
        cast(sum(total_clicks) as bigint) as clicks,
        cast(sum(unique_clicks) as bigint) as "unique",
        cast(sum(conversions) as bigint) as conversions,
        cast(sum(qualified) as bigint) as qualified,
        cast(sum(rejected) as bigint) as rejected,
        cast(sum(pending) as bigint) as pending
    from conversion_funnel_daily
    group by 1 order by 1
"""

_SIGNALS = """
    select
        partners.name as partner,
        partners.status,
        scorecard.score,
        round(scorecard.exposure_rc, 2) as exposure,
        replace(array_to_string(string_split(breached_signals, ', ')[:3], ', '), '_', ' ')
        || case when breached_signal_count > 3 then ', ...' else '' end as signals
    from fraud_scorecard as scorecard inner join partners using (source_id, partner_id)
    where scorecard.score > 0
    order by scorecard.score desc, partner
    limit 5
"""

_SHOWN = (("funnel", _FUNNEL), ("fraud signals, the highest scores", _SIGNALS))


def print_marts(settings: Settings) -> None:
    """Print which marts there are, and of some of them what they say."""
    with open_published(settings.warehouse.publish) as connection:
        out.print()
        marts = Table(title="marts", title_justify="left", header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        marts.add_column("mart")
        marts.add_column("rows", justify="right")
        marts.add_column("answers")
        for name, question in _MARTS:
            row = connection.execute(f"select count(*) from {name}").fetchone()
            marts.add_row(name, f"{row[0]:,}" if row else "0", question)
        out.print(marts)
        all_marts = connection.execute("select count(*) from (show tables)").fetchone()
        out.print(f"and {(all_marts or (0,))[0] - len(_MARTS)} more: hookmart docs writes a page about all of them")
        for title, sql in _SHOWN:
            out.print()
            out.print(_table(title, connection.execute(sql)))
        shown = connection.execute(_PARTNER_TO_SHOW).fetchone()
        if shown is None:
            return
        partner_id, name = shown
        out.print()
        out.print(_statement_table(f"statement of {name or partner_id}", connection.execute(_STATEMENT, [partner_id])))


def _table(title: str, rows: Any) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, kind, *_ in rows.description:
        table.add_column(name, justify="left" if kind in {"VARCHAR", "STRING"} else "right", no_wrap=True)
    for row in rows.fetchall():
        table.add_row(*(value if isinstance(value, str) else "-" if value is None else f"{value:,}" for value in row))
    return table


def _statement_table(title: str, rows: Any) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, *_ in rows.description:
        is_text = name in {"month", "currency"}
        table.add_column(name.removesuffix("_balance"), justify="left" if is_text else "right", no_wrap=True)
    for month, currency, *amounts in rows.fetchall():
        # A mart never rounds; a screen shows what the currency has.
        places = CURRENCY_EXPONENTS[currency]
        table.add_row(f"{month:%Y-%m}", currency, *(f"{amount:,.{places}f}" for amount in amounts))
    return table
