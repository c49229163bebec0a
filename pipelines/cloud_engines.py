"""
What tells Snowflake, BigQuery and Redshift apart: how one gets in, and the few words that only one of them says.

Each has dlt's own destination and dbt's own adapter; everything else of a load and a build is the same for all three.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

import dlt
from dlt.common.destination import Destination, TLoaderFileFormat


@dataclass(frozen=True, slots=True)
class Engine(ABC):
    """
    One account of one engine.

    Attributes:
        dialect: Its name towards dlt, dbt and sqlglot.
        needs: The modules that dlt and dbt speak to it with.
        file_format: In which dlt writes the rows of a load.
        text_type: Of a short text, in words of its SQL; `long_text_type` of any.
        now: SQL for the seconds of its own clock since 1970.
        zones: Whether an instant that is sent there has to say that it is UTC.
        longest_text: Bytes that a text of it may have; None where no event is as long.
    """

    dialect: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    file_format: ClassVar[TLoaderFileFormat] = "parquet"
    text_type: ClassVar[str] = "varchar(200)"
    long_text_type: ClassVar[str] = "varchar"
    zones: ClassVar[bool] = False
    now: ClassVar[str]
    longest_text: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        """
        Look whether what speaks to it is installed.

        Raises:
            ModuleNotFoundError: It is not.
        """
        for name in self.needs:
            import_module(name)

    @abstractmethod
    def __str__(self) -> str:
        """Say where it is, without secrets."""

    @property
    @abstractmethod
    def factory(self) -> Any:
        """Dlt's destination."""

    @abstractmethod
    def dlt_options(self) -> dict[str, Any]:
        """Return what dlt's destination is made with."""

    @abstractmethod
    def dbt_environment(self) -> Mapping[str, str]:
        """Return the variables that the output in `profiles.yml` reads."""

    def destination(self, **options: Any) -> Destination[Any, Any]:
        """Return dlt's own destination."""
        made: Destination[Any, Any] = self.factory(**self.dlt_options(), **options)
        return made

    def information_schema(self, schema: str) -> str:  # noqa: ARG002 - where the schema is part of the name
        """Return the name of the views that list the tables of *schema*."""
        return "information_schema"


@dataclass(frozen=True, slots=True)
class Snowflake(Engine):
    """
    A database of a Snowflake account.

    Attributes:
        parts: Of the URL: `account`, `user`, `database`, `warehouse`, and what else is given.
        private_key: PEM; None where a password is given.
    """

    dialect = "snowflake"
    needs = ("snowflake.connector", "dbt.adapters.snowflake")
    now = "date_part(epoch_second, current_timestamp())"

    parts: Mapping[str, str] = field(repr=False)
    private_key: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"snowflake://{self.parts['account']}/{self.parts['database']}"

    @property
    def factory(self) -> Any:
        """Dlt's destination."""
        return dlt.destinations.snowflake

    def dlt_options(self) -> dict[str, Any]:
        """Return the credentials; a role's default warehouse may do without a name."""
        given = {
            "host": self.parts["account"],
            "username": self.parts["user"],
            "private_key": self.private_key,
            **{name: self.parts.get(name) for name in ("database", "password", "warehouse", "role")},
            "private_key_passphrase": self.parts.get("private_key_passphrase"),
        }
        return {"credentials": {name: value for name, value in given.items() if value}, "keep_staged_files": False}

    def dbt_environment(self) -> Mapping[str, str]:
        """Return account, user, role and warehouse."""
        return {
            "HOOKMART_SNOWFLAKE_ACCOUNT": self.parts["account"],
            "HOOKMART_SNOWFLAKE_USER": self.parts["user"],
            "HOOKMART_SNOWFLAKE_DATABASE": self.parts["database"],
            "HOOKMART_SNOWFLAKE_WAREHOUSE": self.parts.get("warehouse", ""),
            "HOOKMART_SNOWFLAKE_ROLE": self.parts.get("role", ""),
            # dbt takes the value of a variable named so out of all it says.
            "DBT_ENV_SECRET_HOOKMART_SNOWFLAKE": self.parts.get("password", ""),
            "DBT_ENV_SECRET_HOOKMART_SNOWFLAKE_KEY": self.private_key or "",
            "DBT_ENV_SECRET_HOOKMART_SNOWFLAKE_PASSPHRASE": self.parts.get("private_key_passphrase", ""),
        }


