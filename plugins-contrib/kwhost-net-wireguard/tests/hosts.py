"""Two hosts, each with the tenants acme, whose network spans both, and globex; all in namespaces."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import msgspec
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.net.addresses import Subnet, assign_addresses
from kwhost.net.host import HostNetwork
from kwhost.net.names import owner_of
from kwhost.net.namespaces import run_inside
from kwhost.net.wishes import Attachment, Namespace, Network, VethEnd, Wishes

from kwhost_net_wireguard.configuration import Configuration
from kwhost_net_wireguard.devices import device_name
from kwhost_net_wireguard.keeper import Keeper
from kwhost_net_wireguard.keys import own_key, public_key
from namespaces import join, new_namespace, write_setting

__all__ = ["ACME", "GLOBEX", "Host", "two_hosts"]

ACME, GLOBEX = TenantName("acme"), TenantName("globex")
NAME = InstanceName("web")
PORT = 51_820


@dataclass(slots=True)
class Host:
    """A host in `namespace`, at `address`; `places` are the namespaces of its tenants' instances."""

    number: int
    namespace: Namespace
    state_dir: Path
    places: dict[TenantName, Namespace]
    configuration: Configuration = field(default_factory=Configuration)

    @property
    def address(self) -> str:
        return f"192.0.2.{self.number}"

    @property
    def device(self) -> str:
        return device_name(owner_of(str(self.state_dir)), ACME)

    @property
    def network(self) -> HostNetwork:
        """As a daemon that was started just now has it."""
        return HostNetwork(owner_of(str(self.state_dir)), self.namespace)

    def subnet(self, tenant: TenantName) -> Subnet:
        number = f"{self.number}{1 if tenant == ACME else 2}"
        return Subnet(IPv4Network(f"10.88.{number}.0/24"), IPv6Network(f"fd00:{number}::/64"))

    def address_of(self, tenant: TenantName, version: int) -> str:
        return str(assign_addresses(self.subnet(tenant), [NAME])[NAME][0 if version == 4 else 1])

    def tunnel(self) -> dict[str, object]:
        """What the other host's configuration says of this one."""
        return {
            "public_key": public_key(own_key(self.state_dir, ACME)),
            "endpoint": f"{self.address}:{PORT}",
            "subnets": [str(net) for net in self.subnet(ACME)],
        }

    def join(self, *others: dict[str, object]) -> None:
        self.configuration = msgspec.convert(
            {"tenants": {ACME: {"listen_port": PORT, "peers": others}}}, Configuration
        )

    def up(self) -> None:
        """What the daemon does: ask the plugin, then make it so."""
        keeper = Keeper(self.state_dir)
        uplinks = run_inside(
            self.namespace, lambda: keeper.uplinks(self.configuration, ACME, self.subnet(ACME))
        )
        mine, *rest = self.wishes().networks
        assert (
            self.network.reconcile(replace(self.wishes(), networks=(replace(mine, uplinks=uplinks), *rest)))
            == {}
        )

    def wishes(self) -> Wishes:
        return Wishes(
            owner=owner_of(str(self.state_dir)),
            networks=tuple(Network(tenant=tenant, subnet=self.subnet(tenant)) for tenant in (ACME, GLOBEX)),
            attachments=tuple(self._attachment(tenant, place) for tenant, place in self.places.items()),
        )

    def _attachment(self, tenant: TenantName, place: Namespace) -> Attachment:
        address4, address6 = assign_addresses(self.subnet(tenant), [NAME])[NAME]
        return Attachment(
            instance=InstanceId(f"{int(address4):012x}"),
            tenant=tenant,
            name=NAME,
            end=VethEnd(namespace=place),
            address4=address4,
            address6=address6,
        )


@contextmanager
def two_hosts(directory: Path) -> Iterator[tuple[Host, Host]]:
    """Connected, and configured to span acme's network; not up yet."""
    with ExitStack() as stack:
        hosts = []
        for number in (1, 2):
            state_dir = directory / f"host{number}"
            state_dir.mkdir()
            places = {tenant: stack.enter_context(new_namespace()) for tenant in (ACME, GLOBEX)}
            host = Host(number, stack.enter_context(new_namespace()), state_dir, places)
            for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                write_setting(host.namespace, setting, "1")
            hosts.append(host)
        one, two = hosts
        join(one.namespace, one.address, two.namespace, two.address)
        one.join(two.tunnel())
        two.join(one.tunnel())
        yield one, two
