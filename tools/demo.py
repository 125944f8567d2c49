"""Runs several real programs, each in a virtual machine of its own, and shows what each did and cost."""

import re
import shutil
import subprocess
import sys
from typing import NamedTuple

KWHOST = [sys.executable, "-m", "kwhost"]
LIMIT = "60s"

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


def run(demo: Demo) -> bool:
    print(f"\n{demo.title}: {demo.command[0]} {demo.command[1] if len(demo.command) > 2 else ''} ...")
    command = [*KWHOST, "run", "--stats", "--timeout", LIMIT, "--", *demo.command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(*(f"  | {line}" for line in done.stdout.splitlines()), sep="\n")
    errors, marker, statistics = done.stderr.partition("start time")
    print(*(f"  ! {line}" for line in errors.splitlines()), sep="\n", end="\n" if errors else "")
    if marker:
        statistics = marker + statistics
        print(
            f"  = started in {number('start time', statistics)}, {number('system calls', statistics)} system "
            f"calls, {number('VM exits', statistics)} VM exits, "
            f"processes: {number('processes', statistics)}, threads: {number('threads', statistics)}, "
            f"peak memory {number('peak memory', statistics)}"
        )
    if done.returncode:
        print(f"  ! exit status {done.returncode}")
    return done.returncode == 0


def main() -> int:
    checked = subprocess.run([*KWHOST, "run", "--", "true"], capture_output=True, text=True, check=False)
    if "/dev/kvm" in checked.stderr:
        print(f"Nothing can be shown on this machine: {checked.stderr.strip().removeprefix('kwhost: ')}")
        return 0
    print("Each program below is this machine's own, unmodified, in a virtual machine of its own.")
    shown = [demo for demo in DEMOS if shutil.which(demo.needs, path="/usr/bin:/bin:/usr/local/bin")]
    good = [run(demo) for demo in shown]
    for demo in DEMOS:
        if demo not in shown:
            print(f"\n{demo.title}: left out, {demo.needs} is not installed here")
    print(f"\nTry one yourself: .venv/bin/kwhost run -it -- bash      ({sum(good)} of {len(good)} ran well)")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
