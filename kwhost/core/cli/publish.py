"""`kwhost publish`: ports of the host that lead to an instance."""

from collections.abc import Sequence

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.each import for_each
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_result
from kwhost.core.model.ports import parse_port

__all__ = ["main"]

_USAGE = "kwhost publish [--remove] [--host PATH] NAME [IP:]HOST:GUEST[/udp]..."
_DESCRIPTION = """Lead ports of this host to an instance, while it runs too; with --remove, no more. They are
on 127.0.0.1 without an IP. An instance of the configuration has its ports of there again with a reload."""
_EPILOG = """examples:
  kwhost publish web-1 8080:80
  kwhost publish --remove web-1 8080:80"""


def main(arguments: Sequence[str]) -> int:
    """Print the ports that were changed."""
    parser = CommandParser("publish", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("--remove", action="store_true", help="lead them there no more")
    add_host_option(parser)
    parser.add_argument("name", metavar="NAME", help="NAME, TENANT/NAME or ID")
    parser.add_argument("ports", nargs="+", metavar="PORT", help="[IP:]HOST:GUEST, and /udp for UDP")
    options = parser.parse_args(arguments)
    client, path = connect(options.host), instance_path(options.name, "ports")

    def change(text: str) -> None:
        port = parse_port(text)
        if options.remove:
            client.request("DELETE", path, {"port": text})
        else:
            body = {
                "address": port.address,
                "port": port.port,
                "target": port.target,
                "transport": port.transport.value,
            }
            client.request("POST", path, body=body)
        show_result(f"{text}\n")

    return for_each(options.ports, change)
