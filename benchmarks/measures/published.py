"""HTTP through a published port: nginx in a virtual machine, in crun's and runsc's containers, and by itself.

All are attached to kwhost's network in the same way, and their ports are published by the same forwarder or
nftables, so that what differs is who runs the server.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from urllib.request import urlopen

from benchmarks.bench import KWHOST, NATIVE, Bench, compare
from benchmarks.commands import Command, find_program, output_of
from benchmarks.figures import Figure, MeasurementError
from benchmarks.forwarding import LOOPBACK, Forwarding, forwarded
from benchmarks.hosting import TENANT, HostingDaemon
from benchmarks.instances import GUEST_PROGRAMS
from benchmarks.networks import (
    Attachments,
    address,
    forwarding,
    join,
    namespaces,
    need_networks,
    own_namespace,
    running,
)
from benchmarks.peers import OciRuntime, in_its_network
from benchmarks.rounds import Sample, interleave
from kwhost.core.model.network import Transport
from kwhost.net.namespaces import run_inside
from kwhost.net.wishes import Namespace, Published

__all__ = ["measure_published"]

_HOST, _OUTSIDE = "10.0.0.1", "10.0.0.2"
_INNER = 80
# The first published port; each server has the next.
_FIRST = 8080
# The tenant's subnet of the daemon is the first one of the pool.
_SUBNET_OF_OTHERS = 1
_ROUNDS_MOST = 5
# Clients at the same time, and requests of all together, each on a connection that is kept.
_LOADS = (("one at a time", 1, 1000), ("16 at a time", 16, 2000))
_CONTAINER = "container"
_SECONDS = 20
_PAGE = bytes(1024)
_CONFIGURATION = """
daemon off;
master_process off;
pid {scratch}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  server {{ listen {port}; root {root}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class _Server:
    """A contender's port of the host."""

    label: str
    port: int


def measure_published(bench: Bench) -> list[Figure]:
    """Requests for a page of 1 KiB, over both ways in which ports are published."""
    need_networks()
    nginx, load = find_program("nginx"), find_program("ab")
    _write_site(bench.workspace.programs)
    with ExitStack() as stack:
        host, outside = (stack.enter_context(own_namespace()) for _ in range(2))
        join(host, "uplink", outside)
        address(host, "uplink", f"{_HOST}/24")
        address(outside, "eth0", f"{_OUTSIDE}/24")
        forwarding(host)
        servers = [stack.enter_context(_in_a_machine(bench, host, nginx))]
        servers += stack.enter_context(_beside(bench, host, nginx))
        ways: Mapping[str, tuple[Namespace, str]] = {
            "a loopback port": (host, LOOPBACK),
            "a port of another address": (outside, _HOST),
        }
        for source, target in ways.values():
            for server in servers:
                run_inside(source, partial(_wait_answer, target, server))
        figures: list[Figure] = []
        for way, (source, target) in ways.items():
            for title, clients, requests in _LOADS:
                samples = {
                    server.label: _sample(source, load, target, server, clients, requests)
                    for server in servers
                }
                table = interleave(samples, min(bench.rounds, _ROUNDS_MOST))
                others = {server.label: None for server in servers[1:]}
                name = f"{way}, {title}, each request"
                figures += compare("HTTP through a published port", name, table, "ns", others, speed=True)
    return figures


def _write_site(programs: Path) -> None:
    """As the servers see it: containers and machines at GUEST_PROGRAMS, nginx by itself where it is."""
    (programs / "page").write_bytes(_PAGE)
    for label, scratch, root in (
        (KWHOST, "/tmp", GUEST_PROGRAMS),  # noqa: S108 - the instance's own
        (_CONTAINER, "/dev/shm", GUEST_PROGRAMS),  # noqa: S108 - the container's own
        (NATIVE, str(programs), str(programs)),
    ):
        text = _CONFIGURATION.format(port=_INNER, root=root, scratch=scratch)
        (programs / f"{label}.conf").write_text(text)


def _ab(load: str, target: str, server: _Server, clients: int, requests: int) -> Command:
    url = f"http://{target}:{server.port}/page"
    return [load, "-q", "-k", "-s", "10", "-c", str(clients), "-n", str(requests), url]


def _sample(
    source: Namespace, load: str, target: str, server: _Server, clients: int, requests: int
) -> Sample:
    def sample() -> Mapping[str, float]:
        said = run_inside(source, partial(output_of, _ab(load, target, server, clients, requests)))
        return {"ns": _per_request(said, requests)}

    return sample


def _per_request(said: str, requests: int) -> float:
    """Nanoseconds for each request, by what ab says; a MeasurementError where one was not answered."""
    values = dict(
        re.findall(r"^(Complete requests|Failed requests|Requests per second): +([\d.]+)", said, re.MULTILINE)
    )
    if "Non-2xx" in said or values.get("Failed requests") != "0":
        raise MeasurementError(f"ab: {values.get('Failed requests')} of {requests} requests failed")
    if values["Complete requests"] != str(requests):
        raise MeasurementError(f"ab: only {values['Complete requests']} of {requests} requests were answered")
    return 1e9 / float(values["Requests per second"])


def _wait_answer(target: str, server: _Server) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://{target}:{server.port}/page", timeout=5) as answer:
                if answer.read() == _PAGE:
                    return
        except OSError:
            time.sleep(0.02)
    raise MeasurementError(f"nginx of {server.label} does not answer at {target}:{server.port}")


@contextmanager
def _in_a_machine(bench: Bench, host: Namespace, nginx: str) -> Iterator[_Server]:
    """Hosted by a daemon, as an operator does it."""
    port = _FIRST
    command = json.dumps(_command(nginx, f"{GUEST_PROGRAMS}/{KWHOST}.conf"))
    instance = (
        f"[tenants.{TENANT}.instances.web]\n"
        f"command = {command}\n"
        f"volumes = ['{bench.workspace.programs}:{GUEST_PROGRAMS}:ro']\n"
        f"ports = ['{port}:{_INNER}', '{_HOST}:{port}:{_INNER}']\n"
    )
    directory = bench.workspace.root / "published"
    with HostingDaemon(directory, more=f"network = {{}}\n{instance}", namespace=host) as daemon:
        daemon.wait_until(daemon.all_run, 0.05)
        yield _Server(KWHOST, port)


def _command(nginx: str, configuration: str) -> list[str]:
    return [nginx, "-e", "stderr", "-p", "/", "-c", configuration]


@contextmanager
def _beside(bench: Bench, host: Namespace, nginx: str) -> Iterator[list[_Server]]:
    """Each in a namespace of its own, attached and published as the daemon does it."""
    programs, peers = bench.workspace.programs, bench.peers
    commands: dict[str, Callable[[Namespace], Command]] = {
        NATIVE: lambda _: _command(nginx, f"{programs}/{NATIVE}.conf")
    }
    inside = _command(nginx, f"{GUEST_PROGRAMS}/{_CONTAINER}.conf")
    with ExitStack() as stack:
        for runtime in (peers.crun, peers.runsc):
            if runtime:
                networked = in_its_network(runtime)
                stack.callback(networked.clean)
                commands[runtime.name] = partial(_contained, networked, inside)
        attachments = Attachments("published", host, len(commands), number=_SUBNET_OF_OTHERS)
        places = stack.enter_context(namespaces(len(commands)))
        attached, servers = [], []
        for number, (place, (label, command)) in enumerate(zip(places, commands.items(), strict=True)):
            attached.append(attachments.of(number, place))
            servers.append(_Server(label, _FIRST + 1 + number))
            stack.enter_context(running(place, command(place)))
        published = (
            Published(
                transport=Transport.TCP,
                address=IPv4Address(_HOST),
                port=server.port,
                targets=(one.instance,),
                target_port=_INNER,
            )
            for one, server in zip(attached, servers, strict=True)
        )
        attachments.apply(replace(attachments.wishes(attached), published=tuple(published)))
        targets = [
            Forwarding(server.port, _INNER, str(one.address4), place)
            for server, one, place in zip(servers, attached, places, strict=True)
        ]
        stack.enter_context(forwarded(host, targets))
        yield servers


def _contained(runtime: OciRuntime, command: Sequence[str], place: Namespace) -> Command:
    return runtime.run(*command, network=place)
