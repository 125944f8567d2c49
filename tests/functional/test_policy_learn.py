"""`kwhost policy learn`: under what was learnt from them programs do the same again, and nothing else."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.functional.hosted import wait_until
from tests.patience import SECONDS

pytestmark = pytest.mark.kvm

# Each does something with $EXTRA at its end, if that is given.
BASH = """
echo one > /tmp/name; mv /tmp/name /tmp/other
file=$(mktemp); seq 3 > $file; sort -r $file; rm $file
folder=$(mktemp -d); cp /tmp/other $folder/a; mv $folder /tmp/kept; cat /tmp/kept/a
(exit 3) & wait $!; echo $?
$EXTRA
"""
PYTHON = """
import os, socket, subprocess, sys, tempfile, threading
with tempfile.TemporaryDirectory() as folder:
    with open(f"{folder}/a", "w") as file:
        file.write("written")
    os.rename(f"{folder}/a", f"{folder}/b")
    print(open(f"{folder}/b").read())
with socket.create_server(("127.0.0.1", 0)) as server:
    thread = threading.Thread(target=lambda: server.accept()[0].sendall(b"served"))
    thread.start()
    with socket.create_connection(server.getsockname()) as client:
        print(client.recv(100).decode())
    thread.join()
if "EXTRA" in os.environ:
    subprocess.run(os.environ["EXTRA"].split(), check=True)
"""
NODE = """
const fs = require("fs"), http = require("http"), path = require("path");
const folder = fs.mkdtempSync(path.join("/tmp", "node-"));
fs.writeFileSync(folder + "/a", "written");
console.log(fs.readFileSync(folder + "/a", "utf8"));
fs.rmSync(folder, {recursive: true});
const server = http.createServer((_, response) => response.end("served")).listen(8000, "127.0.0.1", () =>
  http.get("http://127.0.0.1:8000", {agent: false}, (answer) => {
    answer.on("data", (data) => console.log(String(data)));
    answer.on("end", () => {
      server.close();
      if (process.env.EXTRA) require("child_process").execSync(process.env.EXTRA, {stdio: "inherit"});
    });
  }));
"""
NGINX = """
nginx -c /work/nginx.conf & server=$!
for ((try = 0; try < 100000; try++)); do exec 3<>/dev/tcp/127.0.0.1/8080 && break; done 2>/dev/null
printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3
while read -r line <&3; do case $line in page*) echo "$line";; esac; done
exec 3>&-
kill -QUIT $server; wait $server
$EXTRA
"""
NGINX_CONF = """
user root root;
daemon off;
pid /tmp/nginx.pid;
error_log stderr;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server { listen 127.0.0.1:8080; root /work; }
}
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Learn = Callable[..., tuple[str, Path]]


