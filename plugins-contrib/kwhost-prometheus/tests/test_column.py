"""The column of the terminal interface's overview."""

from pathlib import Path

import pytest
import trio
from kwhost.core.errors import ApiError
from kwhost.core.model.statistics import CallStatistics, InstanceStatistics
from kwhost.core.model.status import Usage
from kwhost.hookspecs import TuiFleet
from kwhost.testing import FakeHost, LoadPlugin, make_instance

from kwhost_prometheus.column import COLUMN
from kwhost_prometheus.plugin import Prometheus


async def test_the_column_has_the_mean_time_of_each_instances_calls(
    fake_host: FakeHost, load_plugin: LoadPlugin
) -> None:
    call = CallStatistics(
        number=0, name="read", calls=4, failed=0, refused=0, seconds=0.001, histogram=(0,) * 17 + (4,)
    )
    web, idle = make_instance(), make_instance(name="idle")
    statistics = InstanceStatistics(
        start_seconds=0.02, exits=7, faults=3, processes=1, threads=1, peak_memory=1, calls=(call,)
    )
    fake_host.set_instance(web, Usage(), statistics)
    fake_host.set_instance(idle)
    async with load_plugin(Prometheus(), "prometheus").serving():
        fleet = TuiFleet(socket=Path("api.sock"), run_dir=fake_host.run_dir, instances=(web, idle))
        cells = await trio.to_thread.run_sync(COLUMN.read, fleet)

    assert cells == {web.id: "250.0"}


def test_without_the_exporter_it_says_so(tmp_path: Path) -> None:
    fleet = TuiFleet(socket=Path("api.sock"), run_dir=tmp_path, instances=())
    with pytest.raises(ApiError, match="does a daemon with this plugin run"):
        COLUMN.read(fleet)
