"""
Who was erased, kept so that nobody comes back: a keyed hash of source and id, never the id.

The list and the key of its hashes lie beside the days of the archive, because what they keep out would come from there.
The key is random and made once; without it the list says nothing, and without the list the archive's lines are as they
were sent.
"""

import base64
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa

from ingest.durable_files import make_directory, sync_directory
from ingest.erased_json import Replacement, external_ids_in, replaced_in, texts_in

_LIST, _KEY = "erased.jsonl", "erased.key"
_MOST_KNOWN = 1_000_000
"""Texts whose hash was looked for and is none; most of what events say is said again and again."""

_PREFIX = "erased:"
_DIGITS = 32


@dataclass(slots=True)
class Tombstones:
    """
    Those that were erased from one installation.

    Attributes:
        directory: Of the list and its key: the archive.
    """

    directory: Path
    _key: bytes = field(init=False, repr=False, default=b"")
    _hashes: set[str] = field(init=False, repr=False, default_factory=set)
    _living: dict[str, set[str]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Read the list."""
        if (self.directory / _KEY).exists():
            self._key = (self.directory / _KEY).read_bytes()
        if (self.directory / _LIST).exists():
            lines = (self.directory / _LIST).read_bytes().splitlines()
            self._hashes = {orjson.loads(line)["hash"] for line in lines}

    def __bool__(self) -> bool:
        """Return whether anybody was erased."""
        return bool(self._hashes)

    def sources(self) -> set[str]:
        """Return the sources that anybody was erased of."""
        path = self.directory / _LIST
        return {orjson.loads(line)["source_id"] for line in path.read_bytes().splitlines()} if path.exists() else set()

    def add(self, ids: Iterable[tuple[str, str]], erased_at: str) -> None:
        """Put the *ids*, of sources, on the list; durable on return. Those that are there stay as they are."""
        make_directory(self.directory)
        if not self._key:
            self._key = secrets.token_bytes(32)
            self._write(_KEY, self._key)
        new = {self._hash(source, each): source for source, each in ids}
        for digest in sorted(new.keys() - self._hashes):
            self._hashes.add(digest)
        before = (self.directory / _LIST).read_bytes() if (self.directory / _LIST).exists() else b""
        lines = before.splitlines()
        known = {orjson.loads(line)["hash"] for line in lines}
        lines += [
            orjson.dumps({"hash": digest, "source_id": source, "erased_at": erased_at})
            for digest, source in sorted(new.items())
            if digest not in known
        ]
        self._write(_LIST, b"".join(line + b"\n" for line in lines))
        self._living.clear()

    def replacement(self, source: str, text: str) -> str | None:
        """Return what stands for the id *text* of a source from now on; None where nobody was erased under it."""
        living = self._living.setdefault(source, set())
        if text in living:
            return None
        if self._hash(source, text) in self._hashes:
            return self._pseudonym(source, text)
        if len(living) >= _MOST_KNOWN:
            living.clear()
        living.add(text)
        return None

    def keyed(self, digest: str) -> str:
        """Return what takes the place of a *digest* that whoever knows an id can work out: our key goes into it too."""
        return _PREFIX + hmac.digest(self._key, digest.encode(), "sha256").hex()

    def cleaned(self, source: str, text: str) -> str:
        """Return *text*, JSON or not, that *source* sent, without those who were erased; mostly the very same."""
        if not self._hashes:
            return text
        unknown = texts_in(text) - self._living.setdefault(source, set())
        if all(self.replacement(source, each) is None for each in unknown):
            return text
        return replaced_in(text, self.replacement_in(source, text))

    def replacement_in(self, source: str, event: str) -> Replacement:
        """
        Return what replaces a value of an *event*, JSON or not, of a source.

        Besides those who were erased, it takes out an external id that stands in the event beside the id of one: it
        may have come into use since.
        """
        beside = {external for each, external in external_ids_in(event) if self.replacement(source, each) is not None}
        return lambda text: self._pseudonym(source, text) if text in beside else self.replacement(source, text)

    def cleaned_bytes(self, source: str, body: bytes) -> bytes:
        """Return the same of bytes that need not be text."""
        text = body.decode("utf-8", "surrogateescape")
        return self.cleaned(source, text).encode("utf-8", "surrogateescape")

    def cleaned_base64(self, source: str, content: str) -> str:
        """Return the same of bytes in base64."""
        body = base64.b64decode(content)
        cleaned = self.cleaned_bytes(source, body)
        return content if cleaned == body else base64.b64encode(cleaned).decode()

    def cleaned_line(self, line: bytes) -> bytes:
        """Return what may be kept of a *line* of a segment, newline included."""
        try:
            staged = orjson.loads(line)
            source = staged["source_id"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return line
        changed = {
            name: clean(source, staged[name])
            for name, clean in (("payload", self.cleaned), ("payload_base64", self.cleaned_base64))
            if staged.get(name) is not None
        }
        if all(staged[name] == value for name, value in changed.items()):
            return line
        return orjson.dumps({**staged, **changed}, option=orjson.OPT_APPEND_NEWLINE)

    def __call__(self, reader: duckdb.DuckDBPyConnection) -> None:
        """Amend the lines of a connection, as the loader reads them, before any mapping looks at them."""
        rows = reader.execute(
            "select line_number, source_id, payload, payload_base64 from lines "
            "where payload is not null or payload_base64 is not null"
        )
        changed: list[dict[str, object]] = []
        while fetched := rows.fetchmany(1000):
            for number, source, text, in_base64 in fetched:
                new = None if text is None else self.cleaned(source, text)
                new_base64 = None if in_base64 is None else self.cleaned_base64(source, in_base64)
                if (new, new_base64) != (text, in_base64):
                    changed.append({"line_number": number, "payload": new, "payload_base64": new_base64})
        if changed:
            reader.register("cleaned", pa.Table.from_pylist(changed, schema=_CLEANED))
            reader.execute(
                "update lines set payload = cleaned.payload, payload_base64 = cleaned.payload_base64 "
                "from cleaned where cleaned.line_number = lines.line_number"
            )
            reader.unregister("cleaned")

    def _pseudonym(self, source: str, text: str) -> str:
        return _PREFIX + self._hash(source, text)[:_DIGITS]

    def _hash(self, source: str, text: str) -> str:
        return hmac.digest(self._key, f"{source}\0{text}".encode("utf-8", "surrogateescape"), "sha256").hex()

    def _write(self, name: str, content: bytes) -> None:
        aside = self.directory / f"{name}.new"
        descriptor = os.open(aside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(self.directory / name)
        sync_directory(self.directory)


_CLEANED = pa.schema([("line_number", pa.int64()), ("payload", pa.string()), ("payload_base64", pa.string())])
