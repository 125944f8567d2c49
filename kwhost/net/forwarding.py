"""What the host itself must allow before packets pass it."""

from kwhost.net.state import Setting

__all__ = ["FORWARDING"]

# Sets that mean nothing where the host does not forward. What is published on every address works at least
# from the host itself, and is left alone for IPv6, which few hosts forward. Between bridges and uplinks IPv4
# needs their own settings alone.
FORWARDING = {
    **dict.fromkeys(("egress4", "inner4", "published4", "everywhere4"), Setting("ipv4/ip_forward", "1")),
    **dict.fromkeys(("egress6", "inner6", "published6", "across6"), Setting("ipv6/conf/all/forwarding", "1")),
}
