"""What of all wishes can be on a host as it is; the rest is left out, each with an error of its own. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from kwhost.core.errors import NetworkError
from kwhost.net.layout import port_of
from kwhost.net.names import LinkName, bridge_name
from kwhost.net.state import State
from kwhost.net.uplinks import without_used
from kwhost.net.wishes import Network, Wishes

__all__ = ["fit"]

_Failures = dict[LinkName, NetworkError]


def fit(wishes: Wishes, actual: State) -> tuple[Wishes, _Failures]:
    """The wishes that can be fulfilled, and why the others cannot be, by the links that they are about."""
    fitting, conflicts = without_used(wishes, actual.used)
    if not actual.filters_bridged:
        return fitting, conflicts
    fitting, refused = _without_upload_rates(fitting, actual)
    return fitting, conflicts | refused


def _without_upload_rates(wishes: Wishes, actual: State) -> tuple[Wishes, _Failures]:
    """What waits in a bridge's mirror is not tracked again where it was tracked as a bridged packet: no call
    would get beyond the tenant's network. So nobody new is attached; who is attached stays as he is."""
    lost = {network.tenant: network for network in wishes.networks if network.limits.upload is not None}
    if not lost:
        return wishes, {}
    failures = {bridge_name(wishes.owner, tenant): _failure(network) for tenant, network in lost.items()}
    for one in wishes.attachments:
        if one.tenant in lost and port_of(one) not in actual.links:
            failures[port_of(one)] = _failure(lost[one.tenant])
    attachments = tuple(one for one in wishes.attachments if port_of(one) not in failures)
    attached = {one.instance for one in attachments}
    published = (
        replace(one, targets=tuple(target for target in one.targets if target in attached))
        for one in wishes.published
    )
    return (
        replace(
            wishes,
            networks=tuple(_networks(wishes, actual)),
            attachments=attachments,
            published=tuple(published),
        ),
        failures,
    )


def _networks(wishes: Wishes, actual: State) -> Iterator[Network]:
    """Without rates that do not hold already."""
    for network in wishes.networks:
        if bridge_name(wishes.owner, network.tenant) in actual.redirects:
            yield network
        else:
            yield replace(network, limits=replace(network.limits, upload=None))


def _failure(network: Network) -> NetworkError:
    return NetworkError(
        f"the upload rate of tenant {network.tenant} cannot be limited while bridged packets are filtered: "
        "run sysctl net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0"
    )
