"""`[warehouse]` of the configuration."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ingest.setting_types import LocalPath, SecretReference, Section


class WarehouseSettings(Section):
    """
    Where events are loaded, and where their marts are published.

    Attributes:
        credentials: Reference to the URL of the server, which may hold a password: `env:NAME` or `file:PATH`. For
            BigQuery to the JSON of a service account's key.
        private_key: Reference to the PEM of the key that a Snowflake user has instead of a password.
        project: Of BigQuery's, where the datasets are; the key's own without it.
        location: Of BigQuery's datasets.
        storage: Of the files of a lake.
        state: Working files of the loader and of the build.
        load_memory_bytes: That a process that loads stays under, however much is staged; with less DuckDB cannot do.
    """

    destination: Literal["duckdb", "postgres", "ducklake", "snowflake", "bigquery", "redshift"] = "duckdb"
    database: LocalPath = Path("var/warehouse.duckdb")
    credentials: SecretReference | None = None
    private_key: SecretReference | None = None
    project: str | None = None
    location: str = "US"
    storage: LocalPath = Path("var/lake")
    publish: LocalPath = Path("var/published")
    state: LocalPath = Field(default_factory=lambda data: data["database"].with_name("state"))
    load_memory_bytes: int = Field(default=512 * 1024 * 1024, ge=512 * 1024 * 1024, le=1024**4)

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
                if self.destination != "bigquery"
                else '`credentials` is missing, and "bigquery" needs it; add credentials = "file:bigquery-key.json"'
            )
        only = {"private_key": "snowflake", "project": "bigquery", "location": "bigquery"}
        for key, engine in only.items():
            if key in self.model_fields_set and self.destination != engine:
                raise ValueError(f'`{key}` is for "{engine}" only, not for "{self.destination}"; leave it out')
        return self
