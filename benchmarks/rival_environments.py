"""Where rivals get what they need: folders made once, outside the project's own environment and its lock."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_INSTALL_SECONDS = 900.0
_DONE = ".complete"


class NotRunnable(Exception):
    """A contender cannot be run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Environments:
    """
    The folders of all rivals.

    Attributes:
        root: Made when it is first needed; may be removed at any time.
    """

    root: Path

    def python_packages(self, name: str, *requirements: str) -> Path:
        """
        A folder of Python packages, to be put on PYTHONPATH.

        Raises:
            NotRunnable: They cannot be installed.
        """

        def install(directory: Path) -> None:
            quiet = ("--quiet", "--quiet", "--disable-pip-version-check", "--no-input")
            _run([sys.executable, "-m", "pip", "install", *quiet, "--target", str(directory), *requirements])

        return self._made(name, " ".join(requirements), install)

    def node_packages(self, name: str, sources: Path) -> Path:
        """
        A copy of the folder *sources* with what its `package.json` names; native modules are compiled here.

        Raises:
            NotRunnable: There is no Node, or its packages cannot be installed or compiled.
        """
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise NotRunnable("node and npm are not installed")

        def install(directory: Path) -> None:
            shutil.copytree(sources, directory, dirs_exist_ok=True)
            # Scripts of packages would fetch ready binaries from elsewhere; the compiler needs nobody.
            options = ("--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-package-lock")
            _run([npm, "install", *options], directory)
            node_gyp = _output([npm, "config", "get", "node-gyp"])
            headers = Path(node).resolve().parent.parent
            for native in sorted(directory.glob("node_modules/*/binding.gyp")):
                _run([node, node_gyp, "rebuild", "--release", f"--nodedir={headers}"], native.parent)

        wanted = "\n".join(
            [_output([node, "--version"]), *(path.read_text(encoding="utf-8") for path in sorted(sources.iterdir()))]
        )
        return self._made(name, wanted, install)

    def _made(self, name: str, wanted: str, install: Callable[[Path], None]) -> Path:
        directory = self.root / name
        done = directory / _DONE
        if done.is_file() and done.read_text(encoding="utf-8") == wanted:
            return directory
        if directory.exists():
            shutil.rmtree(directory)
        directory.mkdir(parents=True)
        install(directory)
        done.write_text(wanted, encoding="utf-8")
        return directory


def _run(command: Sequence[str], directory: Path | None = None) -> None:
    try:
        subprocess.run(  # noqa: S603  # the command is ours
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise NotRunnable(f"`{Path(command[0]).name} {command[1]}` failed: {last[0]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotRunnable(f"`{Path(command[0]).name} {command[1]}` failed: {error}") from error


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603  # ours
