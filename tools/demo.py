"""Runs several real programs, each in a virtual machine of its own, and shows what each did and cost; then
hosts config.example.toml with a daemon of its own, and leaves nothing behind. On a terminal that is shown in
the terminal interface, until one leaves it."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

KWHOST = [sys.executable, "-m", "kwhost"]
LIMIT = "60s"
EXAMPLE = Path(__file__).resolve().parents[1] / "config.example.toml"
READY_SECONDS = 90
WITHOUT_KVM = ("--engine", "process", "--isolation", "process")

PYTHON = """
import platform, hashlib, threading
results = []
def work(part): results.append(hashlib.sha256(bytes([part]) * 1_000_000).hexdigest()[:8])
threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print(f"Python {platform.python_version()} hashed 4 MB in 4 threads:", *sorted(results))
"""

PIPELINE = """
words=$(tr -cs '[:alpha:]' '\\n' < /usr/share/common-licenses/GPL-3 | tr A-Z a-z |
  sort | uniq -c | sort -rn | head -3)
echo "the most frequent words of the GPL:" $words
"""

# Two processes of one instance, over its own loopback.
HTTP = """
cd /usr/share/common-licenses
python3 -m http.server 8000 --bind 127.0.0.1 2>/tmp/log & server=$!
until (: </dev/tcp/127.0.0.1/8000) 2>/dev/null; do sleep 0.02; done
python3 -c 'import urllib.request
with urllib.request.urlopen("http://127.0.0.1:8000/GPL-3") as answer:
    print("fetched", len(answer.read()), "bytes, status", answer.status)'
kill $server; wait $server 2>/dev/null
echo "the server logged: $(tail -n 1 /tmp/log)"
"""

NODE = """
const {Worker, isMainThread, parentPort} = require('worker_threads');
const sum = n => { let s = 0; for (let i = 0; i < n; i++) s += i; return s };
const worker = new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", {eval: true});
worker.on('message', said => console.log(
  `Node.js ${process.version}: a worker thread says ${said}, the main thread ${sum(1e6)}`));
"""


class Demo(NamedTuple):
    title: str
    needs: str
    command: list[str]


DEMOS = (
    Demo("a shell command", "sh", ["sh", "-c", "echo hello from process $$ on host $(hostname)"]),
    Demo("Python with threads", "python3", ["python3", "-c", PYTHON]),
    Demo("a pipeline of bash", "bash", ["bash", "-c", PIPELINE]),
    Demo("an HTTP server and its client", "python3", ["bash", "-c", HTTP]),
    Demo("Node.js with a worker thread", "node", ["node", "-e", NODE]),
)


def number(label: str, statistics: str) -> str:
    found = re.search(rf"^{label} +(.+)$", statistics, re.MULTILINE)
    return found[1] if found else "?"


def counts(statistics: str) -> str:
    """What is known of these; without a virtual machine nobody counts them."""
    if number("system calls", statistics) == "n/a":
        return ""
    return (
        f", {number('system calls', statistics)} system calls, {number('VM exits', statistics)} VM exits, "
        f"processes: {number('processes', statistics)}, threads: {number('threads', statistics)}, "
        f"peak memory {number('peak memory', statistics)}"
    )


def run(demo: Demo, options: tuple[str, ...]) -> bool:
    print(f"\n{demo.title}: {demo.command[0]} {demo.command[1] if len(demo.command) > 2 else ''} ...")
    command = [*KWHOST, "run", *options, "--stats", "--timeout", LIMIT, "--", *demo.command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(*(f"  | {line}" for line in done.stdout.splitlines()), sep="\n")
    errors, marker, statistics = done.stderr.partition("start time")
    print(*(f"  ! {line}" for line in errors.splitlines()), sep="\n", end="\n" if errors else "")
    if marker:
        statistics = marker + statistics
        print(f"  = started in {number('start time', statistics)}{counts(statistics)}")
    if done.returncode:
        print(f"  ! exit status {done.returncode}")
    return done.returncode == 0


def kwhost(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*KWHOST, *arguments], capture_output=True, text=True, check=False)


def show(*arguments: str) -> None:
    done = kwhost(*arguments)
    print(f"\n$ kwhost {shlex.join(arguments)}\n{done.stdout}{done.stderr}", end="", flush=True)


def start_hosting(directory: Path) -> bool:
    """Host the example; where this host cannot hold limits on CPUs, without these."""
    config = directory / EXAMPLE.name
    config.write_text(EXAMPLE.read_text())
    started = kwhost("up", "-d", str(config))
    print(started.stdout + started.stderr, end="")
    if started.returncode == 0 and "cannot hold cpus" in started.stderr:
        print("So the example is hosted without its limits on CPUs.")
        config.write_text(re.sub(r"^cpus = .*\n", "", EXAMPLE.read_text(), flags=re.MULTILINE))
        kwhost("reload")
    return started.returncode == 0


def is_well(instance: dict[str, Any]) -> bool:
    if instance["state"] == "running":
        return instance["health"] in ("none", "healthy")
    return bool(instance["state"] == "exited" and instance["exit_code"] == 0)


def wait_until_well(*, lacking: bool) -> bool:
    """All run and are healthy, or were jobs that went well; without KVM those whose tenant allows that."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        listed = kwhost("ps", "-a", "--json")
        found = json.loads(listed.stdout) if listed.returncode == 0 else []
        expected = [each for each in found if not lacking or each["isolation"] == "process"]
        if expected and all(map(is_well, expected)):
            return True
        time.sleep(0.2)
    print(f"! not everything was well within {READY_SECONDS} seconds")
    return False


