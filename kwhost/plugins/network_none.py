"""The network `none`."""

from kwhost.hookspecs import NetworkOffer, hookimpl


@hookimpl
def networks() -> tuple[NetworkOffer, ...]:
    """Every instance's network namespace begins this way."""
    return (NetworkOffer(name="none", summary="nothing but the instance's own loopback"),)
