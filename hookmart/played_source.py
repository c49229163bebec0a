"""Everything that is needed to post as one of the configured sources."""

from collections.abc import Mapping
from dataclasses import dataclass

from hookmart.chosen_source import chosen_source
from ingest.errors import SettingsError
from ingest.secrets import resolve_secrets, resolve_signing_key, resolve_source_secrets
from ingest.settings import Settings
from sending.http_client import check_url
from sending.signing import CannotSign, Signer


@dataclass(frozen=True, slots=True)
class PlayedSource:
    """
    A source, as its platform knows it.

    Attributes:
        url: Where to post, the token in its path included.
        signed_url: The same as the receiver knows it, for schemes that sign it.
    """

    name: str
    url: str
    signed_url: str
    signer: Signer


def played_source(
    settings: Settings, name: str | None, origin: str, environ: Mapping[str, str], signing_key: str | None = None
) -> PlayedSource:
    """
    Return what it takes to post as the source *name* to the receiver at *origin*; the only source where that is None.

    Args:
        signing_key: Reference to the private key to one of its public keys.

    Raises:
        SettingsError: There is no such source, its secrets cannot be read or cannot sign, it sends a platform's own
            payloads, or *origin* is no address.
    """
    chosen = chosen_source(settings, name)
    source = settings.sources[chosen]
    if source.mapping is not None:
        raise SettingsError(
            f"The source {chosen!r} has a mapping from its platform's own payloads, and what is played here are events"
            " of the contract; say another --source."
        )
    token = resolve_source_secrets(settings, environ)[chosen].path_token
    path = f"/webhooks/{chosen}" + (f"/{token}" if token is not None else "")
    url = origin.rstrip("/") + path
    try:
        check_url(url)
        private = None if signing_key is None else resolve_signing_key(settings, signing_key, environ)
        signer = Signer.of(source.signing, resolve_secrets(settings, environ)[chosen], private)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    except CannotSign as error:
        raise SettingsError(f"The source {chosen!r} cannot be played: {error}") from None
    return PlayedSource(chosen, url, (settings.receiver.public_url or origin).rstrip("/") + path, signer)
