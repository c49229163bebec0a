"""A PostgreSQL server for each file of tests that asks for one."""

from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A running server."""
    with PostgresServer() as running:
        yield running
