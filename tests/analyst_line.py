"""A warehouse that has something to say to every question: dense traffic, plans, inputs, closed months."""

from pathlib import Path

from tests.line import Line
from tests.programme_activity import economic_inputs, plan_stories
from tests.programme_inputs import programme_inputs
from tests.programme_traffic import dense_traffic
from tests.programmes import random_programme, received
from tests.test_economics import input_rows


def analyst_line(root: Path) -> Line:
    """Two sources, built and published; `acme` has traffic, `zenith` every accident and all four currencies."""
    line = Line(root, "Europe/Malta")
    events = [*dense_traffic(1), *random_programme(31, sources=("zenith",)), *plan_stories("zenith")]
    line.stage_posts(received(events, 1))
    line.load()
    line.load_inputs(
        input_rows(economic_inputs(4)) | {"accounting_periods": programme_inputs(1).rows()["accounting_periods"]}
    )
    line.build()
    return line
