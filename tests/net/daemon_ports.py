"""Members of networks as the daemon knows them, without a daemon."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kwhost.core.daemon.network_members import Member
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import InstanceAddresses, PublishedPort
from kwhost.core.model.status import InstanceState
from kwhost.core.store.records import InstanceRecord
from kwhost.net.forwarder import ForwardedPort
from kwhost.testing import make_definition, make_tenant
from tests.net.forwarding import INNER, Place

__all__ = ["map_ids", "running_member"]


@contextmanager
def running_member(place: Place, *ports: ForwardedPort, instance: str = "0" * 12) -> Iterator[Member]:
    """An attached instance in a place, with a process that has ids of its own."""
    published = tuple(
        PublishedPort(port=port.number, target=INNER, address=str(port.address), transport=port.transport)
        for port in ports
    )
    definition = make_definition(ports=published, network="tenant")
    with ExitStack() as ending:
        process = ending.enter_context(subprocess.Popen(["unshare", "-U", "sleep", "infinity"]))
        ending.callback(process.kill)
        map_ids(process.pid, place.target.uid)
        namespace = os.open(place.namespace, os.O_RDONLY | os.O_CLOEXEC)
        ending.callback(os.close, namespace)
        yield Member(
            record=InstanceRecord(
                id=InstanceId(instance),
                tenant=definition.tenant,
                name=definition.name,
                definition=definition,
                state=InstanceState.RUNNING,
                desired="running",
                created=0.0,
            ),
            tenant=make_tenant(),
            namespace=namespace,
            addresses=InstanceAddresses(
                address4=place.address4,
                address6=place.address6,
                subnet4="10.9.0.0/16",
                subnet6="fd09::/16",
                mac="02:00:00:00:00:01",
            ),
            serving=True,
            pid=process.pid,
        )


def map_ids(pid: int, first: int) -> None:
    """Once it is in a user namespace of its own."""
    while os.readlink(f"/proc/{pid}/ns/user") == os.readlink("/proc/self/ns/user"):
        pass
    for kind in ("uid", "gid"):
        Path(f"/proc/{pid}/{kind}_map").write_text(f"0 {first} 1")
