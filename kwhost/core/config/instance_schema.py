"""The description of `[tenants.T.instances.N]`."""

from kwhost.core.config.kinds import Boolean, Choice, Command, Number, TextTable
from kwhost.core.config.network_schema import NETWORK_KEYS
from kwhost.core.config.policy_schema import INSTANCE_POLICY
from kwhost.core.config.tables import Key, Table
from kwhost.core.config.values import (
    ABSOLUTE_PATH,
    HTTP_ADDRESS,
    IMAGE,
    INSTANCES,
    PATH,
    PATHS,
    SECRETS,
    TCP_ADDRESS,
    USER,
    VOLUMES,
    duration,
    size,
)
from kwhost.core.model.definition import Changes, Restart
from kwhost.core.model.instance import Engine

__all__ = ["INSTANCE"]

_PER_SECOND = Number(low=1, high=2**50)

_BLOCK = Table(
    meaning="Limits on each block device of the host, in a second.",
    keys=(
        Key(name="read_bytes", kind=size("4k"), meaning="bytes read", example='"20M"'),
        Key(name="write_bytes", kind=size("4k"), meaning="bytes written", example='"10M"'),
        Key(name="read_operations", kind=_PER_SECOND, meaning="reads", example="500"),
        Key(name="write_operations", kind=_PER_SECOND, meaning="writes", example="200"),
    ),
)

_HEALTHCHECK = Table(
    meaning="How to tell whether an instance works: exactly one of command, http and tcp.",
    keys=(
        Key(
            name="command",
            kind=Command(),
            meaning="a program that is run in the instance: healthy where it ends with 0",
            example='["test", "-e", "/tmp/ready"]',
        ),
        Key(
            name="http",
            kind=HTTP_ADDRESS,
            meaning="an address on the instance's loopback: healthy where the status is 200 to 399",
            example='"http://:8000/"',
        ),
        Key(
            name="tcp",
            kind=TCP_ADDRESS,
            meaning="a port on the instance's loopback: healthy where a connection is accepted",
            example='":5432"',
        ),
        Key(
            name="interval",
            kind=duration("100ms", "1d"),
            default='"30s"',
            meaning="time from one check to the next",
            example='"10s"',
        ),
        Key(
            name="timeout",
            kind=duration("10ms", "1h"),
            default='"5s"',
            meaning="how long one may take",
            example='"2s"',
        ),
        Key(
            name="retries",
            kind=Number(low=1, high=1000),
            default="3",
            meaning="how many have to fail in a row",
            example="3",
        ),
        Key(
            name="start_period",
            kind=duration("0s", "1d"),
            default='"0s"',
            meaning="time from the start in which failures do not count",
            example='"5s"',
        ),
    ),
)

