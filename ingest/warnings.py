"""What the configuration allows and its owner should know: said once, when the receiver starts."""

from ingest.settings import Settings
from ingest.source_settings import SourceSettings
from ingest.sources import SHORTEST_SECRET


def warnings_of(settings: Settings) -> list[str]:
    """Return full sentences on the sources whose schemes leave something open, in their order."""
    return [
        sentence for name, source in settings.sources.items() for sentence in _sentences(f"source {name!r}", source)
    ]


def _sentences(named: str, source: SourceSettings) -> list[str]:
    scheme = source.scheme
    found = []
    if not scheme.needs_secret:
        fence = " and ".join(
            fence for fence, is_set in (("allow_ips", source.allow_ips), ("path_token", source.path_token)) if is_set
        )
        unused = "; its `secrets` are not used" if source.secrets else ""
        found.append(
            f"The scheme of {named} proves neither the sender nor the body: whoever passes {fence} can write"
            f" events{unused}."
        )
    elif not scheme.covers_body:
        found.append(
            f"The scheme of {named} sends its secret and signs nothing: whoever sees one request can write others, so"
            " let it come over TLS only."
        )
    elif not scheme.has_timestamp:
        found.append(
            f"The scheme of {named} signs no time: a captured request can be sent again; the event ids kept in raw are"
            " the defence."
        )
    if scheme.shortest_secret < SHORTEST_SECRET:
        found.append(
            f"The scheme of {named} takes secrets from {scheme.shortest_secret} bytes on, where others ask for"
            f" {SHORTEST_SECRET}."
        )
    return found
