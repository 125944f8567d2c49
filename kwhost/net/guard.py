"""What an ordinary user's instance may call: rules of nftables in its own network namespace, made from
outside with the rights of its user namespace's root. The program has none of those.

`python -m kwhost.net.guard USER NET` applies what it reads to the namespaces of two descriptors; a process of
its own, since one with several threads cannot enter a user namespace.

May import: kwhost.net.egress and nft, core.model, core.errors.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from kwhost.core.errors import NetworkError
from kwhost.core.model.network import Address, EgressRule
from kwhost.net.egress import SPECIAL, egress_keys

__all__ = [
    "GATEWAY4",
    "GATEWAY6",
    "INSTANCE4",
    "INSTANCE6",
    "RESOLVER",
    "Guard",
    "guard_rules",
    "host_addresses",
]

# Each instance is alone in a network of its own, so that all have the same.
INSTANCE4, GATEWAY4, RESOLVER = (IPv4Address(f"10.0.2.{last}") for last in (100, 2, 3))
INSTANCE6, GATEWAY6 = IPv6Address("fd6b:7768:6f73::100"), IPv6Address("fd6b:7768:6f73::2")

_SECONDS = 10.0
_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_WORDS = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}


def _set(name: str, kind: str, elements: Iterable[object]) -> str:
    text = ", ".join(map(str, elements))
    content = f" elements = {{ {text} }}" if text else ""
    return f"\tset {name} {{ type {kind}; flags interval;{content} }}\n"


def _sets(egress: Sequence[EgressRule], host: Sequence[Address]) -> Iterator[str]:
    for own in (INSTANCE4, INSTANCE6):
        version = own.version
        kind = _WORDS[version][1]
        yield _set(f"host{version}", kind, [one for one in host if one.version == version])
        yield _set(f"special{version}", kind, [one for one in SPECIAL if one.version == version])
        for name, special in (("egress", False), ("inner", True)):
            keys = egress_keys(own, egress, special=special)
            elements = [" . ".join(key[1:]) for key in keys]
            yield _set(f"{name}{version}", f"{kind} . inet_proto . inet_service", elements)


def guard_rules(egress: Sequence[EgressRule], host: Sequence[Address]) -> str:
    """The rules, for nft. `host` are the host's own addresses, which nothing opens."""
    rules = ['oifname "lo" accept', "ct state established,related accept"]
    rules += ["icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"]
    rules += [f"ip daddr {RESOLVER} udp dport 53 accept"]
    for version, (word, _) in _WORDS.items():
        call = f"{word} daddr . meta l4proto . th dport"
        rules += [
            f"{word} daddr @host{version} goto refuse",
            f"{word} daddr != @special{version} {call} @egress{version} accept",
            f"{word} daddr @special{version} {call} @inner{version} accept",
        ]
    lines = "".join(f"\t\t{rule}\n" for rule in [*rules, "goto refuse"])
    return (
        f"table inet kwhost {{\n{''.join(_sets(egress, host))}"
        "\tchain refuse {\n\t\tmeta l4proto tcp reject with tcp reset\n"
        "\t\treject with icmpx admin-prohibited\n\t}\n"
        f"\tchain output {{\n\t\ttype filter hook output priority filter; policy drop;\n{lines}\t}}\n}}\n"
    )


def host_addresses(proc: Path = Path("/proc/net")) -> tuple[Address, ...]:
    """This host's addresses of now, by its tables of local routes (proc_net(5))."""
    found: set[Address] = set()
    previous = ""
    for line in _lines(proc / "fib_trie"):
        if "/32 host LOCAL" in line:
            found.add(ip_address(previous.rpartition(" ")[2]))
        previous = line
    for line in _lines(proc / "if_inet6"):
        found.add(IPv6Address(int(line.split()[0], 16)))
    return tuple(found)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").splitlines()
    except OSError:  # no IPv6, say
        return []


class Guard:
    """A process that applies the rules."""

    def __init__(self, egress: Sequence[EgressRule], host: Sequence[Address], *, user: int, net: int) -> None:
        self._rules = guard_rules(egress, host)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "kwhost.net.guard", str(user), str(net)],
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(user, net),
            start_new_session=True,
        )

    def wait(self) -> None:
        """Have them applied, and return once they hold. Raises NetworkError."""
        try:
            _, complaint = self._process.communicate(self._rules.encode(), _SECONDS)
        except subprocess.TimeoutExpired:
            complaint = b"nftables does not answer"
        if self._process.returncode != 0:
            lines = complaint.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise NetworkError(f"cannot close private addresses to the instance: {lines[-1]}")

    def close(self) -> None:
        """End it, if it still does something."""
        with self._process as process:
            process.kill()


def _enter(descriptor: int, kind: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    if libc.setns(descriptor, kind):
        text = os.strerror(ctypes.get_errno())
        raise NetworkError(f"cannot enter the instance's namespaces: {text}")


def main(user: int, net: int) -> None:
    """Apply the rules of standard input, whatever there was before. Raises NetworkError."""
    from kwhost.net.nft import Nft

    rules = sys.stdin.read()
    _enter(user, _CLONE_NEWUSER)
    _enter(net, _CLONE_NEWNET)
    Nft().run(f"table inet kwhost\ndelete table inet kwhost\n{rules}")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]))
    except NetworkError as failure:
        sys.exit(str(failure))
