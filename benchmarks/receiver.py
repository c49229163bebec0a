"""
Measure the receiver against what else one could put in its place, on this machine.

    python benchmarks/receiver.py                       all contenders, all loads; a Markdown table
    python benchmarks/receiver.py --soak 1000000        is its memory flat?
    python benchmarks/receiver.py --profile             where does its time go?
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402  # started as a file, this is how it finds the project
from benchmarks.contenders import CONTENDERS, Contender, Hookmart
from benchmarks.contest import Contest
from benchmarks.cpu_profile import profile_table
from benchmarks.load_generator import Load, LoadFailed
from benchmarks.machine import cores_for, describe, is_in_memory
from benchmarks.receiver_memory import watch_memory
from benchmarks.results import Entry, Run, machine_lines, markdown
from benchmarks.rival_environments import Environments, NotRunnable
from benchmarks.running_server import ServerFailed

_SCRATCH = ROOT / "var" / "benchmarks"

T = TypeVar("T")


def main() -> int:
    """Do what the command line asks; 0 done, 1 something measured was wrong, 2 cannot be measured here."""
    arguments = _arguments().parse_args()
    missing = [name for name in ("wrk", *(() if arguments.no_pin else ("taskset",))) if shutil.which(name) is None]
    if missing:
        return _cannot(f"{' and '.join(missing)} not found; install it (Debian: wrk, util-linux)")
    scratch: Path = arguments.directory.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    if is_in_memory(scratch):
        return _cannot(f"{scratch} is in memory, where a sync costs nothing; name a --directory on a disk")
    environments = Environments(scratch / "rivals")
    contest = Contest(
        scratch / "runs",
        seconds=arguments.seconds,
        warm_up_seconds=arguments.warm_up,
        is_pinned=not arguments.no_pin,
    )
    try:
        if arguments.soak:
            return watch_memory(contest, Hookmart(environments), arguments.soak, say=_say)
        if arguments.profile:
            _say(profile_table(contest, Hookmart(environments), environments, scratch))
            return 0
        return _compare(arguments, contest, environments, scratch)
    except (ServerFailed, LoadFailed, NotRunnable) as error:
        return _cannot(str(error))


def _compare(arguments: argparse.Namespace, contest: Contest, environments: Environments, scratch: Path) -> int:
    machine = describe(scratch)
    chosen = [kind(environments) for kind in CONTENDERS if not arguments.only or kind.name in arguments.only]
    loads = [Load(connections, size) for size in arguments.sizes for connections in arguments.connections]
    missing = _missing(chosen)
    not_run: dict[str, dict[Load, str]] = {
        each.name: dict.fromkeys(loads, missing[each.name]) if each.name in missing else {} for each in chosen
    }
    runs: list[Run] = []
    for load in loads:
        for round_number in range(1, arguments.rounds + 1):
            # In turns, so that whatever else the machine does meets all of them alike.
            for contender in chosen:
                if load in not_run[contender.name]:
                    continue
                try:
                    runs.append(_run(contest, contender, load, round_number))
                except (ServerFailed, LoadFailed) as error:
                    not_run[contender.name][load] = str(error)
                    _say(f"{contender.name}: {error}")
    entries = [Entry(each.name, each.title, each.keeps, not_run[each.name]) for each in chosen]
    sys.stdout.write(f"\n{machine_lines(machine)}{_terms(arguments)}\n{markdown(loads, entries, runs)}")
    if arguments.json:
        left_out = [
            {"contender": name, "load": asdict(load), "reason": reason}
            for name, reasons in not_run.items()
            for load, reason in reasons.items()
        ]
        document = {"machine": asdict(machine), "runs": [asdict(run) for run in runs], "not_run": left_out}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    ours = {each.name for each in chosen if isinstance(each, Hookmart)}
    return 1 if any(not_run[name] for name in ours) or any(run.faults for run in runs if run.contender in ours) else 0


def _terms(arguments: argparse.Namespace) -> str:
    cores = cores_for(1, is_pinned=not arguments.no_pin)
    where = "cores left to the kernel"
    if cores.server and cores.load is not None:
        where = f"one process of a server on core {cores.server[0]}, wrk on core {cores.load}"
    rounds = f"{arguments.rounds} rounds of {arguments.seconds} s, each after {arguments.warm_up} s of the same load"
    return f"Medians (lowest-highest) of {rounds}; {where}.\n"


def _run(contest: Contest, contender: Contender, load: Load, round_number: int) -> Run:
    try:
        run = contest.run(contender, load, round_number)
    except (ServerFailed, LoadFailed) as error:
        # One hiccup of the machine must not cost all further rounds; two are no hiccup.
        _say(f"{contender.name}: {error}; once more")
        run = contest.run(contender, load, round_number)
    _say(_progress(run))
    return run


def _missing(chosen: Sequence[Contender]) -> dict[str, str]:
    # Prepares all of them; why some cannot be run, by name.
    reasons = {}
    for contender in chosen:
        try:
            contender.prepare()
        except NotRunnable as error:
            reasons[contender.name] = str(error)
            _say(f"{contender.name}: not run: {error}")
    return reasons


def _progress(run: Run) -> str:
    return (
        f"round {run.round_number}, {run.load.connections} x {run.load.body_bytes} B, {run.contender}:"
        f" {run.measurement.per_second:,.0f}/s {'; '.join(run.faults)}".rstrip()
    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the receiver against what else one could use.")
    parser.add_argument("--seconds", type=_positive, default=5, help="of each measurement")
    parser.add_argument("--warm-up", type=int, default=1, help="seconds of load before each measurement")
    parser.add_argument("--rounds", type=_positive, default=3, help="the figures are medians over them")
    parser.add_argument("--connections", type=_list_of(_positive), default=[1, 64, 256], help="for example 1,64,256")
    parser.add_argument("--sizes", type=_list_of(_positive), default=[1024, 20480], help="of bodies, in bytes")
    names = [kind.name for kind in CONTENDERS]
    parser.add_argument("--only", type=_list_of(_one_of(names)), default=[], help=f"some of {', '.join(names)}")
    parser.add_argument("--json", type=Path, help="write every run to this file as well")
    parser.add_argument(
        "--directory", type=Path, default=_SCRATCH, help="on the disk to measure; default var/benchmarks"
    )
    parser.add_argument("--no-pin", action="store_true", help="leave the choice of cores to the kernel")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--soak", type=_positive, nargs="?", const=1_000_000, help="post so many requests to hookmart, watch its memory"
    )
    instead.add_argument("--profile", action="store_true", help="show where hookmart spends its time")
    return parser


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return int(text)


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(names)}")
        return text

    return parse


def _list_of(parse: Callable[[str], T]) -> Callable[[str], list[T]]:
    return lambda text: [parse(part) for part in text.split(",")]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _cannot(reason: str) -> int:
    _say(f"Not measured: {reason}.")
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
