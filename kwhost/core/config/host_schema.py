"""The description of `[host]`."""

from kwhost.core.config.host import LogLevel
from kwhost.core.config.kinds import Boolean, Choice, Number
from kwhost.core.config.network_schema import SUBNET_POOL
from kwhost.core.config.tables import Key, Table
from kwhost.core.config.values import ABSOLUTE_PATH, PLUGIN_NAMES, PLUGINS, REGISTRIES, STORAGE, size
from kwhost.core.model.ids import DEFAULT_UID_BASE, FULL_RANGE, UID_LIMIT
from kwhost.core.model.roots import RootStorage

__all__ = ["HOST"]

HOST = Table(
    meaning="Of this host and its daemon. A change needs a restart of the daemon, but for the log_ keys and "
    "insecure_registries.",
    keys=(
        Key(
            name="state_dir",
            kind=ABSOLUTE_PATH,
            default='"/var/lib/kwhost"',
            meaning="what outlives a restart of the host: the database, logs, exit records; KWHOST_STATE_DIR "
            "overrides it; a user's default is ~/.local/state/kwhost",
            example='"/var/lib/kwhost"',
        ),
        Key(
            name="run_dir",
            kind=ABSOLUTE_PATH,
            default='"/run/kwhost"',
            meaning="what does not: sockets and locks; KWHOST_RUN_DIR overrides it; a user's default is "
            "$XDG_RUNTIME_DIR/kwhost",
            example='"/run/kwhost"',
        ),
        Key(
            name="api",
            kind=ABSOLUTE_PATH,
            meaning="the daemon's Unix socket; without it, api.sock in run_dir",
            example='"/run/kwhost/api.sock"',
        ),
        Key(
            name="plugins",
            kind=PLUGINS,
            default="[]",
            meaning="plugins to load besides the installed ones: MODULE, MODULE:OBJECT or /PATH/FILE.py",
            example='["mycompany.kwhost_audit"]',
        ),
        Key(
            name="block_plugins",
            kind=PLUGIN_NAMES,
            default="[]",
            meaning="plugins to leave out, by name, built-in ones too",
            example='["prometheus"]',
        ),
        Key(
            name="require_plugins",
            kind=PLUGIN_NAMES,
            default="[]",
            meaning="plugins, by name, without which no instance may start: those that decide on admission",
            example='["mycompany-admission"]',
        ),
        Key(
            name="volume_storage",
            kind=STORAGE,
            default='"auto"',
            meaning="what keeps new volumes: quota (a directory that the file system bounds), ext4 (in a "
            "file), directory, or a plugin's; auto takes the first of them that can be had here",
            example='"ext4"',
        ),
        Key(
            name="root_storage",
            kind=Choice(RootStorage),
            default='"auto"',
            meaning="what an instance's root is: an overlay over the image's layers, a copy of them, or "
            "auto: a copy where the kernel refuses an overlay",
            example='"auto"',
        ),
        Key(
            name="insecure_registries",
            kind=REGISTRIES,
            default="[]",
            meaning="registries that images are pulled from without encryption, by this user and through the "
            "daemon that has this file; all others, those of this host too, need it",
            example='["registry.example:5000"]',
        ),
        Key(
            name="uid_base",
            kind=Number(low=FULL_RANGE, high=UID_LIMIT - FULL_RANGE, multiple=FULL_RANGE),
            default=str(DEFAULT_UID_BASE),
            meaning="root's instances have 65536 user and group ids each, from this host id upwards",
            example=str(DEFAULT_UID_BASE),
        ),
        Key(
            name="subnet_pool",
            kind=SUBNET_POOL,
            meaning="private addresses that tenants' networks are made of, a /24 and a /64 each; where it is "
            "set, instances are in their tenant's network by default; without it, 10.88.0.0/13 and "
            "fd6b:7768:6f73::/48 where a network is asked for",
            example='["10.88.0.0/13", "fd6b:7768:6f73::/48"]',
        ),
        Key(
            name="allow_host_network",
            kind=Boolean(),
            default="false",
            meaning='whether instances may have network = "host": all that this host reaches, its own '
            "loopback too",
            example="true",
        ),
        Key(
            name="log_level",
            kind=Choice(LogLevel),
            default='"info"',
            meaning="how much the daemon says of itself",
            example='"debug"',
        ),
        Key(
            name="log_size",
            kind=size("64k"),
            default='"10M"',
            meaning="bytes in one file of an instance's log; then the next one begins",
            example='"10M"',
        ),
        Key(
            name="log_files",
            kind=Number(low=1, high=100),
            default="3",
            meaning="how many such files an instance has; the oldest is dropped",
            example="3",
        ),
    ),
    later=("metrics",),
)
