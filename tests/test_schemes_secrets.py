"""The secrets of sources as a receiver reads them: what is refused at start, and what it waits for."""

import base64
import os
from pathlib import Path

import pytest

from ingest.errors import SettingsError
from ingest.secrets import SourceSecrets, resolve_secrets, resolve_source_secrets
from ingest.settings import Settings, load_settings

SECRET = "0123456789abcdef0123456789abcdef"


def _load(directory: Path, text: str) -> Settings:
    (directory / "hookmart.toml").write_text("[sources.acme]\n" + text, encoding="utf-8")
    return load_settings(directory / "hookmart.toml", {})


def _complaint(settings: Settings, **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        resolve_source_secrets(settings, environ)
    message = str(refused.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_a_source_has_its_secrets_and_its_path_token(tmp_path: Path) -> None:
    """The token is text, since it is compared with a path; the secrets are keys, newest first."""
    (tmp_path / "token").write_text("t" * 32 + "\n")
    settings = _load(
        tmp_path,
        'scheme = "hmac-sha256-hex"\nsecrets = ["env:NEW", "env:OLD"]\npath_token = "file:token"\n',
    )
    found = resolve_source_secrets(settings, {"NEW": SECRET, "OLD": "o" * 32})["acme"]
    assert [(secret.name, secret.key) for secret in found.secrets] == [
        ("env:NEW", SECRET.encode()),
        ("env:OLD", b"o" * 32),
    ]
    assert found.path_token == "t" * 32
    assert found.unreadable == ()


def test_neither_secret_nor_token_is_in_what_is_printed(tmp_path: Path) -> None:
    """A log or a traceback that shows the object shows where they are kept."""
    settings = _load(tmp_path, 'scheme = "hmac-sha256-hex"\nsecrets = ["env:S"]\npath_token = "env:T"\n')
    shown = repr(resolve_source_secrets(settings, {"S": SECRET, "T": "t" * 32}))
    assert SECRET not in shown
    assert "t" * 32 not in shown
    assert "env:S" in shown


def test_a_file_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """A mount may come late or go: the receiver goes on with what it has, and a command says what is missing."""
    settings = _load(
        tmp_path,
        'scheme = "hmac-sha256-hex"\nsecrets = ["file:away/new", "env:OLD"]\npath_token = "file:away/token"\n',
    )
    environ = {"OLD": SECRET}
    found = resolve_source_secrets(settings, environ)["acme"]
    assert [secret.name for secret in found.secrets] == ["env:OLD"]
    assert found.path_token is None
    assert found.unreadable == ("file:away/new", "file:away/token")
    with pytest.raises(SettingsError, match=r"cannot be read from away/new \(No such file or directory\)"):
        resolve_secrets(settings, environ)
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "new").write_text("n" * 32)
    (tmp_path / "away" / "token").write_text("t" * 32)
    found = resolve_source_secrets(settings, environ)["acme"]
    assert [secret.name for secret in found.secrets] == ["file:away/new", "env:OLD"]
    assert (found.path_token, found.unreadable) == ("t" * 32, ())


@pytest.mark.parametrize("kind", ["directory", "loop", "below a file"])
def test_whatever_keeps_a_file_from_being_read_is_waited_for(tmp_path: Path, kind: str) -> None:
    """Not only its absence: a path that leads nowhere now may lead somewhere later."""
    (tmp_path / "file").write_text(SECRET)
    match kind:
        case "directory":
            (tmp_path / "secret").mkdir()
        case "loop":
            (tmp_path / "secret").symlink_to("secret")
    reference = "file:file/secret" if kind == "below a file" else "file:secret"
    settings = _load(tmp_path, f'scheme = "hmac-sha256-hex"\nsecrets = ["{reference}"]\n')
    assert resolve_source_secrets(settings, {})["acme"] == SourceSecrets((), None, (reference,))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_waited_for(tmp_path: Path) -> None:
    """The same for a file of somebody else's."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0)
    settings = _load(tmp_path, 'scheme = "hmac-sha256-hex"\nsecrets = ["file:secret"]\n')
    assert resolve_source_secrets(settings, {})["acme"].unreadable == ("file:secret",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('secrets = ["env:NOWHERE"]\n', "of source 'acme' is not set; put NOWHERE=... into"),
        ('secrets = ["file:short"]\n', "is under 32 bytes; make a longer one"),
        ('secrets = ["file:binary"]\n', "it is not UTF-8 text"),
        ('secrets = ["file:~nobody-of-that-name/x"]\n', "has no path in file:~nobody-of-that-name/x"),
        ('secrets = ["file:a\\u0000b"]\n', "has no path in"),
        ('secrets = ["env:S"]\npath_token = "env:NOWHERE"\n', "that ends the path of source 'acme' is not set"),
        (
            'secrets = ["env:S"]\npath_token = "file:short"\n',
            "that ends the path of source 'acme' in file:short is under",
        ),
        ('secrets = ["env:S"]\npath_token = "file:slash"\n', "cannot stand in a URL as it is; make one with"),
    ],
)
def test_what_will_not_be_better_later_is_refused_at_start(tmp_path: Path, text: str, says: str) -> None:
    """Not set, weak, or of a form that can never fit: its owner has to do something."""
    (tmp_path / "short").write_text("s" * 31 + "\n")
    (tmp_path / "binary").write_bytes(b"\xff" * 40)
    (tmp_path / "slash").write_text("s" * 32 + "/")
    assert says in _complaint(_load(tmp_path, 'scheme = "hmac-sha256-hex"\n' + text), S=SECRET)


@pytest.mark.parametrize(
    ("scheme", "secret", "says"),
    [
        ('"standard-webhooks"', "whsec_" + "A" * 31, "decodes to under 24 bytes"),
        ('"standard-webhooks"', "-" * 40, "it is not base64 behind an optional `whsec_`; copy it again"),
        ('"standard-webhooks"', "whsk_" + "A" * 86 + "==", "it is the sender's own signing key"),
        ('"standard-webhooks"', "whpk_" + "A" * 43 + "=", "it is a placeholder"),
        ('{key = "hex"}', "0" * 46, "decodes to under 24 bytes"),
        ('{key = "hex"}', "g" * 46, "it is not hex"),
        ('{algorithm = "ed25519", key = "base64"}', "A" * 40, "which has 32 bytes"),
        ('"dub"', "whsec_0123456789abcde", "is under 22 bytes"),
    ],
)
def test_a_secret_that_does_not_fit_its_scheme_is_refused_at_start(
    tmp_path: Path, scheme: str, secret: str, says: str
) -> None:
    """The message names the source and what is wrong, and never the secret."""
    message = _complaint(_load(tmp_path, f'scheme = {scheme}\nsecrets = ["env:ACME"]\n'), ACME=secret)
    assert says in message
    assert secret not in message


def test_dub_starts_with_the_secret_that_dub_gives(tmp_path: Path) -> None:
    """It is short, and there is no other."""
    settings = _load(tmp_path, 'scheme = "dub"\nsecrets = ["env:DUB"]\n')
    assert resolve_source_secrets(settings, {"DUB": "whsec_0123456789abcdef"})["acme"].secrets[0].name == "env:DUB"


def test_secret_and_public_keys_stand_beside_each_other(tmp_path: Path) -> None:
    """A sender may change from `whsec_` to `whpk_`, and back."""
    public = "whpk_" + base64.b64encode(bytes(range(32))).decode()
    settings = _load(tmp_path, 'scheme = "standard-webhooks"\nsecrets = ["env:PUBLIC", "env:SECRET"]\n')
    environ = {"PUBLIC": public, "SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    found = resolve_source_secrets(settings, environ)["acme"].secrets
    assert [(secret.name, secret.is_public, len(secret.key)) for secret in found] == [
        ("env:PUBLIC", True, 32),
        ("env:SECRET", False, 24),
    ]


def test_basic_wants_user_and_password(tmp_path: Path) -> None:
    """What has no colon is only half of it."""
    settings = _load(tmp_path, 'scheme = "basic"\nsecrets = ["env:ACME"]\nallow_ips = ["192.0.2.1"]\n')
    assert "it is not `user:password`" in _complaint(settings, ACME=SECRET)
    (found,) = resolve_source_secrets(settings, {"ACME": f"affiliate:{SECRET}"})["acme"].secrets
    assert found.key == f"affiliate:{SECRET}".encode()


def test_what_none_does_not_use_is_not_read(tmp_path: Path) -> None:
    """A reference left over from another scheme keeps nobody from starting."""
    settings = _load(tmp_path, 'scheme = "none"\nsecrets = ["env:LEFT_OVER"]\nallow_ips = ["192.0.2.1"]\n')
    assert resolve_source_secrets(settings, {})["acme"] == SourceSecrets((), None, ())
    assert resolve_secrets(settings, {})["acme"] == ()
