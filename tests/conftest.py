"""In which order files of tests start, where several processes share them."""

from collections import Counter

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Start with the files of few tests: each of those is a load, a build or a server, and takes long.

    At the end come the files of many short tests, so that no process waits long for another that has begun the last
    of the long ones. pytest-xdist would start in the opposite order.
    """
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (sizes[item.path], item.path))
