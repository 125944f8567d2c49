"""The tab of the terminal interface."""

from pathlib import Path

import trio
from kwhost.hookspecs import TuiCell, TuiSource, TuiTone
from kwhost.testing import FakeHost, LoadPlugin, make_instance

from kwhost_prometheus.panel import PANEL
from kwhost_prometheus.plugin import Prometheus


async def test_the_tab_shows_what_a_scrape_sees_of_the_instance(
    fake_host: FakeHost, load_plugin: LoadPlugin
) -> None:
    web = make_instance(restarts=2)
    fake_host.set_instance(web)
    fake_host.set_instance(make_instance(name="other", restarts=7))
    async with load_plugin(Prometheus(), "prometheus").serving():
        source = TuiSource(socket=Path("api.sock"), run_dir=fake_host.run_dir, instance=web)
        rows = await trio.to_thread.run_sync(PANEL.read, source)

    assert ("kwhost_instance_restarts_total", TuiCell("", TuiTone.DIM), TuiCell("2")) in rows
    assert not [row for row in rows if "other" in str(row)]
