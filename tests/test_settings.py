"""The configuration: its defaults, what takes its place, and every refusal in a sentence that says what to do."""

from pathlib import Path

import pytest

from ingest.errors import SettingsError
from ingest.secrets import resolve_secrets
from ingest.settings import Settings, load_settings

SOURCE = '[sources.acme]\nscheme = "hmac-sha256-hex"\nsecrets = ["env:ACME"]\n'
SECRET = "0123456789abcdef0123456789abcdef"


def _load(directory: Path, text: str, **environ: str) -> Settings:
    path = directory / "hookmart.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ)


def _complaint(directory: Path, text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        resolve_secrets(_load(directory, text, **environ), environ)
    message = str(refused.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_an_empty_file_means_the_defaults_beside_it(tmp_path: Path) -> None:
    """Relative paths start at the configuration's directory, so it does not matter where a command is run."""
    settings = _load(tmp_path, "")
    assert settings.program.reporting_timezone == "UTC"
    assert settings.program.reporting_currency == "EUR"
    assert settings.stage.directory == tmp_path / "var/stage"
    assert settings.stage.archive == tmp_path / "var/archive"
    assert settings.warehouse.destination == "duckdb"
    assert settings.warehouse.database == tmp_path / "var/warehouse.duckdb"
    assert settings.warehouse.publish == tmp_path / "var/published"
    assert settings.warehouse.state == tmp_path / "var/state"
    assert settings.sources == {}
    assert settings.path == tmp_path / "hookmart.toml"


def test_a_source_has_its_own_header_and_its_defaults(tmp_path: Path) -> None:
    """What a source leaves out is what most need: any address, a mebibyte, the scheme's own header."""
    source = _load(tmp_path, SOURCE).sources["acme"]
    assert (source.signing.header, source.allow_ips, source.max_body_bytes) == ("x-webhook-signature", (), 1_048_576)
    source = _load(tmp_path, SOURCE + 'header = "X-Acme"\nallow_ips = ["127.0.0.1/32", "::1"]\n').sources["acme"]
    assert source.signing.header == "x-acme"
    assert [str(network) for network in source.allow_ips] == ["127.0.0.1/32", "::1/128"]


def test_a_scheme_may_be_a_table(tmp_path: Path) -> None:
    """A platform that no preset knows is described in place of a name."""
    text = '[sources.acme]\nsecrets = ["env:ACME"]\n[sources.acme.scheme]\nheader = "X-Acme"\nencoding = "base64"\n'
    assert _load(tmp_path, text).sources["acme"].signing.encoding == "base64"


def test_a_header_of_ones_own_is_the_only_one(tmp_path: Path) -> None:
    """Where a source names its header, the other names that its preset knows have no say any more."""
    source = _load(tmp_path, SOURCE.replace("hmac-sha256-hex", "standard-webhooks") + 'header = "X-Acme"\n').sources[
        "acme"
    ]
    assert source.scheme.header_names > {"webhook-signature", "svix-signature"}
    assert source.signing.header_names == {"x-acme", "webhook-id", "webhook-timestamp"}


def test_paths_may_be_absolute_or_file_urls_and_move_what_lies_beside_them(tmp_path: Path) -> None:
    """Whoever moves the stage moves its archive, and with the warehouse go its working files."""
    settings = _load(tmp_path, '[stage]\nurl = "file:///data/a/stage"\n[warehouse]\ndatabase = "../b/w.duckdb"\n')
    assert settings.stage.directory == Path("/data/a/stage")
    assert settings.stage.archive == Path("/data/a/archive")
    assert settings.warehouse.database == tmp_path.parent / "b/w.duckdb"
    assert settings.warehouse.state == tmp_path.parent / "b/state"


def test_the_environment_takes_the_place_of_the_file_and_of_dotenv(tmp_path: Path) -> None:
    """The real environment wins over .env, and .env over the file; what is not a setting is left alone."""
    (tmp_path / ".env").write_text("HOOKMART_STAGE__URL=from-dotenv\nHOOKMART_WAREHOUSE__DATABASE=from-dotenv\n")
    settings = _load(
        tmp_path,
        SOURCE + '[stage]\nurl = "from-file"\nsegment_max_bytes = 4096\n',
        HOOKMART_STAGE__URL="from-environment",
        HOOKMART_SOURCES__ACME__MAX_BODY_BYTES="77",
        HOOKMART_SOURCES__ACME__ALLOW_IPS='["10.0.0.0/8"]',
        HOOKMART_CONFIG="elsewhere.toml",
        HOOKMART_ACME__SECRET="not a setting",
    )
    assert settings.stage.directory == tmp_path / "from-environment"
    assert settings.stage.segment_max_bytes == 4096
    assert settings.warehouse.database == tmp_path / "from-dotenv"
    assert settings.sources["acme"].max_body_bytes == 77
    assert [str(network) for network in settings.sources["acme"].allow_ips] == ["10.0.0.0/8"]


def test_secrets_come_from_the_environment_dotenv_or_a_file_newest_first(tmp_path: Path) -> None:
    """A secret is taken byte for byte, but for the newline that ends its file; a "$" is a "$"."""
    (tmp_path / ".env").write_text("ACME='$HOME-0123456789abcdef0123456789'\nBOTH=" + "b" * 32 + "\n")
    (tmp_path / "secret").write_text(SECRET + "\n")
    settings = _load(tmp_path, SOURCE.replace('"env:ACME"', '"env:BOTH", "env:ACME", "file:secret"'))
    secrets = resolve_secrets(settings, {"BOTH": "e" * 32})["acme"]
    assert [(secret.name, secret.key) for secret in secrets] == [
        ("env:BOTH", b"e" * 32),
        ("env:ACME", b"$HOME-0123456789abcdef0123456789"),
        ("file:secret", SECRET.encode()),
    ]


def test_standard_webhooks_secrets_are_decoded(tmp_path: Path) -> None:
    """The key is what stands behind the base64; 24 bytes, the least that standard allows, are enough."""
    settings = _load(tmp_path, SOURCE.replace("hmac-sha256-hex", "standard-webhooks"))
    secrets = resolve_secrets(settings, {"ACME": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    assert len(secrets["acme"][0].key) == 24


def test_loading_needs_no_secret(tmp_path: Path) -> None:
    """The loader and the build run where no secret is set."""
    assert list(_load(tmp_path, SOURCE).sources) == ["acme"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[stagee]\n", "`stagee` is not a setting"),
        ('path = "x"\n', "`path` is not a setting"),
        ('[stage]\nurll = "x"\n', "`stage.urll` is not a setting"),
        ("[stage\n", "not valid TOML"),
        ("stage = 1\n", "`stage` must be a table"),
        ('[stage]\nurl = "s3://bucket/prefix"\n', "s3:// is not supported yet"),
        ('[stage]\nurl = ""\n', "`stage.url` cannot be used"),
        ('[stage]\narchive = "var/stage"\n', "must not be the stage itself"),
        ("[stage]\nsegment_max_bytes = 0\n", "`stage.segment_max_bytes`"),
        ('[program]\nreporting_timezone = "Mars/Olympus"\n', "'Mars/Olympus' is not an IANA time zone"),
        ('[program]\nreporting_timezone = "../etc/passwd"\n', "is not an IANA time zone"),
        ('[program]\nreporting_currency = "EURO"\n', "'EURO' is not a known currency"),
        ('[warehouse]\ndestination = "oracle"\n', "can only be 'duckdb', 'postgres'"),
        ('[warehouse]\ndestination = "postgres"\n', "`credentials` is missing"),
        ('[warehouse]\ncredentials = "env:WAREHOUSE_URL"\n', "has no use for a DuckDB file"),
        (
            '[warehouse]\ndestination = "postgres"\ncredentials = "postgresql://u:p@h/d"\n',
            "a secret does not belong into the configuration",
        ),
        (SOURCE.replace("acme", "Acme"), "rename it"),
        (SOURCE.replace("acme", '"-acme"'), "rename it"),
        (SOURCE.replace("acme", '"a/b"'), "rename it"),
        (SOURCE.replace("hmac-sha256-hex", "md5"), "'md5' is not a known scheme; give one of hmac-sha256-hex"),
        (SOURCE.replace('scheme = "hmac-sha256-hex"\n', ""), "`sources.acme.scheme` is missing"),
        (SOURCE.replace('["env:ACME"]', "[]"), "`sources.acme.secrets` cannot be used: it names no secret"),
        (SOURCE.replace('secrets = ["env:ACME"]\n', ""), "name at least one as env:NAME or file:PATH"),
        (SOURCE.replace("hmac-sha256-hex", "none"), "`sources.acme` cannot be used: its scheme proves nothing"),
        (SOURCE + 'path_token = "short"\n', "`sources.acme.path_token` cannot be used: a secret does not belong"),
        (SOURCE + 'allow_ips = ["10.0.0.0/33"]\n', "`sources.acme.allow_ips.0` cannot be used"),
        (SOURCE + 'allow_ips = ["10.0.0.1/8"]\n', "10.0.0.1/8 has host bits set; give a network such as"),
        ("[stage]\nurl = 3\n", "give a path in quotes"),
        (SOURCE + 'header = "not a header"\n', "`sources.acme"),
        (SOURCE + "max_body_bytes = 0\n", "`sources.acme.max_body_bytes`"),
        (SOURCE + "max_body = 1\n", "`sources.acme.max_body` is not a setting"),
        (SOURCE, "put ACME=... into"),
        (SOURCE.replace("env:ACME", "file:nowhere"), "write it there, readable to this user"),
        (SOURCE.replace("hmac-sha256-hex", "standard-webhooks").replace("env:ACME", "file:text"), "is not base64"),
        (SOURCE.replace("env:ACME", "file:short"), "is under 32 bytes; make a longer one"),
        (SOURCE.replace("env:ACME", "file:binary"), "it is not UTF-8 text"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    """The message names the file or the setting, and what to do about it."""
    (tmp_path / "short").write_text("s" * 31 + "\n")
    (tmp_path / "text").write_text("-" * 40)
    (tmp_path / "binary").write_bytes(b"\xff" * 40)
    assert says in _complaint(tmp_path, text)


def test_an_override_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A typing error in a variable must not mean the file's value, or none."""
    assert "not valid JSON" in _complaint(tmp_path, SOURCE, HOOKMART_SOURCES__ACME__ALLOW_IPS='["10.0.0.0/8"')
    assert "`stage.urll` is not a setting" in _complaint(tmp_path, SOURCE, HOOKMART_STAGE__URLL="x")
    assert "`stage.url" in _complaint(tmp_path, SOURCE, HOOKMART_STAGE__URL__DEEPER="x")


@pytest.mark.parametrize("reference", [SECRET, f"ENV:{SECRET}", "env:not a name", "file:"])
def test_a_secret_written_into_the_file_is_refused_and_not_repeated(tmp_path: Path, reference: str) -> None:
    """It has to be taken out, and must not go on into a log through the very message that says so."""
    message = _complaint(tmp_path, SOURCE.replace("env:ACME", reference))
    assert "env:NAME or file:PATH" in message
    assert SECRET not in message


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    """Whoever starts without a configuration is told the command that writes it."""
    with pytest.raises(SettingsError, match=r"run `hookmart init`"):
        load_settings(tmp_path / "hookmart.toml", {})


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    """A directory, or bytes that are not text, in the configuration's place."""
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path, {})
    (tmp_path / "hookmart.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "hookmart.toml", {})
