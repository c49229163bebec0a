"""Who may come in: the configured sources, their addresses, and what is read again while the receiver runs."""

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

from ingest.secrets import SourceSecrets
from ingest.settings import Settings
from ingest.source_settings import SourceSettings

PATH_PREFIX = "/webhooks/"

_BRACKETED = re.compile(r"\[([^]]*)\](?::[0-9]+)?")

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class Source:
    """A configured sender, ready to judge its requests."""

    def __init__(self, name: str, settings: SourceSettings, secrets: SourceSecrets) -> None:
        self.name = name
        self.scheme = settings.signing
        self.secrets = secrets.secrets
        self.has_unreadable_secrets = bool(secrets.unreadable)
        self.max_body_bytes = settings.max_body_bytes
        self.max_decompressed_bytes = settings.max_decompressed_bytes
        self.signs_decompressed = settings.signature_covers == "decompressed"
        self.may_send_arrays = settings.arrays
        self.mapping = settings.platform
        self.networks: tuple[Network, ...] = settings.allow_ips
        self.needs_token = settings.path_token is not None
        self._token = secrets.path_token
        self.lacks_token = self.needs_token and self._token is None

    def is_addressed_by(self, token: str | None) -> bool:
        """Whether *token*, what follows the name in the path, is what it must be, as far as it can be read."""
        if not self.needs_token or token is None:
            return not self.needs_token and token is None
        return self._token is None or hmac.compare_digest(token.encode(), self._token.encode())

    def allows(self, address: Address | None) -> bool:
        """Whether a client at *address* may post. One without an address may only where anyone may."""
        return not self.networks or (address is not None and _is_in(address, self.networks))


def sources_of(settings: Settings, secrets: Mapping[str, SourceSecrets]) -> dict[str, Source]:
    """Every source of *settings* by its name, with its *secrets*."""
    return {name: Source(name, source, secrets[name]) for name, source in settings.sources.items()}


class Door:
    """
    The way to a source.

    Args:
        read_sources: Reads them from the configuration, now and whenever `reload` is called.
        trusted_proxies: Whose word on client and URL is believed.
        public_url: Scheme and host by which senders know this receiver; None: as the request says.
    """

    def __init__(
        self,
        read_sources: Callable[[], Mapping[str, Source]],
        *,
        trusted_proxies: Iterable[Network] = (),
        public_url: str | None = None,
    ) -> None:
        self._read_sources = read_sources
        self._trusted = tuple(trusted_proxies)
        self._public_url = public_url
        self._know(read_sources())

    def reload(self) -> None:
        """
        Read the sources and their secrets again; requests under way keep those they began with.

        Raises:
            SettingsError: They cannot be used; those read before stay.
        """
        self._know(self._read_sources())

    def source_at(self, path: str) -> Source | None:
        """The source that *path* names, if any."""
        source = self._at_plain_path.get(path)
        if source is not None:
            return source
        name, slash, token = path[len(PATH_PREFIX) :].partition("/")
        source = self.sources.get(name)
        if source is None or not source.is_addressed_by(token if slash else None):
            return None
        return source

    def _know(self, sources: Mapping[str, Source]) -> None:
        self.sources = sources
        self._at_plain_path = {
            PATH_PREFIX + name: source for name, source in sources.items() if source.is_addressed_by(None)
        }

    def client_of(self, scope: Scope) -> Address | None:
        """
        The address that posts: the socket's, or behind trusted proxies the one that the last of them saw.

        None where there is none, as on a Unix socket, or where a trusted proxy names none that can be read.
        """
        client = scope.get("client")
        address = _address(client[0] if client else "")
        if not self._is_trusted(address):
            return address
        for heard in reversed(_listed(scope, b"x-forwarded-for")):
            address = _address(heard)
            if not self._is_trusted(address):
                break
        return address

    def url_of(self, scope: Scope) -> str:
        """The URL as its sender wrote it, as far as it can be known: what a signature over the URL covers."""
        origin = self._public_url or self._origin_of(scope)
        query: bytes = scope["query_string"]
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        return origin + path.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")

    def _origin_of(self, scope: Scope) -> str:
        client = scope.get("client")
        protocol: str = scope["scheme"]
        host = next(iter(_listed(scope, b"host")), "")
        if self._is_trusted(_address(client[0] if client else "")):
            protocol = next(iter(_listed(scope, b"x-forwarded-proto")), protocol)
            host = next(iter(_listed(scope, b"x-forwarded-host")), host)
        return f"{protocol}://{host}"

    def _is_trusted(self, address: Address | None) -> bool:
        return bool(self._trusted) and address is not None and _is_in(address, self._trusted)


def _listed(scope: Scope, name: bytes) -> list[str]:
    values = [value.decode("latin-1") for header, value in scope["headers"] if header == name]
    return [part.strip() for part in ",".join(values).split(",") if part.strip()]


def _address(text: str) -> Address | None:
    try:
        address = ip_address(_without_port(text))
    except ValueError:
        return None
    # A socket that listens on both families shows an IPv4 client as ::ffff:a.b.c.d.
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(text: str) -> str:
    # Some proxies write a.b.c.d:port and [v6]:port.
    if bracketed := _BRACKETED.fullmatch(text):
        return bracketed[1]
    host, _, port = text.partition(":")
    return host if port.isdecimal() else text


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
