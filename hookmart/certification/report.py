"""A certificate on the terminal, check by check, and as a document for programs."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.markup import escape

from hookmart.certification.check import Certificate, Check, Step, Verdict
from hookmart.terminal import out

_STYLES = {Verdict.PASSED: "green", Verdict.FAILED: "bold red", Verdict.NOT_EXERCISED: "yellow"}
_WIDTH = max(map(len, Verdict))
_INDENT = " " * (_WIDTH + 4)


@dataclass(slots=True)
class Printer:
    """Prints each check as it is made, under the name of its step."""

    _step: Step | None = None

    def print(self, check: Check) -> None:
        """Print *check*: one line where it passed, and what to do where it did not."""
        if check.step is not self._step:
            self._step = check.step
            out.print(f"\n[bold]{list(Step).index(check.step) + 1}. {check.step}[/bold]")
        style = _STYLES[check.verdict]
        out.print(f"  [{style}]{check.verdict:<{_WIDTH}}[/{style}]  {escape(check.name)}: {escape(check.came)}")
        if check.verdict is Verdict.FAILED:
            out.print(f"{_INDENT}sent {escape(check.sent)}; expected {escape(check.expected)}")
        if check.remedy:
            out.print(f"{_INDENT}{escape(check.remedy)}")


def print_summary(certificate: Certificate) -> None:
    """Print how the run ended, in one line."""
    counts = ", ".join(f"{certificate.count(verdict)} {verdict}" for verdict in Verdict)
    out.print(f"\n{'PASS' if certificate.is_passed else 'FAIL'}: {counts}", markup=False)


def certificate_document(certificate: Certificate) -> dict[str, Any]:
    """Return *certificate* for programs."""
    return {
        **asdict(certificate),
        "passed": certificate.is_passed,
        "counts": {verdict.value: certificate.count(verdict) for verdict in Verdict},
    }
