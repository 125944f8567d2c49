"""The resolver: a process that answers the questions of tenants' instances, each tenant by its own zone.

`python -I -m kwhost.net.resolver` is started and told what to answer by `kwhost.net.resolving`. Within it,
`queries`, `responses` and `answers` are the boundary to the wire, `local` knows the names of instances,
`upstreams` asks others, `pins` lets instances call what they were answered; `tenant` decides, `listening` and
`control` serve. `privileges` and `confinement` are what it gives up before, `calls` what is left to it.

May import: core.abi, core.model, core.errors, kwhost.net's records and nft; alone in kwhost dnspython.
"""
