"""A certificate as one HTML page that needs no other."""

from collections import Counter
from html import escape
from string import Template

from hookmart.certification.check import Certificate, Check, Step, Verdict

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Go-live certificate: $source</title>
<style>
:root { color-scheme: light dark; --line: #8885; --pass: #1a7f37; --fail: #c62828; --open: #8a6d00; }
@media (prefers-color-scheme: dark) { :root { --pass: #5fd38a; --fail: #ff8a80; --open: #e5c357; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th:nth-child(1) { width: 24%; } th:nth-child(2) { width: 8rem; }
th:nth-child(3) { width: 19%; } th:nth-child(4) { width: 14%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 600; }
td.verdict { white-space: nowrap; font-weight: 600; }
.pass { color: var(--pass); } .fail { color: var(--fail); } .open { color: var(--open); }
.remedy { margin: .3rem 0 0; }
code { font-size: .9em; }
</style>
<h1>Go-live certificate: <span class="$mark">$verdict</span></h1>
<p>Source <b>$source</b> at <code>$url</code>, run <code>$run</code>, begun $started_at UTC. $marking<br>
$passed passed, $failed failed, $open not exercised.</p>
$failures
$steps
</html>
""")

_MARKS = {Verdict.PASSED: "pass", Verdict.FAILED: "fail", Verdict.NOT_EXERCISED: "open"}
_HEAD = "<tr><th>check<th>result<th>sent<th>expected<th>came</tr>"


def certificate_page(certificate: Certificate) -> str:
    """Return the page; nothing in it is fetched from elsewhere."""
    counts = Counter(check.verdict for check in certificate.checks)
    return _PAGE.substitute(
        source=escape(certificate.source),
        url=escape(certificate.url),
        run=escape(certificate.run),
        started_at=escape(certificate.started_at.partition(".")[0]),
        marking="Its events are live ones." if certificate.is_live else "Its events are marked as test events.",
        verdict="pass" if certificate.is_passed else "fail",
        mark="pass" if certificate.is_passed else "fail",
        passed=counts[Verdict.PASSED],
        failed=counts[Verdict.FAILED],
        open=counts[Verdict.NOT_EXERCISED],
        failures=_failures([check for check in certificate.checks if check.verdict is Verdict.FAILED]),
        steps="\n".join(_step(number, step, certificate.of(step)) for number, step in enumerate(Step, start=1)),
    )


def _failures(checks: list[Check]) -> str:
    """What there is to do, before everything else: each sentence once, with the checks that say it."""
    names: dict[str, list[str]] = {}
    for check in checks:
        names.setdefault(check.remedy, []).append(check.name)
    items = (f"<li><b>{escape(', '.join(said_by))}</b>: {escape(remedy)}" for remedy, said_by in names.items())
    return f"<h2>What to do</h2>\n<ol>{''.join(items)}</ol>" if checks else ""


def _step(number: int, step: Step, checks: list[Check]) -> str:
    return f"<h2>{number}. {escape(step)}</h2>\n<table>{_HEAD}\n{chr(10).join(map(_row, checks))}\n</table>"


def _row(check: Check) -> str:
    remedy = f'<p class="remedy"><b>What to do:</b> {escape(check.remedy)}</p>' if check.remedy else ""
    return (
        f"<tr><td>{escape(check.name)}"
        f'<td class="verdict {_MARKS[check.verdict]}">{escape(check.verdict)}'
        f"<td>{escape(check.sent)}<td>{escape(check.expected)}<td>{escape(check.came)}{remedy}</tr>"
    )
