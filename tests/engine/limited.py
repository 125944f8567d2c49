"""Runs one program in an instance with the monitors' own limits: python -m tests.engine.limited OPTIONS."""

import sys
from argparse import ArgumentParser
from dataclasses import replace

from kwhost.core.config.host import load_host_config
from kwhost.core.engines.direct import DirectEngine
from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.model.ids import instance_name
from kwhost.core.model.instance import GuestLimits, InstanceSpec
from kwhost.core.model.volume import Volume
from kwhost.core.supervise.foreground import watch_launched
from kwhost.core.supervise.planning import plan_instance


def main() -> int:
    parser = ArgumentParser()
    parser.add_argument("--pids", type=int, default=0)
    parser.add_argument("--memory", type=int, default=0, help="bytes")
    parser.add_argument("--folder", required=True, help="seen as /mnt")
    parser.add_argument("command", nargs="+")
    wanted = parser.parse_args()
    lease = lease_ids(load_host_config().uid_base)
    try:
        spec = InstanceSpec(
            argv=tuple(wanted.command),
            name=instance_name("limited"),
            volumes=(Volume(source=wanted.folder, target="/mnt", read_only=True),),
        )
        plan = plan_instance(spec, lease.ids, None)
        plan = replace(plan, limits=GuestLimits(pids=wanted.pids, memory=wanted.memory))
        launched = DirectEngine(lease).launch(plan)
        outcome = watch_launched(
            launched, timeout=None, terminal=None, report=sys.stderr.write, want_statistics=False
        )
        return outcome.exit_status
    finally:
        lease.close()


if __name__ == "__main__":
    sys.exit(main())
