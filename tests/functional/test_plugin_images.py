"""Images that a plugin has: what they are made of, what they say of themselves, and what goes wrong."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.functional.daemon_requests import kinds_of
from tests.functional.hosting import Daemon, StartDaemon, eventually

pytestmark = [pytest.mark.kvm, pytest.mark.root]

PLUGIN = """
import fcntl, os
from kwhost.core.images.system_dirs import system_mounts
from kwhost.core.model.definition import Healthcheck, ProbeKind
from kwhost.core.model.image import ImageSettings
from kwhost.core.model.mounts import Mount, MountFlag, MountKind
from kwhost.hookspecs import ImagePlan, ImageSource, hookimpl

def plan(request):
    if request.reference != "sh":
        raise ValueError("there is only\\nsh")
    pin = os.open("PIN", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    fcntl.flock(pin, fcntl.LOCK_SH)
    mounts = (Mount(MountKind.OVERLAY, "/", "ROOT", MountFlag.ID_MAPPED), *system_mounts())
    check = Healthcheck(kind=ProbeKind.COMMAND, target=("/bin/sh", "-c", ":"), interval=0.1)
    says = ("/bin/sh", "-c", "echo $A of " + request.tenant + "; sleep 1000")
    settings = ImageSettings(command=says, environment={"A": "a"}, healthcheck=check)
    return ImagePlan(mounts=mounts, accounts_root="ROOT", settings=settings, pin=pin)

@hookimpl
def image_sources():
    return [ImageSource(name="little", plan=plan)]
"""
INSTANCES = """
[tenants.acme.instances.job]
image = "little:sh"
[tenants.acme.instances.wrong]
image = "little:ksh"
"""


@pytest.fixture
def daemon(kwhostd: StartDaemon, tmp_path: Path) -> Daemon:
    """With the plugin, and both instances."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox
    shutil.copy(busybox, root / "bin/sh")
    plugin = tmp_path / "little.py"
    plugin.write_text(PLUGIN.replace("ROOT", str(root)).replace("PIN", str(tmp_path / "pin")))
    return kwhostd(f'[host]\nplugins = ["{plugin}"]\n{INSTANCES}')


def test_an_instance_is_made_as_a_plugins_image_says(daemon: Daemon, tmp_path: Path) -> None:
    eventually(lambda: daemon.run("logs", "job").stdout == "a of acme\n", "the output")
    free = ["flock", "-n", str(tmp_path / "pin"), "true"]
    eventually(lambda: subprocess.run(free, check=False).returncode == 0, "the pin to be let go")


def test_a_new_daemon_goes_on_with_what_an_image_says(daemon: Daemon) -> None:
    eventually(lambda: kinds_of(daemon, "job").count("healthy") == 1, "its health")

    daemon.kill()
    daemon.start()

    eventually(lambda: kinds_of(daemon, "job").count("healthy") == 2, "its health again")


def test_a_fault_of_an_images_plugin_is_one_line(daemon: Daemon) -> None:
    eventually(lambda: daemon.instance("acme/wrong")["state"] in ("failed", "crash-loop"), "the failure")

    expected = "cannot use the image little:ksh: the plugin little failed: ValueError: there is only sh"
    assert daemon.instance("acme/wrong")["message"] == expected
