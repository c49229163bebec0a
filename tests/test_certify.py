"""`hookmart certify`: passes against receivers that are right, and says the right sentence about each that is not."""

import asyncio
import base64
import inspect
import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hookmart.certify import certify
from hookmart.commands import app
from ingest.presets import UNSIGNED_TABLES
from ingest.sources import PRESETS
from models.event_types import EVENT_TYPES
from tests.foreign_receivers import (
    Blocks,
    FailsOnGarbage,
    ForeignReceiver,
    ParsesFirst,
    WithoutDedup,
    WithoutHmac,
    served,
)
from tests.platform_payloads import PLATFORMS
from tests.preset_senders import CONFIGURATION as EVERY_PRESET
from tests.preset_senders import ENVIRON, SCHEMES
from tests.running_receiver import CONFIGURATION, SECRET, RunningReceiver, until

FOREIGN = '[sources.acme]\nscheme = "hmac-sha256-hex"\nsecrets = ["env:ACME_SECRET"]\n'

Certificate = dict[str, Any]


def certified(directory: Path, url: str, *options: str, exit_code: int = 0, **environ: str) -> Certificate:
    """The certificate of the receiver at *url*, by the configuration in *directory*."""
    environment = {"ACME_SECRET": SECRET, **ENVIRON, **environ}
    arguments = ["certify", url, "--config", str(directory / "hookmart.toml"), "--json", *options]
    ran = CliRunner().invoke(app, arguments, env=environment)
    assert ran.stdout, ran.output
    document: Certificate = json.loads(ran.stdout)
    assert ran.exit_code == exit_code, ended(document, "fail")
    return document


def ended(certificate: Certificate, verdict: str) -> dict[str, dict[str, str]]:
    """The checks that ended so, by name."""
    return {check["name"]: check for check in certificate["checks"] if check["verdict"] == verdict}


def of_foreign(tmp_path: Path, receiver: ForeignReceiver, *options: str, exit_code: int = 1) -> Certificate:
    """The certificate of somebody else's receiver, which says how often it holds an event."""
    (tmp_path / "hookmart.toml").write_text(FOREIGN)
    with served(receiver) as url:
        count = url.replace("/hooks/platform", "/count/{event_id}")
        return certified(tmp_path, url, "--volume", "20", "--count-url", count, *options, exit_code=exit_code)


def test_a_right_receiver_of_somebody_else_passes(tmp_path: Path) -> None:
    """Any receiver can be certified, ours or not: nothing is asked that only ours does."""
    receiver = ForeignReceiver()
    certificate = of_foreign(tmp_path, receiver, exit_code=0)
    assert ended(certificate, "fail") == {}
    assert len([event_id for event_id in receiver.held if certificate["run"] in event_id]) > 20 + len(EVENT_TYPES)
    assert ended(certificate, "pass")["counted once"]["came"].count(": 1") == 2


def test_no_hmac_check_is_found(tmp_path: Path) -> None:
    """Whatever nobody signed is taken, and each such request says so; everything else still passes."""
    failed = ended(of_foreign(tmp_path, WithoutHmac()), "fail")
    assert failed.keys() == {
        "no signature", "garbled signature", "repeated signature", "wrong secret", "malformed JSON, wrong secret",
        "body changed after signing", "space added after signing",
    }  # fmt: skip
    assert {check["remedy"] for name, check in failed.items() if name != "space added after signing"} == {
        "It takes what the source has not signed, so anybody can book commissions: compare the HMAC of the bytes as"
        " received with the signature before anything else."
    }


def test_parsing_before_verifying_is_found(tmp_path: Path) -> None:
    """Genuine events in another writing are lost, garbage is refused for good, and strangers reach the parser."""
    failed = ended(of_foreign(tmp_path, ParsesFirst()), "fail")
    assert failed.keys() == {
        "malformed JSON, signed well", "bytes that are no text, signed well", "malformed JSON, wrong secret",
        "space added after signing", "JSON with spaces", "JSON with line breaks and escapes",
    }  # fmt: skip
    assert "It verifies a body that was parsed and written again" in failed["JSON with spaces"]["remedy"]
    assert failed["malformed JSON, wrong secret"]["remedy"].startswith("It parses the body before it verifies")
    assert "parsed and written again" in failed["space added after signing"]["remedy"]
    assert "the event is lost" in failed["malformed JSON, signed well"]["remedy"]


