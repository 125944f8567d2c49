"""The whole configuration: each table and key with its kind, default, meaning and an example.

Reading, messages, the documentation and the test of config.example.toml all go by it.
"""

from collections.abc import Iterator
from pathlib import Path

from kwhost.core.config.document import parse_document
from kwhost.core.config.host_schema import HOST
from kwhost.core.config.instance_schema import INSTANCE
from kwhost.core.config.kinds import Boolean, Choice, Number
from kwhost.core.config.network_schema import TENANT_NETWORK
from kwhost.core.config.policy_schema import POLICIES, TENANT_POLICY
from kwhost.core.config.positions import KeyPath
from kwhost.core.config.tables import AnyTable, Key, Named, Settings, Table
from kwhost.core.config.values import ABSOLUTE_PATHS, USERS, plugin_name, size
from kwhost.core.model.ids import instance_name, tenant_name
from kwhost.core.model.instance import Isolation

__all__ = ["CONFIGURATION", "NAME", "every_key", "read_host_table"]

# In the path of a key, for what operators name: tenants, instances, plugins.
NAME = "NAME"

TENANT = Table(
    meaning="An owner of instances. The quotas are for all of its instances together; without one, no limit.",
    keys=(
        Key(
            name="users",
            kind=USERS,
            default="[]",
            meaning="users of this host who may see and control this tenant, and no other",
            example='["alice"]',
        ),
        Key(
            name="isolation",
            kind=Choice(Isolation),
            default='"vm"',
            meaning="the least isolation of its instances; kernel is not available yet",
            example='"vm"',
        ),
        Key(
            name="max_instances",
            kind=Number(low=0, high=1_000_000),
            meaning="quota of instances, running or not",
            example="10",
        ),
        Key(
            name="cpus",
            kind=Number(low=0.01, high=4096, fractional=True),
            meaning="quota of CPUs' worth of time",
            example="4",
        ),
        Key(name="memory", kind=size("1M"), meaning="quota of memory, in bytes", example='"4G"'),
        Key(name="storage", kind=size("64k"), meaning="quota of storage, in bytes", example='"10G"'),
        Key(
            name="pids",
            kind=Number(low=1, high=4_194_304),
            meaning="quota of processes and threads",
            example="1000",
        ),
        Key(
            name="binds",
            kind=ABSOLUTE_PATHS,
            default="[]",
            meaning="host directories whose files the tenant's users may have as volumes",
            example='["/srv/acme"]',
        ),
        Key(
            name="private_images",
            kind=Boolean(),
            default="false",
            meaning="whether its instances have copies of images of their own, so that nobody else can tell "
            "by the time that a read takes what they have read; they count for its storage",
            example="true",
        ),
        TENANT_POLICY,
        Key(
            name="network",
            kind=TENANT_NETWORK,
            meaning="the network that the tenant's instances have together, apart from everybody else's",
            example='{ upload = "100M", download = "100M" }',
        ),
        Key(
            name="instances",
            kind=Named(item=INSTANCE, check_name=instance_name),
            meaning="the tenant's instances, each a table of its own",
            example='{ web = { command = ["python3", "-m", "http.server"] } }',
        ),
    ),
)

CONFIGURATION = Table(
    meaning="The file.",
    keys=(
        Key(name="host", kind=HOST, meaning="this host and its daemon", example="{}"),
        Key(
            name="tenants",
            kind=Named(item=TENANT, check_name=tenant_name),
            meaning="owners of instances, each a table of its own",
            example="{ acme = {} }",
        ),
        POLICIES,
        Key(
            name="plugins",
            kind=Named(item=AnyTable(), check_name=plugin_name),
            meaning="settings of plugins, each a table that the plugin itself describes",
            example="{ prometheus = {} }",
        ),
    ),
)


def every_key(table: Table = CONFIGURATION, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Key]]:
    """Each key below a table with its path, tables before what is in them."""
    for key in table.keys:
        below = (*path, key.name)
        yield below, key
        kind = key.kind
        if isinstance(kind, Named):
            below, kind = (*below, NAME), kind.item
        if isinstance(kind, Table):
            yield from every_key(kind, below)


def read_host_table(path: Path, data: bytes) -> Settings:
    """What `[host]` of a file's content sets; the rest need not be right. Raises ConfigErrors."""
    document = parse_document(path, data)
    place = document.top.below("host")
    settings = HOST.read(document.values.get("host", {}), place) or {}
    place.problems.raise_any()
    return settings