def report(*, lacking: bool) -> bool:
    """Wait until all is well, and show what commands say of it."""
    well = wait_until_well(lacking=lacking)
    if lacking:
        print("\nWhat may only run in a virtual machine does not run here, as it should be:")
    show("ps", "-a")
    shown = ("clock",) if lacking else ("worker", "job")
    show("logs", "--tail", "3", *shown)
    show("exec", "clock" if lacking else "web-1", "--", "sh", "-c", 'echo "this is $(id -un) in $(hostname)"')
    show("stats")
    return well


def open_interface() -> bool:
    return subprocess.run([*KWHOST, "tui"], check=False).returncode == 0


def host_example(directory: Path, *, lacking: bool) -> bool:
    print(
        "\nNow a daemon hosts config.example.toml: three tenants, a web server twice, a worker, a job and a "
        "clock."
    )
    well = False
    try:
        if not start_hosting(directory):
            return False
        seen = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
        well = open_interface() if seen else report(lacking=lacking)
    except KeyboardInterrupt:
        print()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ended = kwhost("system", "reset", "--yes")
        print("All of it has ended, and nothing is left." if ended.returncode == 0 else f"! {ended.stderr}")
    return well and ended.returncode == 0


def main() -> int:
    """With directories of its own: a daemon that runs here has nothing to do with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="kwhost-demo-") as directory:
        os.environ |= {"KWHOST_STATE_DIR": f"{directory}/state", "KWHOST_RUN_DIR": f"{directory}/run"}
        os.environ.pop("KWHOST_HOST", None)
        return show_all(Path(directory))


def show_all(directory: Path) -> int:
    checked = subprocess.run([*KWHOST, "run", "--", "true"], capture_output=True, text=True, check=False)
    lacking = "/dev/kvm" in checked.stderr
    if lacking:
        print(f"There is no KVM: {checked.stderr.strip().removeprefix('kwhost: ').partition(';')[0]}.")
        print("So nothing below has a virtual machine: the engine process runs it, which is weaker, and only")
        print("what allows that.")
    else:
        print("Each program below is this machine's own, unmodified, in a virtual machine of its own.")
    shown = [demo for demo in DEMOS if shutil.which(demo.needs, path="/usr/bin:/bin:/usr/local/bin")]
    good = [run(demo, WITHOUT_KVM if lacking else ()) for demo in shown]
    for demo in DEMOS:
        if demo not in shown:
            print(f"\n{demo.title}: left out, {demo.needs} is not installed here")
    print(f"\n{sum(good)} of {len(good)} ran well.")
    hosted = host_example(directory, lacking=lacking)
    print("\nTry it yourself: .venv/bin/kwhost run -it -- bash, or .venv/bin/kwhost up config.example.toml")
    return 0 if all(good) and hosted else 1


if __name__ == "__main__":
    sys.exit(main())