def test_a_receiver_without_dedup_is_found(tmp_path: Path) -> None:
    """Its answers are all right; what it holds is not."""
    failed = ended(of_foreign(tmp_path, WithoutDedup()), "fail")
    assert failed.keys() == {"counted once"}
    assert failed["counted once"]["remedy"].startswith("It counts a repeated event again")


def test_a_receiver_that_lets_anybody_post_is_found(tmp_path: Path) -> None:
    """The configuration names addresses, and the receiver does not look; the machine has more than one to try."""
    (tmp_path / "hookmart.toml").write_text(FOREIGN + 'allow_ips = ["127.0.0.1/32"]\n')
    with served(ForeignReceiver()) as url:
        failed = ended(certified(tmp_path, url, "--volume", "0", exit_code=1), "fail")
    assert failed.keys() == {"address not on the allowlist"}
    assert "`trusted_proxies`" in failed["address not on the allowlist"]["remedy"]


def test_without_a_count_duplicates_are_left_open(tmp_path: Path) -> None:
    """From its answers nobody can tell whether it counts an event twice, so nothing is claimed."""
    (tmp_path / "hookmart.toml").write_text(FOREIGN)
    with served(WithoutDedup()) as url:
        certificate = certified(tmp_path, url, "--volume", "0")
    assert "must each be held once" in ended(certificate, "not exercised")["counted once"]["remedy"]


def test_a_500_on_garbage_is_found(tmp_path: Path) -> None:
    """A 5xx asks for the same bytes for ever."""
    failed = ended(of_foreign(tmp_path, FailsOnGarbage()), "fail")
    assert failed.keys() == {"malformed JSON, signed well", "bytes that are no text, signed well"}
    for check in failed.values():
        assert check["remedy"].startswith("It fails on genuine bytes that it cannot read. A 5xx asks the platform")


def test_a_receiver_that_blocks_is_found(tmp_path: Path) -> None:
    """After the platform's limit nobody waits any longer; nothing else is tried, so that the run ends soon."""
    certificate = of_foreign(tmp_path, Blocks(), "--timeout", "0.5")
    failed = ended(certificate, "fail")
    assert failed.keys() == {"answers in time"}
    assert "put it on disk, answer, and do the work afterwards" in failed["answers in time"]["remedy"]
    assert certificate["counts"]["pass"] == 0
    assert inspect.signature(certify).parameters["timeout"].default == 10.0


class Trickles(ForeignReceiver):
    """Answers at once, a byte at a time, and never ends."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Keep the sender waiting."""
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while not await is_gone(receive):
                await send({"type": "http.response.body", "body": b" ", "more_body": True})


async def is_gone(receive: Any) -> bool:
    """Whether the client has hung up, after a tenth of a second."""
    with suppress(TimeoutError):
        return bool((await asyncio.wait_for(receive(), 0.1))["type"] == "http.disconnect")
    return False


def test_an_answer_that_never_ends_is_none(tmp_path: Path) -> None:
    """The limit is of the whole answer: a platform does not wait for the last byte for ever."""
    failed = ended(of_foreign(tmp_path, Trickles(), "--timeout", "0.5"), "fail")
    assert failed.keys() == {"answers in time"}


