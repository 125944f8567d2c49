"""Networks of tenants and instances: plans as values, applied to the host in one place.

`wishes` say what shall be, `layout` and `rules` turn them into a `state` of links and tables, `plan` compares
two states and answers with steps; all of that is pure. `reading`, `applying` and what they use touch the
host, in threads of their own; `reconcile` is the way in. `forwarder` speaks to the process that serves ports
of loopback addresses, whose program is in the folder forward.

May import: core.abi, core.model, core.errors, and alone in kwhost pyroute2.
"""
