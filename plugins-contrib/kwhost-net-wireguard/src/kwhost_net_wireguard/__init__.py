"""Networks of tenants that span hosts, by WireGuard: a plugin of kwhost.

`configuration` and `keys` say what shall be, `devices` compares it with what there is and answers with
steps (pure), `kernel` reads and changes WireGuard devices, `keeper` does all of it in order for the hooks in
`plugin`.

May import: kwhost.hookspecs, kwhost.core.model, kwhost.core.errors, kwhost.core.config.host,
kwhost.net.names, kwhost.net.netlink.
"""

__version__ = "0.1.0"
