"""The networks `tenant` and `host`, which the daemon itself makes."""

from kwhost.hookspecs import NetworkOffer, hookimpl


@hookimpl
def networks() -> tuple[NetworkOffer, ...]:
    """A bridge for each tenant, and no network at all apart from the host's."""
    return (
        NetworkOffer(name="tenant", summary="the tenant's other instances, and what its egress allows"),
        NetworkOffer(name="host", summary="all that this host reaches, where the operator allows it"),
    )
