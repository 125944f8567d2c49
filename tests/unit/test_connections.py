"""Reading the kernel's tables of sockets."""

from pathlib import Path

import pytest

from kwhost.core.errors import Conflict
from kwhost.core.model.connections import Connection, Connections, ConnectionState
from kwhost.core.model.network import Transport
from kwhost.core.supervise import connections, processes
from kwhost.core.supervise.connections import list_connections

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
FIRST, OTHER, SELF = 70, 71, 1


def line(local: str, remote: str, state: str, inode: int = 5, queues: str = "00000000:00000000") -> str:
    return f"   0: {local} {remote} {state} {queues} 00:00000000 00000000  0  0 {inode} 1 0 100 0\n"


class Proc:
    """A directory like /proc, with a daemon and an instance's first process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for pid in (FIRST, SELF):
            self.process(pid, namespace=str(pid))

    def process(self, pid: int, *, namespace: str) -> Path:
        """`namespace`: of pids and of networks."""
        directory = self.path / str(pid)
        (directory / "net").mkdir(parents=True)
        (directory / "ns").mkdir()
        (directory / "fd").mkdir()
        network = self.path / f"net-{namespace}"
        network.touch()
        (directory / "ns/net").symlink_to(network)
        (directory / "ns/pid").symlink_to(f"pid:[{namespace}]")
        for table in ("tcp", "tcp6", "udp", "udp6"):
            (directory / "net" / table).write_text(HEAD)
        return directory

    def add(self, table: str, *lines: str) -> None:
        with (self.path / str(FIRST) / "net" / table).open("a") as file:
            file.writelines(lines)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    for module in (connections, processes):
        monkeypatch.setattr(module, "_PROC", tmp_path)
    monkeypatch.setattr("os.getpid", lambda: SELF)
    return Proc(tmp_path)


def test_addresses_states_and_queues_are_read(proc: Proc) -> None:
    proc.add("tcp", line("0100007F:0050", "0202000A:D431", "01", queues="0000000A:00000014"))

    assert list_connections(FIRST) == Connections(
        connections=(
            Connection(
                transport=Transport.TCP,
                state=ConnectionState.ESTABLISHED,
                local="127.0.0.1:80",
                remote="10.0.2.2:54321",
                unread=20,
                unsent=10,
            ),
        )
    )


def test_addresses_of_ipv6_have_brackets_and_mapped_ones_are_ipv4(proc: Proc) -> None:
    proc.add("tcp6", line("000080FE000000000000000001000000:0050", f"{'0' * 32}:0000", "0A"))
    proc.add("tcp6", line("0000000000000000FFFF00000100007F:0051", f"{'0' * 32}:0000", "0A"))

    told = list_connections(FIRST).connections
    assert [(each.local, each.remote) for each in told] == [("127.0.0.1:81", ""), ("[fe80::1]:80", "")]


def test_what_a_listener_has_queued_is_no_bytes(proc: Proc) -> None:
    proc.add("tcp", line("00000000:0050", "00000000:0000", "0A", queues="00000080:00000001"))

    (listener,) = list_connections(FIRST).connections
    assert (listener.state, listener.unread, listener.unsent) == (ConnectionState.LISTEN, 0, 0)


def test_a_socket_of_udp_without_a_peer_is_open(proc: Proc) -> None:
    proc.add("udp", line("00000000:0035", "00000000:0000", "07"))

    (socket,) = list_connections(FIRST).connections
    assert (socket.transport, socket.state) == (Transport.UDP, ConnectionState.OPEN)


def test_of_too_many_those_that_matter_least_are_left_out(proc: Proc) -> None:
    proc.add("tcp", *(line("0100007F:0050", f"0100007F:{port:04X}", "06", 0) for port in range(1, 1501)))
    proc.add("tcp", line("0100007F:0050", "0100007F:FFFF", "01"))

    told = list_connections(FIRST)
    assert (len(told.connections), told.left_out) == (1000, 501)
    assert told.connections[0].state is ConnectionState.ESTABLISHED


def test_in_the_hosts_network_only_its_own_processes_sockets_count(proc: Proc) -> None:
    host = proc.path / "net-host"
    host.touch()
    for pid in (FIRST, SELF):
        (proc.path / str(pid) / "ns/net").unlink()
        (proc.path / str(pid) / "ns/net").symlink_to(host)
    member = proc.process(OTHER, namespace=str(FIRST))
    (member / "fd/3").symlink_to("socket:[42]")
    (proc.path / str(SELF) / "fd/3").symlink_to("socket:[43]")
    proc.add("tcp", line("0100007F:0050", "00000000:0000", "0A", 42))
    proc.add("tcp", line("0100007F:0051", "00000000:0000", "0A", 43))

    assert [each.local for each in list_connections(FIRST).connections] == ["127.0.0.1:80"]


def test_a_host_without_ipv6_has_no_tables_of_it(proc: Proc) -> None:
    for table in ("tcp6", "udp6"):
        (proc.path / str(FIRST) / "net" / table).unlink()

    assert list_connections(FIRST).connections == ()


@pytest.mark.usefixtures("proc")
def test_an_instance_that_has_ended_is_a_conflict() -> None:
    with pytest.raises(Conflict, match="has ended"):
        list_connections(4711)
