"""`[warehouse]` of the configuration."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ingest.setting_types import LocalPath, SecretReference, Section


class WarehouseSettings(Section):
    """
    Where events are loaded, and where their marts are published.

    Attributes:
        credentials: Reference to the URL of the server, which may hold a password: `env:NAME` or `file:PATH`.
        storage: Of the files of a lake.
        state: Working files of the loader and of the build.
        load_memory_bytes: That a load stays under, however much is staged.
    """

    destination: Literal["duckdb", "postgres", "ducklake"] = "duckdb"
    database: LocalPath = Path("var/warehouse.duckdb")
    credentials: SecretReference | None = None
    storage: LocalPath = Path("var/lake")
    publish: LocalPath = Path("var/published")
    state: LocalPath = Field(default_factory=lambda data: data["database"].with_name("state"))
    load_memory_bytes: int = Field(default=512 * 1024 * 1024, ge=384 * 1024 * 1024, le=1024**4)

    @property
    def publishes_a_copy(self) -> bool:
        """Whether readers open a published copy; they read schema `marts` of the warehouse itself otherwise."""
        return self.destination in {"duckdb", "ducklake"}

    @model_validator(mode="after")
    def _credentials_are_where_they_are_needed(self) -> Self:
        if self.destination == "duckdb" and self.credentials is not None:
            raise ValueError("`credentials` has no use for a DuckDB file; leave it out, or say which destination")
        if self.destination != "duckdb" and self.credentials is None:
            raise ValueError(
                f'`credentials` is missing, and "{self.destination}" needs it; add credentials = "env:WAREHOUSE_URL"'
                " and put the URL into .env"
            )
        return self
