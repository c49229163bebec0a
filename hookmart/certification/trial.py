"""The receiver under test, as the steps see it: post a genuine request, or one with one thing wrong."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from hookmart.certification.specimen import Sent, Specimen, Specimens
from hookmart.certification.wire import CONNECTIONS, Answer, Wire
from ingest.source_settings import SourceSettings
from sending.signing import Headers, Signer


@dataclass(slots=True)
class Trial:
    """
    One run against one receiver.

    Attributes:
        source: As the configuration has it.
        signers: One for each secret of the source that can sign, newest first; a single one where none is needed.
        known_url: The URL as the receiver takes it for signed.
        now: The clock, timezone-aware.
    """

    wire: Wire
    source: SourceSettings
    signers: tuple[Signer, ...]
    known_url: str
    specimens: Specimens
    now: Callable[[], datetime]
    sent: Sent = field(default_factory=Sent)

    @property
    def signer(self) -> Signer:
        """The one of the newest secret."""
        return self.signers[0]

    @property
    def proves_body(self) -> bool:
        """Whether a tampered body can be told at all."""
        return self.source.scheme.covers_body

    def signed(self, body: bytes, *, signer: Signer | None = None, age: float = 0.0) -> Headers:
        """Return the headers of the holder of a secret, made *age* seconds ago."""
        at = self.now() - timedelta(seconds=age)
        return (signer or self.signer).headers(body, f"msg_{sha256(body).hexdigest()[:24]}", at, url=self.known_url)

    def post(self, specimen: Specimen, headers: Headers | None = None, extra: Headers | None = None) -> Answer:
        """Post *specimen*, signed well unless *headers* prove it otherwise, and note what was acknowledged."""
        proof = self.signed(specimen.body) if headers is None else headers
        answer = self.wire.send(specimen.body, [*proof, *(extra or [])])
        self.sent.note(specimen, is_acknowledged=answer.is_success)
        return answer

    def post_at_once(self, specimens: Sequence[Specimen]) -> list[Answer]:
        """Post *specimens*, signed well, over as many connections as there may be; answers in their order."""
        bodies = [specimen.body for specimen in specimens]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            answers = list(pool.map(self.wire.send, bodies, map(self.signed, bodies)))
        for specimen, answer in zip(specimens, answers, strict=True):
            self.sent.note(specimen, is_acknowledged=answer.is_success)
        return answers

    def forge(self, specimen: Specimen, headers: Headers) -> Answer:
        """Post *specimen* with *headers* that do not prove it."""
        self.sent.forged.add(sha256(specimen.body).hexdigest())
        return self.wire.send(specimen.body, headers)