@dataclass(frozen=True, slots=True)
class BigQuery(Engine):
    """
    A project of BigQuery's.

    Attributes:
        key: The service account's key, as Google's JSON has it.
        project: Where the datasets are.
        location: Of the datasets.
    """

    dialect = "bigquery"
    needs = ("google.cloud.bigquery", "dbt.adapters.bigquery")
    text_type = "string"
    long_text_type = "string"
    zones = True
    now = "unix_seconds(current_timestamp())"

    key: Mapping[str, str] = field(repr=False)
    project: str
    location: str

    def __str__(self) -> str:
        return f"bigquery://{self.project}"

    @property
    def factory(self) -> Any:
        """Dlt's destination."""
        return dlt.destinations.bigquery

    def dlt_options(self) -> dict[str, Any]:
        """Return key, project and location."""
        names = ("project_id", "private_key", "client_email")
        return {
            "credentials": {name: self.key[name] for name in names},
            "project_id": self.project,
            "location": self.location,
        }

    def dbt_environment(self) -> Mapping[str, str]:
        """Return project, location and what the key says."""
        return {
            "HOOKMART_BIGQUERY_PROJECT": self.project,
            "HOOKMART_BIGQUERY_LOCATION": self.location,
            "HOOKMART_BIGQUERY_KEY_PROJECT": self.key["project_id"],
            "HOOKMART_BIGQUERY_EMAIL": self.key["client_email"],
            "HOOKMART_BIGQUERY_TOKEN_URI": self.key.get("token_uri", "https://oauth2.googleapis.com/token"),
            "DBT_ENV_SECRET_HOOKMART_BIGQUERY": self.key["private_key"],
        }

    def information_schema(self, schema: str) -> str:
        """Return that of one dataset; there is none of all."""
        return f"{schema}.information_schema"


@dataclass(frozen=True, slots=True)
class Redshift(Engine):
    """
    A database of a Redshift cluster or workgroup.

    Attributes:
        parts: Of the URL: `host`, `port`, `user`, `password`, `database`, and what else is given.
    """

    dialect = "redshift"
    needs = ("psycopg2", "dbt.adapters.redshift")
    # It copies files from S3 only.
    file_format = "insert_values"
    now = "cast(extract(epoch from getdate()) as bigint)"
    longest_text = 65535
    long_text_type = "varchar(65535)"

    parts: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        return f"redshift://{self.parts['host']}:{self.parts['port']}/{self.parts['database']}"

    @property
    def factory(self) -> Any:
        """Dlt's destination."""
        return dlt.destinations.redshift

    def dlt_options(self) -> dict[str, Any]:
        """Return the URL taken apart."""
        names = {"host": "host", "username": "user", "password": "password", "database": "database"}
        given = {name: self.parts[part] for name, part in names.items()}
        options = {"sslmode": self.parts["sslmode"]} if "sslmode" in self.parts else {}
        return {"credentials": {**given, "port": int(self.parts["port"]), "query": options}}

    def dbt_environment(self) -> Mapping[str, str]:
        """Return where the cluster is, and how to get in."""
        return {
            "HOOKMART_REDSHIFT_HOST": self.parts["host"],
            "HOOKMART_REDSHIFT_PORT": self.parts["port"],
            "HOOKMART_REDSHIFT_USER": self.parts["user"],
            "HOOKMART_REDSHIFT_DATABASE": self.parts["database"],
            "HOOKMART_REDSHIFT_SSLMODE": self.parts.get("sslmode", "prefer"),
            "DBT_ENV_SECRET_HOOKMART_REDSHIFT": self.parts["password"],
        }


def snowflake_at(url: str, private_key: str | None) -> Snowflake:
    """
    Return the account at *url*: `snowflake://user:password@account/database?warehouse=W&role=R`.

    Raises:
        ValueError: It is none; the message says what is missing, and not what it holds.
        ModuleNotFoundError: What speaks to it is not installed.
    """
    form = "snowflake://user:password@account/database?warehouse=NAME&role=NAME"
    parts = _taken_apart(url, ("snowflake",), form)
    parts["account"] = parts.pop("host")
    if "password" not in parts and private_key is None:
        raise ValueError("has no password, and `private_key` in [warehouse] is missing; give one of them")
    return Snowflake(parts, private_key)


def bigquery_with(key: str, project: str | None, location: str) -> BigQuery:
    """
    Return the project that *key*, the JSON of a service account's key, opens; its own unless *project* is given.

    Raises:
        ValueError: It is none; the message does not say what it holds.
        ModuleNotFoundError: What speaks to it is not installed.
    """
    try:
        given = json.loads(key)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not {"project_id", "private_key", "client_email"} <= given.keys():
        raise ValueError("is not the JSON of a service account's key, with project_id, client_email and private_key")
    return BigQuery(given, project or given["project_id"], location)


def redshift_at(url: str) -> Redshift:
    """
    Return the database at *url*: `redshift://user:password@host:5439/database`.

    Raises:
        ValueError: It is none; the message says what is missing, and not what it holds.
        ModuleNotFoundError: What speaks to it is not installed.
    """
    form = "redshift://user:password@host:5439/database"
    parts = _taken_apart(url, ("redshift", "postgresql", "postgres"), form)
    if "password" not in parts:
        raise ValueError(f"is not a URL such as {form}; write it so")
    return Redshift({"port": "5439", **parts})


def _taken_apart(url: str, schemes: tuple[str, ...], form: str) -> dict[str, str]:
    try:
        given = urlsplit(url)
        port = given.port
    except ValueError:
        given, port = urlsplit(""), None
    found = {
        "user": given.username,
        "password": given.password,
        "host": given.hostname,
        "port": str(port) if port else None,
        "database": given.path.strip("/"),
    }
    parts = {name: unquote(value) for name, value in found.items() if value}
    if given.scheme not in schemes or not {"user", "host", "database"} <= parts.keys():
        raise ValueError(f"is not a URL such as {form}; write it so")
    return {**parts, **dict(parse_qsl(given.query))}