@pytest.fixture
def run(kwhost_command: list[str]) -> Run:
    """`kwhost policy learn` with these arguments."""

    def run_to_end(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*kwhost_command, "policy", "learn", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run_to_end


@pytest.fixture
def learn(run: Run, tmp_path: Path) -> Learn:
    """Learns from a program with options of kwhost run; what it printed, and the policy's file."""

    def learn_from(name: str, *arguments: str, under: Path | None = None) -> tuple[str, Path]:
        policy = tmp_path / f"{name}.toml"
        base = ["--policy", str(under)] if under else []
        done = run("-o", str(policy), *base, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout, policy

    return learn_from


def refusals(policy: Path) -> set[str]:
    """The lines of a learnt policy about what was refused."""
    lines = policy.read_text().partition("refused, and so does this one:\n")[2].splitlines()
    return {line for line in lines[: lines.index("")] if line.startswith("#")} if lines else set()


def run_under(policy: Path, *arguments: str) -> tuple[str, set[str]]:
    """What a program prints under a policy, and the calls that rules refused; of the default, its error."""
    report = policy.with_suffix(".refused")
    done = subprocess.run(
        [sys.executable, "-m", "tests.functional.under_policy", str(policy), str(report), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout, {line.split()[-1] for line in report.read_text().splitlines()}


def check(learn: Learn, printed: str, *arguments: str) -> None:
    """The program does the same under its policy, with nothing refused that was not before; with a program
    added that is not."""
    first, policy = learn("first", *arguments)
    assert first == printed
    known = {rule.split()[1].rstrip(":") for rule in refusals(policy)}
    assert run_under(policy, *arguments) == (printed, known)
    second, again = learn("second", *arguments, under=policy)
    assert (second, refusals(again)) == (printed, refusals(policy))
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    third, refused = run_under(policy, "-e", "EXTRA=curl --version", *arguments)
    assert "curl" not in third
    assert refused != known


@pytest.mark.hw
def test_bash(learn: Learn) -> None:
    check(learn, "3\n2\n1\none\n3\n", "--", "bash", "-c", BASH)


@pytest.mark.hw
def test_python(learn: Learn) -> None:
    check(learn, "written\nserved\n", "--", "python3", "-c", PYTHON)


def test_node(learn: Learn) -> None:
    if not shutil.which("node"):
        pytest.skip("needs nodejs")
    check(learn, "written\nserved\n", "--", "node", "-e", NODE)


def test_nginx(learn: Learn, tmp_path: Path) -> None:
    if not shutil.which("nginx", path="/usr/sbin:/usr/bin"):
        pytest.skip("needs nginx-light")
    work = tmp_path / "work"
    work.mkdir()
    (work / "nginx.conf").write_text(NGINX_CONF)
    (work / "index.html").write_text("page\n")
    work.chmod(0o755)
    tmp_path.chmod(0o755)

    check(learn, "page\n", "-v", f"{work}:/work:ro", "--", "bash", "-c", NGINX)


def test_a_program_that_is_ended_is_learnt_from(learn: Learn) -> None:
    script = "echo x > /tmp/before; exec sleep 1000"

    _, policy = learn("policy", "--timeout", "5s", "--", "sh", "-c", script)

    assert '"/tmp/before", access = "w"' in policy.read_text()
    assert "sleep" in policy.read_text()


def test_an_interrupt_ends_the_program_and_the_policy_is_written(
    kwhost_command: list[str], tmp_path: Path
) -> None:
    policy, flag = tmp_path / "policy.toml", tmp_path / "shared" / "flag"
    flag.parent.mkdir(mode=0o777)
    flag.parent.chmod(0o777)
    tmp_path.chmod(0o755)
    options = ["-o", str(policy), "-v", f"{flag.parent}:/shared"]
    script = ["--", "sh", "-c", "echo > /shared/flag; exec sleep 1000"]
    process = subprocess.Popen([*kwhost_command, "policy", "learn", *options, *script])
    wait_until(flag.exists)

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=SECONDS) == 0
    assert '"/shared/flag", access = "w"' in policy.read_text()


def test_what_the_policy_in_force_refuses_is_told_and_not_learnt(learn: Learn, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.toml"
    narrow.write_text(
        'base = "default"\nfiles = [{ path = "/**", access = "rx" }, { path = "/etc/group", access = "" }]\n'
    )

    _, policy = learn("policy", "--", "bash", "-c", "cat /etc/passwd /etc/group; true", under=narrow)

    assert '#   openat "/etc/group": EACCES' in policy.read_text()
    assert 'path = "/etc/group"' not in policy.read_text()
    assert '{ path = "/etc/passwd", access = "r" }' in policy.read_text()


def test_without_a_file_the_policy_is_printed(run: Run) -> None:
    done = run("--", "echo", "hello")

    assert done.stdout.startswith('hello\n# Learnt from: "echo" "hello"\n')


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["true"], "write -- before the program"), (["--cpus", "1", "--", "true"], "--cpus needs a daemon")],
)
def test_mistakes(run: Run, arguments: list[str], text: str) -> None:
    done = run(*arguments)

    assert done.returncode == 125
    assert text in done.stderr
