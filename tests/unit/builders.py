"""Ordinary values for tests that only care about one field."""

from kwhost.core.model.ids import IdRange, InstanceName
from kwhost.core.model.instance import Identity, LaunchPlan

__all__ = ["make_plan"]


def make_plan() -> LaunchPlan:
    return LaunchPlan(
        name=InstanceName("sample"),
        argv=("/bin/true",),
        environment={"PATH": "/bin"},
        workdir="/",
        identity=Identity(uid=0, gid=0),
        ids=IdRange(uid_base=1_879_048_192, gid_base=1_879_048_192, size=65_536),
        mounts=(),
        nofile=1024,
    )