@pytest.fixture(scope="module")
def every_preset(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Our receiver with a source of each preset."""
    directory = tmp_path_factory.mktemp("presets")
    with RunningReceiver(directory, EVERY_PRESET, environ=ENVIRON) as receiver:
        yield directory, receiver.url


@pytest.mark.parametrize("preset", SCHEMES)
def test_our_receiver_passes_with_every_preset(preset: str, every_preset: tuple[Path, str]) -> None:
    """Bodies, times and ids are signed as the source says; what a scheme cannot prove is said, and not claimed."""
    directory, url = every_preset
    certificate = certified(directory, url, "--source", preset, "--no-arrival", "--volume", "5")
    assert ended(certificate, "fail") == {}
    exercised = ended(certificate, "pass")
    assert ("signed too long ago" in exercised) == SCHEMES[preset].has_timestamp
    assert ("body changed after signing" in exercised) == (preset not in UNSIGNED_TABLES)
    assert ("wrong secret" in exercised) == SCHEMES[preset].needs_secret
    assert ("address not on the allowlist" in exercised) == (preset in UNSIGNED_TABLES)
    assert preset not in PRESETS or len(exercised) > 45


def test_every_secret_of_a_rotation_is_tried(tmp_path: Path) -> None:
    """Until the platform has moved on, both must be taken."""
    source = FOREIGN.replace('["env:ACME_SECRET"]', '["env:NEXT_SECRET", "env:ACME_SECRET"]')
    environment = {"NEXT_SECRET": SECRET[::-1]}
    with RunningReceiver(tmp_path, source, environ=environment) as receiver:
        (tmp_path / ".env").write_text(f"NEXT_SECRET={SECRET[::-1]}\n")
        exercised = ended(certified(tmp_path, receiver.url, "--no-arrival", "--volume", "5"), "pass")
    assert {"signed by env:NEXT_SECRET", "signed by env:ACME_SECRET"} <= exercised.keys()


TABLES = {
    "sha512": 'algorithm = "hmac-sha512"\nheader = "X-Sum"\nprefix = "v1="\nseparator = ","',
    "rfc3339": 'timestamp_header = "X-Time"\ntimestamp_unit = "rfc3339"\nsigned = "{timestamp}.{body}"',
    "request line": 'encoding = "base64"\nsigned = "{method} {url} {body}"',
}


@pytest.mark.parametrize("table", TABLES)
def test_a_scheme_of_ones_own_is_signed_as_its_table_says(tmp_path: Path, table: str) -> None:
    """Presets are tables; any other table goes as well, and a signed URL is the one that senders know."""
    scheme = f"[receiver]\npublic_url = 'https://hooks.example.com'\n[sources.acme.scheme]\n{TABLES[table]}\n"
    with RunningReceiver(tmp_path, f'[sources.acme]\nsecrets = ["env:ACME_SECRET"]\n{scheme}') as receiver:
        certificate = certified(tmp_path, receiver.url, "--no-arrival", "--volume", "5")
    assert ("signed too long ago" in ended(certificate, "pass")) == (table == "rfc3339")


def test_with_a_public_key_nothing_can_be_tried(tmp_path: Path) -> None:
    """Only the sender can sign; that is said before anything is sent."""
    key = "whpk_" + base64.b64encode(bytes(range(32))).decode()
    (tmp_path / "hookmart.toml").write_text(FOREIGN.replace("hmac-sha256-hex", "standard-webhooks"))
    arguments = ["certify", "http://127.0.0.1:9", "--config", str(tmp_path / "hookmart.toml")]
    ran = CliRunner().invoke(app, arguments, env={"ACME_SECRET": key})
    assert ran.exit_code == 2
    assert "nobody but the sender can sign" in ran.stderr


def test_a_connection_is_really_lost(tmp_path: Path) -> None:
    """Our receiver counts the one request whose sender hung up."""
    with RunningReceiver(tmp_path, CONFIGURATION) as receiver:
        certified(tmp_path, receiver.url, "--no-arrival", "--volume", "0")
        until(lambda: receiver.figures().all("requests_total", "outcome").get(("aborted",)) == 1)


def test_a_receiver_that_is_away_is_told(tmp_path: Path) -> None:
    """Nobody listens at that port: one failure, and nothing else is tried."""
    (tmp_path / "hookmart.toml").write_text(FOREIGN)
    failed = ended(certified(tmp_path, "http://127.0.0.1:9", exit_code=1), "fail")
    assert failed.keys() == {"answers in time"}
    assert failed["answers in time"]["remedy"].startswith("It gave no answer; see that it runs")


def test_a_wrong_secret_of_ours_stops_the_run(tmp_path: Path) -> None:
    """Where a genuine event is refused, every refusal after it would pass for the wrong reason."""
    with RunningReceiver(tmp_path, CONFIGURATION, environ={"ACME_SECRET": SECRET[::-1]}) as receiver:
        certificate = certified(tmp_path, receiver.url, exit_code=1)
    assert "scheme, header and secret (401)" in ended(certificate, "fail")["answers in time"]["remedy"]
    assert certificate["counts"]["pass"] == 0


def test_tls_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    """What the system trusts is trusted, and `SSL_CERT_FILE` adds to it; without it the connection is not made."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    with RunningReceiver(tmp_path, CONFIGURATION, tls=(certificate, key)) as receiver:
        strange = certified(tmp_path, receiver.url, "--no-arrival", exit_code=1)
        known = certified(tmp_path, receiver.url, "--no-arrival", "--volume", "5", SSL_CERT_FILE=str(certificate))
    assert "certificate verify failed" in ended(strange, "fail")["answers in time"]["came"]
    assert ended(known, "pass")["connection lost in mid-body, then sent again"]


def test_what_waits_in_the_stage_is_said_to_wait(tmp_path: Path) -> None:
    """Without a loader nothing arrives, and the sentence says which command is missing."""
    with RunningReceiver(tmp_path, CONFIGURATION) as receiver:
        certificate = certified(tmp_path, receiver.url, "--volume", "5", "--wait", "1", exit_code=1)
    assert "run `hookmart load`" in ended(certificate, "fail")["in raw once"]["remedy"]


def test_the_wrong_configuration_is_told(tmp_path: Path) -> None:
    """What went to another receiver is not lost: it is somewhere else."""
    (tmp_path / "hookmart.toml").write_text(FOREIGN)
    (tmp_path / "var" / "stage").mkdir(parents=True)
    with served(ForeignReceiver()) as url:
        certificate = certified(tmp_path, url, "--volume", "5", "--wait", "0", exit_code=1)
    assert "the address is another receiver's" in ended(certificate, "fail")["in raw once"]["remedy"]


@pytest.mark.parametrize("has_payloads", [False, True])
def test_a_mapped_source_is_tried_with_its_own_payloads(tmp_path: Path, *, has_payloads: bool) -> None:
    """Captured payloads are sent as they are; without any, what needs an event is left open, and the rest is tried."""
    source = '[sources.acme]\nscheme = "dub"\nsecrets = ["env:ACME_SECRET"]\nmapping = "dub"\n'
    options = ["--payloads", str(PLATFORMS / "dub")] if has_payloads else []
    with RunningReceiver(tmp_path, source) as receiver:
        certificate = certified(tmp_path, receiver.url, "--no-arrival", *options)
    exercised, left_open = ended(certificate, "pass"), ended(certificate, "not exercised")
    assert {"malformed JSON, signed well", "wrong secret", "JSON with spaces", "wrong method"} <= exercised.keys()
    assert ("every event type" in left_open) != has_payloads
    assert ("the same event four times" in exercised) == has_payloads


def test_a_token_in_the_path_is_sent_and_not_shown(tmp_path: Path) -> None:
    """The certificate is handed on; the token is a secret."""
    source = (
        '[sources.acme]\nscheme = "bearer"\nsecrets = ["env:ACME_SECRET"]\npath_token = "env:ACME_TOKEN"\n'
        "arrays = true\n"
    )
    token = "t0ken-" * 8
    with RunningReceiver(tmp_path, source, environ={"ACME_TOKEN": token}) as receiver:
        (tmp_path / ".env").write_text(f"ACME_TOKEN={token}\n")
        certificate = certified(tmp_path, receiver.url, "--no-arrival", "--volume", "5")
    assert "array of events" in ended(certificate, "pass")
    assert token not in json.dumps(certificate)
    assert SECRET not in json.dumps(certificate)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["ftp://127.0.0.1"], "is no address of a receiver"),
        (["http://127.0.0.1:9", "--source", "other"], "Say --source with one of those"),
        (["http://127.0.0.1:9", "--count-url", "http://127.0.0.1:9/count"], "--count-url needs {event_id}"),
        (["http://127.0.0.1:9", "--payloads", "."], "--payloads is for a source with a `mapping`"),
    ],
)
def test_wrong_usage_is_told(tmp_path: Path, options: list[str], sentence: str) -> None:
    """Exit code 2, and nothing is sent."""
    (tmp_path / "hookmart.toml").write_text(FOREIGN)
    arguments = ["certify", *options, "--config", str(tmp_path / "hookmart.toml")]
    ran = CliRunner().invoke(app, arguments, env={"ACME_SECRET": SECRET})
    assert ran.exit_code == 2
    assert sentence in ran.stderr


def test_a_warehouse_that_is_away_is_told_in_the_certificate(tmp_path: Path) -> None:
    """All that was tried before is kept, and the last step says that nobody can tell whether it arrived."""
    postgres = f'{CONFIGURATION}\n[warehouse]\ndestination = "postgres"\ncredentials = "env:WAREHOUSE_URL"\n'
    with RunningReceiver(tmp_path, postgres) as receiver:
        url = "postgresql://us3r:hunter2hunter2@127.0.0.1:9/none"
        options = ("--volume", "5", "--wait", "0")
        certificate = certified(tmp_path, receiver.url, *options, exit_code=1, WAREHOUSE_URL=url)
    assert ended(certificate, "fail").keys() == {"warehouse and marts can be read"}
    assert "hunter2" not in json.dumps(certificate)
