"""The network of an ordinary user's instance: Debian's passt package's `pasta` makes a tap in the instance's
network namespace, and calls from outside for it, as the user (docs/networks-rootless.md).

May import: kwhost.net.guard and what that may, kwhost.net.ports; no pyroute2, which takes long to load.
"""

import fcntl
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

from kwhost.core.errors import Conflict, NetworkError
from kwhost.core.model.network import EgressRule, PublishedPort, Transport
from kwhost.net.guard import GATEWAY4, GATEWAY6, INSTANCE4, INSTANCE6, RESOLVER, Guard, host_addresses
from kwhost.net.ports import bound_socket

__all__ = ["Pasta", "missing_pasta", "plan_pasta"]

_TUN = "/dev/net/tun"
_READY_SECONDS = 10.0
# Of the log, in which pasta makes room by itself.
_LOG_BYTES = 65_536
_INTERFACE, _PREFIX4 = "eth0", "24"
# Every address that is not special.
_PUBLIC = (EgressRule(to=IPv4Network("0.0.0.0/0")), EgressRule(to=IPv6Network("::/0")))
# Of the gateway as the instance sees it; pasta would tell it the host's.
_GATEWAY_MAC = "02:6b:77:00:00:01"


class Ends(NamedTuple):
    """Descriptors that pasta inherits: the instance's user and network namespaces, where it says that it is
    ready, and its log."""

    user: int
    net: int
    ready: int
    log: int


def _forwarding(ports: Sequence[PublishedPort]) -> Iterator[str]:
    """An option for each port; one that is left out would forward by itself whatever listens."""
    for transport, option in ((Transport.TCP, "--tcp-ports"), (Transport.UDP, "--udp-ports")):
        chosen = [one for one in ports if one.transport is transport]
        for one in chosen:
            yield from (option, f"{one.address or '0.0.0.0'}/{one.port}:{one.target}")  # noqa: S104 - asked for
        if not chosen:
            yield from (option, "none")


def plan_pasta(program: str, ports: Sequence[PublishedPort], ends: Ends) -> tuple[str, ...]:
    """The arguments. Nothing leads to the host's loopback: neither the gateway's address (--no-map-gw) nor
    the instance's own loopback (--tcp-ns, --udp-ns)."""
    return (
        *(program, "--foreground", "--quiet", "--config-net", "--ns-ifname", _INTERFACE),
        *("--no-map-gw", "--no-dhcp", "--no-dhcpv6", "--no-ra", "--no-netns-quit"),
        *("--address", str(INSTANCE4), "--netmask", _PREFIX4, "--gateway", str(GATEWAY4)),
        *("--address", str(INSTANCE6), "--gateway", str(GATEWAY6), "--mac-addr", _GATEWAY_MAC),
        *("--dns-forward", str(RESOLVER)),
        *("--tcp-ns", "none", "--udp-ns", "none"),
        *_forwarding(ports),
        *("--log-file", f"/proc/self/fd/{ends.log}", "--log-size", str(_LOG_BYTES)),
        *("--pid", f"/proc/self/fd/{ends.ready}"),
        *("--userns", f"/proc/self/fd/{ends.user}", "--netns", f"/proc/self/fd/{ends.net}"),
    )


def missing_pasta() -> str:
    """Why there can be no network but an instance's own loopback, and what to do; "" where it can."""
    if shutil.which("pasta") is None:
        return "there is no pasta here: install it (Debian: apt-get install passt)"
    try:  # where it cannot, pasta waits forever
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        text = f"{_TUN} cannot be opened ({error.strerror}), which pasta needs"
        return f"{text}: have root allow it (chmod 666 {_TUN}), or load it (modprobe tun)"
    return ""


def _check_free(port: PublishedPort) -> None:
    address = ip_address(port.address or "0.0.0.0")  # noqa: S104 - nobody listens
    try:
        bound_socket(port.transport, address, port.port, both_versions=True).close()
    except OSError as error:
        raise Conflict(f"cannot publish {port}: {error.strerror}") from error


