"""One divided by a rate: eighteen places, the last rounded, in the words of each engine that is at hand to run them."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from random import Random

import duckdb
import jinja2
import psycopg2
import pytest

from tests.postgres_server import PROGRAMS, PostgresServer

MACROS = jinja2.Template((Path(__file__).parent.parent / "dbt_project" / "macros" / "exchange.sql").read_text()).module

PLACE = Decimal("0.000000000000000001")
RATES = [
    *map(Decimal, ("1", "2", "3", "7", "0.5", "1.2345", "150.25", "0.000061", "99999999999999999999", "1000000000000")),
    # As near to a half of the last place as a quotient of so many digits comes, on either side of it.
    *map(Decimal, ("1999999.999999999999000001", "0.666666666666666667", "2000000000000.000000000000000001")),
    *(Decimal(Random(7).randrange(1, 10**38)) * PLACE,),
    *(Decimal(Random(seed).randrange(10**3, 10 ** (4 + seed % 34))) * PLACE for seed in range(200)),
]


def inverse(rate: Decimal) -> Decimal | None:
    """What it is; none where nothing of eighteen places is left of it."""
    with localcontext(prec=100):
        return (1 / rate).quantize(PLACE, ROUND_HALF_UP) or None


def sql_of(macro: str) -> str:
    """A query of each rate with its inverse."""
    rates = ", ".join(f"(cast('{rate:f}' as decimal(38, 18)))" for rate in RATES)
    return f"select rate, {getattr(MACROS, macro)('rate')} from (values {rates}) as told (rate)"


def test_duckdb_divides_exactly() -> None:
    with duckdb.connect() as connection:
        found = connection.execute(sql_of("duckdb__inverse_rate")).fetchall()
    assert found == [(rate, inverse(rate)) for rate in RATES]


@pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")
@pytest.mark.parametrize("macro", ["postgres__inverse_rate", "redshift__inverse_rate"])
def test_postgres_divides_exactly(server: PostgresServer, macro: str) -> None:
    """In its own words, and in those for Redshift, where a quotient of whole numbers is all that is asked for."""
    connection = psycopg2.connect(server.url(server.make_database()))
    with connection.cursor() as cursor:
        cursor.execute(sql_of(macro))
        found = cursor.fetchall()
    connection.close()
    assert found == [(rate, inverse(rate)) for rate in RATES]
