"""A load stays under its setting of memory, however much is staged."""

import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from pipelines.load_memory import DEFAULT_MEMORY, LoadMemory
from tests.line import RECEIVED_AT, Line, fixture_bodies, staged_line

_FIXTURES = Path(__file__).parent / "fixtures" / "events"
_SEGMENT_BYTES = 8_000_000
_MEBIBYTE = 1024 * 1024

_LOAD = """
import sys
from pathlib import Path
from ingest.staging import Stage
from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.load import Loader
root = Path(sys.argv[1])
warehouse = DuckDBWarehouse(root / "warehouse.duckdb")
report = Loader(Stage(root / "stage"), root / "archive", warehouse, root / "state").load()
[peak] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print(report.loads, report.counts.loaded, peak, file=sys.stderr)
"""


def stage_backlog(line: Line, size: int) -> int:
    """Stage so many bytes of distinct events of every type, and return how many they are."""
    examples = [staged_line("acme", raw, RECEIVED_AT) for raw in fixture_bodies(_FIXTURES)]
    texts = [(each.encode(), (each.event_id or "").encode(), each.delivery_id.encode()) for each in examples]
    staged, events, content = 0, 0, bytearray()
    for number in count():
        for text, event_id, delivery_id in texts:
            ours = b"%08d" % number
            content += text.replace(event_id, ours + event_id).replace(delivery_id, ours + delivery_id[8:])
            events += 1
        if len(content) >= _SEGMENT_BYTES:
            line.stage_raw(bytes(content))
            staged, content = staged + len(content), bytearray()
        if staged >= size:
            return events
    raise AssertionError


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what a process held")
def test_a_backlog_takes_no_more_memory_than_the_setting(tmp_path: Path) -> None:
    """Several portions, of all event tables, by a process that has done nothing else."""
    line = Line(tmp_path)
    events = stage_backlog(line, 3 * LoadMemory().of_portion)
    done = subprocess.run([sys.executable, "-c", _LOAD, tmp_path], capture_output=True, text=True, check=True)
    # DuckDB takes it for a shell, and draws its progress on the other stream.
    loads, loaded, peak = map(int, done.stderr.split())
    assert (loads, loaded) == (4, events)
    assert peak * 1024 < DEFAULT_MEMORY


@pytest.mark.parametrize("total", [512, 1023, 1024, 4096])
@pytest.mark.parametrize("held", [180, 250, 330, 2000])
def test_shares_fit_into_what_is_left_or_are_the_least_there_can_be(total: int, held: int) -> None:
    """Of a process that holds more than the setting already, as one that builds too, the load takes what it must."""
    memory = LoadMemory(total * _MEBIBYTE)
    shares = memory.shares(held * _MEBIBYTE)
    least = memory.shares(memory.total)
    ahead = shares.reader if memory.is_for_two else 0
    left = memory.total - held * _MEBIBYTE
    assert ahead + shares.keeping + shares.comparing <= left or shares.comparing == least.comparing
    assert ahead + shares.inserting <= left or shares.inserting == least.inserting
    assert 0 < least.keeping <= least.reader