class Pasta:
    """A supervise.driver.NetworkDriver."""

    def __init__(self, ports: Sequence[PublishedPort], egress: Sequence[EgressRule] | None = None) -> None:
        self._ports = tuple(ports)
        self._egress = _PUBLIC if egress is None else tuple(egress)
        self._guard: Guard | None = None
        self._pasta: _Process | None = None

    def missing(self) -> str:
        """Why there can be no network here; "" where there can."""
        return missing_pasta()

    def check_ports(self) -> None:
        """Raise Conflict where a port to publish is taken, or not the user's to take."""
        targets: dict[tuple[Transport, int], int] = {}
        for one in self._ports:
            if targets.setdefault((one.transport, one.port), one.target) != one.target:
                raise Conflict(f"cannot publish {one}: pasta knows one target for each port number")
            _check_free(one)

    def resolv_conf(self) -> str:
        """What /etc/resolv.conf in the instance is to be."""
        return f"# The host's resolver, by way of pasta.\nnameserver {RESOLVER}\n"

    def begin(self, user: int, net: int) -> tuple[int, int]:
        """See NetworkDriver."""
        self.end()
        if missing := missing_pasta():
            raise NetworkError(missing)
        try:
            self._guard = Guard(self._egress, host_addresses(), user=user, net=net)
            self._pasta = _Process(self._ports, user, net)
            return self._pasta.take_ties()
        except BaseException:
            self.end()
            raise

    def finish(self) -> None:
        """See NetworkDriver."""
        assert self._guard
        assert self._pasta
        try:
            self._guard.wait()
            self._pasta.wait_ready()
        except NetworkError:
            self.end()
            raise

    def end(self) -> None:
        """See NetworkDriver."""
        guard, self._guard = self._guard, None
        if guard:
            guard.close()
        pasta, self._pasta = self._pasta, None
        if pasta:
            pasta.close()


class _Process:
    """A pasta."""

    def __init__(self, ports: Sequence[PublishedPort], user: int, net: int) -> None:
        with ExitStack() as undo:
            self._ready, told = os.pipe2(os.O_CLOEXEC)
            undo.callback(os.close, self._ready)
            self._log = os.memfd_create("kwhost-pasta", os.MFD_CLOEXEC)
            undo.callback(os.close, self._log)
            watched, self._lifeline = os.pipe2(os.O_CLOEXEC)
            undo.callback(os.close, self._lifeline)
            ends = Ends(user=user, net=net, ready=told, log=self._log)
            program = shutil.which("pasta") or "pasta"
            try:
                self._process = subprocess.Popen(
                    plan_pasta(program, ports, ends),
                    env={},
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._log,
                    pass_fds=(*ends, watched),
                    start_new_session=True,  # the operator's ^C is not for it
                    # It makes three calls and takes no lock; done here, it would come too late if this
                    # process were killed.
                    preexec_fn=partial(_end_with, watched),  # noqa: PLW1509
                )
            except OSError as error:
                raise NetworkError(f"cannot start {program}: {error.strerror}") from error
            finally:
                os.close(told)
                os.close(watched)
            undo.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    def take_ties(self) -> tuple[int, int]:
        """Its pidfd and its lifeline, for NetworkDriver."""
        lifeline, self._lifeline = self._lifeline, -1
        try:
            return os.pidfd_open(self.pid), lifeline
        except OSError:
            os.close(lifeline)
            raise

    def wait_ready(self) -> None:
        """Pasta tells its pid once everything is set up. Raises NetworkError where it does not."""
        waiting = select.poll()
        waiting.register(self._ready, select.POLLIN)
        if not waiting.poll(_READY_SECONDS * 1000):
            raise NetworkError(f"pasta is not ready after {_READY_SECONDS:g} s")
        if not os.read(self._ready, 64):
            raise NetworkError(f"pasta did not start: {self._last_words()}")

    def _last_words(self) -> str:
        lines = os.pread(self._log, _LOG_BYTES, 0).decode(errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "it does not say why")

    def close(self) -> None:
        """End it, if it still runs."""
        self._process.kill()
        self._process.wait()
        os.close(self._ready)
        os.close(self._log)
        if self._lifeline >= 0:
            os.close(self._lifeline)


def _end_with(watched: int) -> None:
    """Have the kernel kill this process when the other end of a pipe is closed everywhere. It holds across
    execution, and when the process enters a user namespace, which would undo PR_SET_PDEATHSIG."""
    fcntl.fcntl(watched, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(watched, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(watched, fcntl.F_SETFL, os.O_ASYNC)
    ended = select.poll()
    ended.register(watched, 0)
    if ended.poll(0):  # it was closed before
        os._exit(1)
