"""Generators of values that several tests share."""

from hypothesis import strategies as st

from kwhost.core.model.ids import IdRange, InstanceName
from kwhost.core.model.instance import GuestLimits, Identity, LaunchPlan, LogLimits, TerminalSize
from kwhost.core.model.mounts import Mount, MountFlag, MountKind

# What can stand on a Linux command line: bytes without NUL, as Python passes them on.
os_texts = st.binary(max_size=60).map(
    lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape")
)
variable_names = st.text("ABCXYZ_", min_size=1, max_size=8)
names = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,20}[a-z0-9]\Z").map(InstanceName)
mount_flags = st.sets(st.sampled_from(list(MountFlag))).map(
    lambda flags: MountFlag(sum(flag.value for flag in flags))
)
mounts = st.builds(
    Mount,
    kind=st.sampled_from(MountKind),
    target=os_texts.map(lambda text: "/" + text),
    source=st.none() | os_texts,
    flags=mount_flags,
    data=st.none() | os_texts,
    mode=st.integers(0, 0o7777),
)
ids32 = st.integers(0, 0xFFFF_FFFF)
plans = st.builds(
    LaunchPlan,
    name=names,
    argv=st.lists(os_texts, min_size=1, max_size=6).map(tuple),
    environment=st.dictionaries(variable_names, os_texts, max_size=5),
    workdir=os_texts.map(lambda text: "/" + text),
    identity=st.builds(Identity, uid=ids32, gid=ids32, groups=st.lists(ids32, max_size=32).map(tuple)),
    ids=st.builds(IdRange, uid_base=ids32, gid_base=ids32, size=ids32),
    mounts=st.lists(mounts, max_size=6).map(tuple),
    nofile=ids32,
    interactive=st.booleans(),
    terminal=st.none() | st.builds(TerminalSize, rows=st.integers(1, 500), columns=st.integers(1, 500)),
    init=st.booleans(),
    read_only=st.booleans(),
    rootless=st.booleans(),
    waits_for_network=st.booleans(),
    hosted=st.booleans(),
    log=st.builds(LogLimits, size=st.integers(0, 2**63), files=ids32),
    limits=st.builds(GuestLimits, pids=ids32, memory=st.integers(0, 2**63), resident=st.integers(0, 2**63)),
)