_PROGRAM = (
    Key(
        name="command",
        kind=Command(),
        meaning="the program and its arguments, after the image's entrypoint; needed, unless an image says "
        "what to run",
        example='["python3", "-m", "http.server"]',
    ),
    Key(
        name="entrypoint",
        kind=Command(),
        meaning="what comes before `command` instead of the image's entrypoint; the image's own command does "
        "not count then",
        example='["/bin/sh", "-c"]',
    ),
    Key(
        name="image",
        kind=IMAGE,
        default='"host"',
        meaning="what the root is made of: an image (kwhost image ls), or this host's own programs",
        example='"host"',
    ),
    Key(
        name="rootfs",
        kind=PATH,
        meaning="a directory as the root instead of an image; never written to; relative to this file",
        example='"/srv/alpine"',
    ),
    Key(
        name="engine",
        kind=Choice(Engine),
        default='"auto"',
        meaning="how it is isolated; direct: on a virtual CPU; process: without one, which is weaker; auto: "
        "direct, or process without KVM where the tenant's isolation allows it; kernel is not available yet",
        example='"direct"',
    ),
    Key(
        name="env",
        kind=TextTable(),
        default="{}",
        meaning="environment variables, besides PATH, HOME and HOSTNAME; nothing is inherited",
        example='{ MODE = "production" }',
    ),
    Key(
        name="env_file",
        kind=PATHS,
        default="[]",
        meaning="files with lines KEY=VALUE, relative to this file; later ones win, and env over all",
        example='"web.env"',
    ),
    Key(
        name="workdir",
        kind=ABSOLUTE_PATH,
        meaning="the directory in the instance where the program starts; without it the image's, or /",
        example='"/srv"',
    ),
    Key(
        name="user",
        kind=USER,
        meaning="USER or USER:GROUP of the image, by name or number; without it root, of the instance alone",
        example='"nobody"',
    ),
    Key(
        name="volumes",
        kind=VOLUMES,
        default="[]",
        meaning="what it sees besides: SRC:DST or SRC:DST:ro; SRC is a host directory or file, relative to "
        "this file, or the name of one of the tenant's volumes, which has no slash; tmpfs:DST or "
        "tmpfs:DST:OPTION,... are files in memory, of the options size (64M), mode (1777), uid, gid and exec",
        example='["./site:/srv:ro", "data:/var/lib/app", "tmpfs:/tmp:size=16M"]',
    ),
    Key(
        name="secrets",
        kind=SECRETS,
        default="{}",
        meaning="files that it sees as /run/secrets/NAME, which its user alone may read, by these names; the "
        "daemon reads them at each start; relative to this file",
        example='{ key = "/etc/kwhost/web.key" }',
    ),
    Key(
        name="read_only",
        kind=Boolean(),
        default="false",
        meaning="whether the root cannot be written to; volumes still can",
        example="true",
    ),
    Key(
        name="changes",
        kind=Choice(Changes),
        default='"memory"',
        meaning="where what it writes to its root goes, for as long as it runs: memory, which counts as its "
        "own, or disk, as large as its storage (1G), for an image or a rootfs",
        example='"disk"',
    ),
    Key(
        name="init",
        kind=Boolean(),
        default="false",
        meaning="whether to start the program under a process that reaps orphans",
        example="true",
    ),
    Key(
        name="interactive",
        kind=Boolean(),
        default="false",
        meaning="whether it has a standard input, which `kwhost attach` can feed",
        example="true",
    ),
    Key(
        name="tty",
        kind=Boolean(),
        default="false",
        meaning="whether it has a terminal, which `kwhost attach` can show",
        example="true",
    ),
)

_LIMITS = (
    Key(
        name="memory",
        kind=size("1M"),
        meaning="bytes of memory that it may use; needed where the tenant has a quota of it",
        example='"256M"',
    ),
    Key(
        name="memory_headroom",
        kind=Number(low=1, high=1000, fractional=True),
        default="4.0",
        meaning="how many times `memory` programs may ask for, used or not, before they get ENOMEM",
        example="2.0",
    ),
    Key(
        name="cpus",
        kind=Number(low=0.01, high=4096, fractional=True),
        meaning="CPUs' worth of time; needed where the tenant has a quota of it",
        example="1.5",
    ),
    Key(
        name="pids",
        kind=Number(low=1, high=4_194_304),
        meaning="processes and threads; needed where the tenant has a quota of it",
        example="100",
    ),
    Key(
        name="storage",
        kind=size("64k"),
        meaning="bytes that it may write to its root; needed where the tenant has a quota of it",
        example='"64M"',
    ),
    Key(
        name="block",
        kind=_BLOCK,
        default="{}",
        meaning="limits on each block device of the host, in a second",
        example='{ read_bytes = "20M", write_bytes = "10M", read_operations = 500, write_operations = 200 }',
    ),
)

_LIFE = (
    Key(
        name="replicas",
        kind=Number(low=1, high=4096),
        default="1",
        meaning="how many of it there are; more than one are named NAME-1, NAME-2 and so on",
        example="2",
    ),
    Key(
        name="restart",
        kind=Choice(Restart),
        default='"no"',
        meaning="what follows its end, unless it was stopped; ever later where it ends again and again",
        example='"on-failure"',
    ),
    Key(
        name="healthcheck",
        kind=_HEALTHCHECK,
        meaning="how to tell whether it works",
        example='{ http = "http://:8000/", interval = "10s" }',
    ),
    Key(
        name="depends_on",
        kind=INSTANCES,
        default="[]",
        meaning="instances of the tenant that are started before it; where they have a health check, healthy",
        example='["database"]',
    ),
    Key(
        name="stop_timeout",
        kind=duration("0s", "1d"),
        default='"10s"',
        meaning="how long it has to end after SIGTERM; then it is killed",
        example='"30s"',
    ),
    Key(
        name="timeout",
        kind=duration("1ms", "366d"),
        meaning="how long it may run in all; without it, for ever",
        example='"1h"',
    ),
)

INSTANCE = Table(
    meaning="An instance of the tenant.",
    keys=(*_PROGRAM, *_LIMITS, *NETWORK_KEYS, INSTANCE_POLICY, *_LIFE),
)
