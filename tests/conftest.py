"""What files of tests share: the order in which they start, and a PostgreSQL server for each that asks for one."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A running server."""
    with PostgresServer() as running:
        yield running


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Start with the files of few tests: each of those is a load, a build or a server, and takes long.

    At the end come the files of many short tests, so that no process waits long for another that has begun the last
    of the long ones. pytest-xdist would start in the opposite order.
    """
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (sizes[item.path], item.path))
