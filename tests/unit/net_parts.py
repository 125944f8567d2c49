"""Wishes that tests of networks begin with."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network

from hypothesis import strategies as st

from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.network import NO_LIMITS, NetworkLimits
from kwhost.net.addresses import Pool, assign_addresses, assign_subnets
from kwhost.net.names import owner_of
from kwhost.net.wishes import Attachment, Namespace, Network, TapEnd, Uplink, VethEnd, Wishes

OWNER = owner_of("/var/lib/kwhost")
ACME, GLOBEX = TenantName("acme"), TenantName("globex")
WEB, DB = InstanceName("web"), InstanceName("db")
SUBNETS = assign_subnets(Pool(), [ACME, GLOBEX])


UPLINKS = {
    tenant: Uplink(
        interface=f"across{number}",
        subnets=(IPv4Network(f"10.200.{number}.0/24"), IPv6Network(f"fd00:{number}::/64")),
        mtu=1400,
    )
    for number, tenant in enumerate([ACME, GLOBEX])
}


def network(
    tenant: TenantName = ACME, limits: NetworkLimits = NO_LIMITS, uplinks: tuple[Uplink, ...] = ()
) -> Network:
    return Network(tenant=tenant, subnet=SUBNETS[tenant], limits=limits, uplinks=uplinks)


def attachment(
    tenant: TenantName = ACME,
    name: InstanceName = WEB,
    *,
    end: VethEnd | TapEnd | None = None,
    limits: NetworkLimits = NO_LIMITS,
) -> Attachment:
    address4, address6 = assign_addresses(SUBNETS[tenant], [WEB, DB])[name]
    return Attachment(
        instance=InstanceId(f"{int(address4):012x}"),
        tenant=tenant,
        name=name,
        end=end or VethEnd(namespace=Namespace(f"/run/{tenant}/{name}")),
        address4=address4,
        address6=address6,
        limits=limits,
    )


rates = st.none() | st.integers(8, 10**10)
limits = st.builds(
    NetworkLimits,
    upload=rates,
    download=rates,
    upload_packets=rates,
    download_packets=rates,
    connections=rates,
)
ends = st.builds(TapEnd, uid=st.integers(0, 2**31), multi_queue=st.booleans()) | st.builds(
    VethEnd, namespace=st.sampled_from([Namespace("/run/a"), Namespace("/run/b")])
)
tenants = st.sampled_from([ACME, GLOBEX])


@st.composite
def wishes(draw: st.DrawFn) -> Wishes:
    """Two tenants or fewer, with two instances or fewer each."""
    chosen = sorted(draw(st.sets(tenants)))
    return Wishes(
        owner=OWNER,
        networks=tuple(
            network(tenant, draw(limits), draw(st.sampled_from([(), (UPLINKS[tenant],)])))
            for tenant in chosen
        ),
        attachments=tuple(
            attachment(tenant, name, end=draw(ends), limits=draw(limits))
            for tenant in chosen
            for name in sorted(draw(st.sets(st.sampled_from([WEB, DB]))))
        ),
    )


addresses4 = st.integers(0, 2**32 - 1).map(IPv4Address)
