"""The host's resolvers are those in its file, as it is now."""

import socket
from pathlib import Path

import pytest

from kwhost.net.resolver.servers import Server, Servers
from kwhost.net.zones import Upstream

FIRST, SECOND = (Server(socket.AF_INET, (address, 53)) for address in ("9.9.9.9", "8.8.8.8"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text("# by hand\nsearch example.org\nnameserver 9.9.9.9\nnameserver x\nnameserver\n")
    return path


def test_lines_that_name_no_resolver_are_passed_over(file: Path) -> None:
    assert Servers(file).current() == [FIRST]


def test_a_changed_file_is_read_again(file: Path) -> None:
    servers = Servers(file)
    servers.current()
    new = file.with_name("new")
    new.write_text("nameserver 8.8.8.8\nnameserver 2606:4700::1111\n")
    new.rename(file)

    assert servers.current() == [SECOND, Server(socket.AF_INET6, ("2606:4700::1111", 53, 0, 0))]


def test_a_file_that_is_gone_for_a_moment_changes_nothing(file: Path) -> None:
    servers = Servers(file)
    servers.current()
    file.unlink()

    assert servers.current() == [FIRST]


def test_only_three_are_asked(file: Path) -> None:
    file.write_text("".join(f"nameserver 9.9.9.{number}\n" for number in range(1, 6)))

    assert len(Servers(file).current()) == 3


def test_configured_ones_come_before_the_hosts(file: Path) -> None:
    servers = Servers(file)
    servers.configure([Upstream("8.8.8.8", 5353)])
    assert servers.current() == [Server(socket.AF_INET, ("8.8.8.8", 5353))]

    servers.configure([])
    assert servers.current() == [FIRST]


def test_a_configured_one_that_is_no_address_is_an_error(file: Path) -> None:
    with pytest.raises(ValueError, match=r"dns\.example is no address"):
        Servers(file).configure([Upstream("dns.example")])
