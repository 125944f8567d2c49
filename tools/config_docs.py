"""Makes docs/configuration.md from the description of the configuration; with --check tells whether it is
up to date."""

import sys
from collections.abc import Iterator

from pages import ROOT, write_or_check

from kwhost.core.config.schema import CONFIGURATION
from kwhost.core.config.tables import Named, Table

PAGE = ROOT / "docs/configuration.md"
HEAD = """# Configuration

Made by `tools/config_docs.py` from `kwhost/core/config/schema.py`; change those.

One TOML file says what a host runs: `kwhost up FILE.toml` hosts it, `kwhost reload` reads it again and
applies the difference. [config.example.toml](../config.example.toml) shows every key in use, and runs as
it is. Without a name root's file is `/etc/kwhost/config.toml`, a user's `~/.config/kwhost/config.toml`
(or below `$XDG_CONFIG_HOME`). `kwhost run` takes `[host]` from there, and looks at nothing else in it.

- **Sizes** are a number of bytes, or a text with a unit: `"64k"`, `"256M"`, `"1.5G"`, `"1T"`; as with
  Docker, M, MB and MiB are all 2^20. **Times** are seconds, or a text: `"500ms"`, `"30s"`, `"5m"`,
  `"2h"`, `"1d"`.
- **Paths** (`rootfs`, `env_file`, the source of a volume) are relative to the file that names them,
  unless they are absolute.
- KWHOST_STATE_DIR and KWHOST_RUN_DIR win over `state_dir` and `run_dir`.
- A **command** is a list, which is taken as it is, or a text, which is split as a shell would split it;
  no shell runs it, so `$VARIABLES` and `|` mean nothing unless the command itself is a shell.
- An **env_file** has lines KEY=VALUE as Docker's: what follows the first `=` is the value, quotes
  included; empty lines and lines that begin with `#` are left out. Nothing is taken from kwhost's own
  environment.
- **Replicas**: an instance with `replicas = 3` becomes NAME-1, NAME-2 and NAME-3, each by itself in
  `kwhost ps`. `depends_on = ["NAME"]` means all of them, `["NAME-2"]` that one.
- **Quotas** are what all instances of a tenant may have together. Where a tenant has one, each of its
  instances has to say how much of it is its own, and what they ask for together has to fit.
- A **limit** that this host cannot hold is an error when the instance is started; it is never ignored.

## Mistakes

All mistakes are told at once, each on a line of its own with its place, and nothing is changed or
started:

```
kwhost: kwhost.toml:12: tenants.acme.instances.web.memroy: unknown key; did you mean memory?
kwhost: kwhost.toml:13: tenants.acme.instances.web.timeout: must be from 1ms to 366d, not 0
kwhost: kwhost.toml:20: tenants.acme.instances.job.depends_on: goes in a circle: job -> db -> job
kwhost: kwhost.toml:31: tenants.acme.memory: the instances ask for 2.0 GiB together, 1.0 GiB too much
```

## Reload

`kwhost reload` compares the file with what is hosted, instance by instance (TENANT/NAME):

- instances that are new are started, those that are gone are stopped and removed;
- a change of `restart`, `healthcheck`, `depends_on`, `stop_timeout`, `cpus` or `block` applies
  to the running instance;
- so does a change of a policy, by its name or in its rules, up to what the instance was started for
  ([policies.md](policies.md#the-ceiling)); beyond that the instance goes on under the old one until it is
  started again, which is told;
- any other change restarts that instance, and no other one;
- a tenant's users, quotas and binds apply at once;
- in `[host]`, `log_level`, and `log_size` and `log_files` for instances started from then on; what else
  changed there is named, and needs a restart of the daemon.

"""
TAIL = """## [plugins.NAME]

The settings of a plugin, by its name. The plugin itself says which keys there are, and checks them.
"""


def tables(table: Table, title: str) -> Iterator[tuple[str, Table]]:
    """Tables with their headlines, outer ones first."""
    yield title, table
    for key in table.keys:
        below, kind = f"{title}.{key.name}".lstrip("."), key.kind
        if isinstance(kind, Named):
            below, kind = f"{below}.NAME", kind.item
        if isinstance(kind, Table):
            yield from tables(kind, below)


def cell(text: str) -> str:
    """A text in a table's cell."""
    return text.replace("|", r"\|")


def describe(title: str, table: Table) -> str:
    """A table's keys; those that are tables of their own stand elsewhere."""
    rows = [
        f"| `{key.name}` | {cell(key.kind.words)} | {f'`{key.default}`' if key.default else ''} "
        f"| {cell(key.meaning)}{' (required)' if key.required else ''} | `{cell(key.example)}` |\n"
        for key in table.keys
        if not isinstance(key.kind, Named)
    ]
    later = ", ".join(f"`{name}`" for name in table.later)
    return (
        f"## [{title}]\n\n{table.meaning}\n\n"
        "| key | value | default | meaning | example |\n|---|---|---|---|---|\n"
        f"{''.join(rows)}\n" + (f"Not available yet: {later}.\n\n" if later else "")
    )


def make_page() -> str:
    """The whole document."""
    return HEAD + "".join(describe(*entry) for entry in tables(CONFIGURATION, "") if entry[0]) + TAIL


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, make_page()))
