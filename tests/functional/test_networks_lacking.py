"""What a host lacks for networks is an error of the instances that need it, in words that say what to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional import refuse_nf_tables
from tests.functional.hosting import eventually
from tests.functional.network_hosting import network_daemon
from tests.functional.test_networks import instance
from tests.net.namespaces import filter_bridged, new_namespace, write_setting

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.net]

LIBRARY = "/usr/lib/x86_64-linux-gnu/libnftables.so.1"
WITHOUT_KERNEL = [sys.executable, str(refuse_nf_tables.__file__)]
# In a mount namespace of its own, the library's file is an empty one.
WITHOUT_LIBRARY = ["unshare", "--mount", "sh", "-c", f'mount --bind /dev/null {LIBRARY} && exec "$@"', "sh"]
LACKS = pytest.mark.parametrize(
    ("prefix", "message"),
    [
        pytest.param(WITHOUT_KERNEL, "run modprobe nf_tables", id="nf_tables"),
        pytest.param(WITHOUT_LIBRARY, "apt-get install libnftables1", id="libnftables"),
    ],
)
TENANT = "[tenants.acme]\nnetwork = {}\n"


@LACKS
def test_instances_that_need_it_fail_and_all_others_run(prefix: list[str], message: str) -> None:
    configuration = TENANT + instance("acme", "one") + instance("acme", "alone", "network = 'none'")
    with network_daemon(configuration, prefix) as daemon:
        said = daemon.wait_state("acme/one", "failed")["message"]

        assert message in said
        assert "\n" not in said
        daemon.wait_state("acme/alone", "running")


@LACKS
def test_doctor_says_so(prefix: list[str], message: str, kwhost_command: list[str]) -> None:
    done = subprocess.run([*prefix, *kwhost_command, "doctor"], capture_output=True, text=True, check=False)

    assert message in done.stdout
    assert done.returncode == 0


def test_doctor_says_what_the_hosts_settings_rule_out(kwhost_command: list[str]) -> None:
    with new_namespace() as namespace:
        write_setting(namespace, "ipv4/ip_forward", "0")
        write_setting(namespace, "ipv6/conf/all/forwarding", "1")
        filter_bridged(namespace, on=True)
        descriptor = int(Path(namespace).name)
        enter = ["nsenter", f"--net=/proc/self/fd/{descriptor}"]
        done = subprocess.run(
            [*enter, *kwhost_command, "doctor", "--json"],
            capture_output=True,
            text=True,
            check=False,
            pass_fds=(descriptor,),
        )

    advice = {one["name"]: one["advice"] for one in json.loads(done.stdout)["findings"]}
    assert "sysctl net.ipv4.ip_forward=1 where" in advice["forwarding"]
    if Path("/proc/sys/net/bridge").exists():
        assert "net.bridge.bridge-nf-call-iptables=0" in advice["bridged packets"]


def test_an_upload_rate_that_cannot_be_held_is_an_error_of_that_tenant_alone() -> None:
    if not Path("/proc/sys/net/bridge").exists():
        pytest.skip("this kernel does not filter bridged packets (br_netfilter)")
    limited = "[tenants.globex]\nnetwork = { upload = '20M' }\n"
    configuration = TENANT + instance("acme", "one") + limited
    with network_daemon(configuration) as daemon:
        filter_bridged(daemon.namespace, on=True)
        daemon.wait_state("acme/one", "running")
        daemon.config.write_text(configuration + instance("globex", "one") + instance("acme", "two"))

        daemon.run("reload")

        assert "sysctl net.bridge.bridge-nf-call" in daemon.wait_state("globex/one", "failed")["message"]
        daemon.wait_state("acme/two", "running")
        filter_bridged(daemon.namespace, on=False)
        daemon.run("start", "globex/one")
        daemon.wait_state("globex/one", "running")


def test_one_that_can_no_longer_be_held_is_told_and_keeps_nobody_else_out() -> None:
    if not Path("/proc/sys/net/bridge").exists():
        pytest.skip("this kernel does not filter bridged packets (br_netfilter)")
    limited = "[tenants.globex]\nnetwork = { upload = '20M' }\n"
    with network_daemon("") as daemon:
        filter_bridged(daemon.namespace, on=False)
        configuration = TENANT + limited + instance("globex", "one")
        daemon.config.write_text(configuration)
        daemon.run("reload")
        daemon.wait_state("globex/one", "running")
        filter_bridged(daemon.namespace, on=True)
        daemon.config.write_text(configuration + instance("acme", "one"))

        daemon.run("reload")

        daemon.wait_state("acme/one", "running")
        eventually(lambda: "upload rate of tenant globex" in daemon.said, "it is told")
