"""kwhost where no namespaces can be made: as root of a plain container, and as an ordinary user."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.engines.bare import BARE_WARNING
from kwhost.core.hostcheck.kernel import landlock_version
from tests.functional import refuse_namespaces
from tests.functional.hosting import Daemon, eventually
from tests.patience import SECONDS

__all__ = ["WARNED", "BareDaemon", "Surroundings", "marked", "need_landlock"]

# What `kwhost run` says there before the program's own errors.
WARNED = f"kwhost: {BARE_WARNING}\n"

# The limit on processor time in a real-time class by which an instance's processes are known.
_MARKER_LEAST = 1 << 62


def need_landlock(kind: str) -> str:
    """The kind of surroundings; skips the test where programs are not run there."""
    if kind == "user" and landlock_version()[0] < 3:
        pytest.skip("an ordinary user's programs need Landlock 3 (Linux 6.2) where there are no namespaces")
    return kind


class Surroundings:
    """`kind`: see refuse_namespaces. `sleep`: a command that nobody else runs."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._name = f"bare-{os.urandom(4).hex()}"
        self.sleep = f"sleep {int.from_bytes(os.urandom(3)) + 1_000_000}"

    def scratches(self) -> list[str]:
        """What its instances wrote and is still there."""
        return [name for name in os.listdir("/tmp") if name.startswith(f"kwhost-{self._name}-")]

    def sleepers(self) -> list[int]:
        """The processes of its instances that sleep."""
        return marked(self.sleep.split())

    def command(self, *command: str) -> list[str]:
        """A command as it is run there."""
        return [sys.executable, str(refuse_namespaces.__file__), self.kind, *command]

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """Start `kwhost run` there."""
        run = [sys.executable, "-m", "kwhost", "run", "--engine", "process", "--isolation", "process"]
        run += ["--name", self._name]
        settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            self.command(*run, *arguments), stdin=subprocess.DEVNULL, text=True, **settings
        )

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`kwhost run` to its end."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def python(self, script: str, *arguments: str) -> list[str]:
        """What a script of Python's prints when it is run as a program without namespaces."""
        done = self.run("--", "python3", "-c", script, *arguments)
        assert (done.returncode, done.stderr) == (0, WARNED), done
        return done.stdout.splitlines()


_ASK = """
import json, sys
from pathlib import Path
from kwhost.core.api.client import Client
from kwhost.core.errors import ApiError
try:
    print(json.dumps(Client(Path(sys.argv[1])).request("GET", sys.argv[2])))
except ApiError as error:
    sys.exit(str(error))
"""


class BareDaemon(Daemon):
    """A daemon there, and its callers: it knows nobody from elsewhere."""

    def __init__(self, kind: str) -> None:
        self.around = Surroundings(kind)
        # Keeps the user namespace, which daemons come and go in.
        self._holder = subprocess.Popen(self.around.command("sleep", "infinity"))
        eventually(
            lambda: Path(f"/proc/{self._holder.pid}/comm").read_text() == "sleep\n", "the surroundings"
        )
        super().__init__()

    def command(self, *arguments: str) -> list[str]:
        return self._inside(*super().command(*arguments))

    def _inside(self, *command: str) -> list[str]:
        if self.around.kind == "container":
            return self.around.command(*command)
        namespace = f"--user=/proc/{self._holder.pid}/ns/user"
        return ["nsenter", namespace, "--preserve-credentials", *command]

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._holder.kill()
            self._holder.wait()

    def instance(self, name: str) -> Any:
        command = self._inside(sys.executable, "-c", _ASK, str(self.socket), f"/v1/instances/{name}")
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def _is_marked(pid: str) -> bool:
    try:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    hard = next((line.split()[4] for line in lines if line.startswith("Max realtime timeout")), "")
    return hard.isdecimal() and int(hard) >= _MARKER_LEAST and state != "Z"


def marked(command: Sequence[str]) -> list[int]:
    """The processes of instances without namespaces that run exactly this command."""
    wanted = "".join(f"{argument}\0" for argument in command)
    found = []
    for pid in filter(_is_marked, filter(str.isdigit, os.listdir("/proc"))):
        try:
            if Path(f"/proc/{pid}/cmdline").read_text() == wanted:
                found.append(int(pid))
        except OSError:
            continue
    return found
