"""
dlt's destinations, but that the rows of a load stay in the staging schema: the session merges all tables at once.

dlt merges table by table, each in a transaction of its own, so that a load that was killed in between is half there.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from dlt.common.destination import Destination, PreparedTableSchema
from dlt.common.destination.client import FollowupJobRequest

from pipelines.cloud_engines import Engine

Arrived = dict[str, list[str]]
"""The columns of each table that has rows in the staging schema now, by its name."""


class Arriving:
    """In front of dlt's client: notes what has arrived, and leaves it there."""

    arrived: ClassVar[Arrived]

    def create_table_chain_completed_followup_jobs(
        self,
        table_chain: Sequence[PreparedTableSchema],
        completed_table_chain_jobs: Sequence[Any] | None = None,
    ) -> list[FollowupJobRequest]:
        """Return nothing where rows wait for the session's merge; dlt's own tables go dlt's way."""
        [table] = table_chain
        if table["write_disposition"] == "merge":
            self.arrived[str(table["name"])] = list(table["columns"])
            return []
        followups: list[FollowupJobRequest] = super().create_table_chain_completed_followup_jobs(  # type: ignore[misc]
            table_chain, completed_table_chain_jobs
        )
        return followups


def arriving_at(engine: Engine, staging: str, arrived: Arrived) -> Destination[Any, Any]:
    """Return the destination that leaves rows in the schema *staging*, and notes them in *arrived*."""
    stock = engine.destination(staging_dataset_name_layout=staging)
    # dlt asks for a class and makes its clients itself; only the class can carry the note to them.
    client = type("ArrivingClient", (Arriving, stock.client_class), {"arrived": arrived})
    kind = type(stock)
    made = type(kind.__name__, (kind,), {"client_class": property(lambda _self: client)})
    destination: Destination[Any, Any] = made(**engine.dlt_options(), staging_dataset_name_layout=staging)
    return destination
