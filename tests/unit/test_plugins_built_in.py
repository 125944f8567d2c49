"""What the built-in plugins contribute."""

from pathlib import Path

import pytest

from kwhost.core.errors import ImageError, NotFound
from kwhost.core.images.host import host_image
from kwhost.core.images.rootfs import rootfs_image
from kwhost.core.model.ids import InstanceName
from kwhost.core.pluginmgr.discovery import Selection
from kwhost.core.pluginmgr.loading import load_plugins
from kwhost.core.pluginmgr.manager import Plugins
from kwhost.hookspecs import ImagePlan
from kwhost.testing import LoadPlugin, fake_host, load_plugin
from tests.unit.plugin_parts import image_request

__all__ = ["fake_host", "load_plugin"]

WEB = InstanceName("web")


async def plan(image: str, state_dir: Path = Path("/no-state")) -> ImagePlan:
    lines: list[str] = []
    plugins = Plugins(load_plugins(Selection(), lines.append, installed=False), lines.append, lines.append)
    return await plugins.plan_image(image_request(image, read_only=True, state_dir=state_dir))


async def test_the_image_host_is_this_machine() -> None:
    found = await plan("host")

    assert found.mounts == host_image(WEB, read_only=True).mounts
    assert found.accounts_root == "/"


async def test_who_tests_a_plugin_sees_the_plans_of_its_images(load_plugin: LoadPlugin) -> None:
    from kwhost.plugins import images_local

    found = await load_plugin(images_local).plan_image("host", read_only=True)

    assert found.mounts == host_image(WEB, read_only=True).mounts


async def test_the_image_rootfs_is_a_directory(tmp_path: Path) -> None:
    found = await plan(f"rootfs:{tmp_path}")

    assert found.mounts == rootfs_image(str(tmp_path)).mounts
    assert found.accounts_root == str(tmp_path)


@pytest.mark.parametrize("image", ["host:x", "rootfs", "rootfs:relative", "rootfs:/", "rootfs:/no/such"])
async def test_other_images_are_refused(image: str) -> None:
    with pytest.raises(ImageError):
        await plan(image)


async def test_what_else_an_instance_names_is_an_image_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no image 'alpine' here"):
        await plan("alpine", tmp_path)


async def test_the_daemon_measures_itself(load_plugin: LoadPlugin) -> None:
    from kwhost.plugins import daemon_metrics

    plugin = load_plugin(daemon_metrics)
    async with plugin.serving():
        values = {metric.name: metric.samples[0].value for metric in await plugin.plugins.metrics()}

    assert values["kwhost_daemon_resident_bytes"] > 1_000_000
    assert values["kwhost_daemon_threads"] >= 1
    assert values["kwhost_daemon_up_seconds"] > 0
    assert all(value >= 0 for value in values.values())
