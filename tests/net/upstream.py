"""A resolver of others, as a test wants it: a real server that answers from a table."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from kwhost.net.wishes import Namespace
from tests.net.probes import make_socket
from tests.patience import SECONDS

__all__ = ["UpstreamServer", "serve_upstream"]

# Given the query and whether it came by TCP: what is sent, one message after the other.
Script = Callable[[dns.message.Message, bool], list[bytes]]


class UpstreamServer:
    """`records` are lines of a zone file by lower-case name; `asked` are the names of the questions."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.script: Script = self.honest

    def honest(self, query: dns.message.Message, by_tcp: bool) -> list[bytes]:
        return [self.response(query).to_wire()]

    def response(self, query: dns.message.Message) -> dns.message.Message:
        """What the table says; NXDOMAIN with an SOA for what is not in it."""
        response = dns.message.make_response(query)
        name, kind = str(query.question[0].name).lower(), query.question[0].rdtype
        lines = self.records.get(name.removesuffix("."))
        if lines is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(
                dns.rrset.from_text("test.", 60, "IN", "SOA", "ns.test. root.test. 1 60 60 60 60")
            )
        for line in lines or ():
            owner, ttl, rdtype, data = line.split(None, 3)
            owner = str(query.question[0].name) if owner == "@" else owner
            if dns.rdatatype.from_text(rdtype) in (kind, dns.rdatatype.CNAME) or owner != str(
                query.question[0].name
            ):
                response.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", rdtype, data))
        return response


def _serve(server: UpstreamServer, udp: socket.socket, over: Event) -> None:
    while not over.is_set():
        try:
            wire, peer = udp.recvfrom(4096)
        except TimeoutError:
            continue
        query = dns.message.from_wire(wire)
        server.asked.append(str(query.question[0].name).lower().removesuffix("."))
        for answer in server.script(query, False):
            udp.sendto(answer, peer)


def _serve_tcp(server: UpstreamServer, tcp: socket.socket, over: Event) -> None:
    while not over.is_set():
        try:
            connection, _ = tcp.accept()
        except TimeoutError:
            continue
        with connection:
            connection.settimeout(SECONDS)
            size = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))[0]
            query = dns.message.from_wire(connection.recv(size, socket.MSG_WAITALL))
            for answer in server.script(query, True):
                connection.sendall(struct.pack("!H", len(answer)) + answer)


@contextmanager
def serve_upstream(namespace: Namespace, address: str, port: int = 53) -> Iterator[UpstreamServer]:
    """At an address of a namespace, over UDP and TCP."""
    server, over = UpstreamServer(), Event()
    with (
        make_socket(namespace, socket.AF_INET, socket.SOCK_DGRAM) as udp,
        make_socket(namespace, socket.AF_INET, socket.SOCK_STREAM) as tcp,
    ):
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in (udp, tcp):
            one.bind((address, port))
            one.settimeout(0.1)
        tcp.listen()
        threads = [
            Thread(target=_serve, args=(server, udp, over)),
            Thread(target=_serve_tcp, args=(server, tcp, over)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield server
        finally:
            over.set()
            for thread in threads:
                thread.join()
