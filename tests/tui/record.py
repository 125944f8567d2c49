"""Records what a daemon answers, for the tests of the terminal interface:

python -m tests.tui.record busy >tests/tui/transcripts/busy.json
python -m tests.tui.record process >tests/tui/transcripts/process.json
python -m tests.tui.record images >tests/tui/transcripts/images.json

The daemon is one of its own in a network namespace of its own, and hosts one of the scenes; that needs root,
KVM and nftables. Afterwards: KWHOST_UPDATE_SNAPSHOTS=1, and look at the pictures.
"""

import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import quote

from kwhost.core.api.client import Client, instance_path
from kwhost.net.netlink import open_session
from tests.functional.hosting import eventually
from tests.functional.image_parts import busybox_layer, docker_archive
from tests.functional.network_hosting import NetworkDaemon, network_daemon
from tests.unit.tar_parts import Archive

_STATS = 24
_EVENTS = 60
_LINES = 60
_LOOKS = 100

# Something of everything: questions, refusals, traffic that passes and that does not, limits, an end.
SCENE = """
[policies.asks]
base = "default"
ask_timeout = "300s"
[policies.asks.syscalls]
ask = ["mkdir"]
deny = ["rmdir"]

[tenants.acme]
max_instances = 10
cpus = 4
memory = "1G"
network = { egress = [{ to = "0.0.0.0/0", ports = [443], protocol = "tcp" }] }

[tenants.acme.instances.web]
command = ["/bin/sh", "-c", '''
busybox httpd -f -p 80 -h /usr/share/common-licenses &
i=0
while :; do
  i=$((i+1)); echo GET /item/$i 200
  [ $((i%7)) = 0 ] && echo warning: slow reply >&2
  rmdir /tmp/nothing 2>/dev/null
  sleep 0.2
done''']
policy = "asks"
replicas = 2
ports = ["8080:80"]
traffic = { upload = "10M", connections = 100 }
memory = "128M"
cpus = 0.5
healthcheck = { http = "http://:80/GPL-2", interval = "5s" }

[tenants.acme.instances.asker]
command = ["/bin/sh", "-c", '''
while :; do
  busybox wget -q -O /dev/null http://web/GPL-3
  for address in 1.1.1.1 10.1.2.3 $(sed -n "s/^nameserver //p" /etc/resolv.conf); do
    busybox nc -w 1 $address 80 </dev/null
  done 2>/dev/null
  sleep 0.1
done &
sleep 2; mkdir /tmp/some-place; sleep 1000''']
policy = "asks"
memory = "64M"
cpus = 0.5

[tenants.beta.instances.busy]
command = ["/bin/sh", "-c", "while :; do cat /etc/hostname >/dev/null; sleep 0.05; done"]
[tenants.beta.instances.oops]
command = ["/bin/sh", "-c", "echo cannot go on >&2; exit 3"]
"""

# One instance without a virtual machine, beside one that has one.
PROCESS_SCENE = """
[policies.refuses]
base = "default"
[policies.refuses.syscalls]
deny = ["rmdir"]

[tenants.lab]
isolation = "process"

[tenants.lab.instances.weaker]
engine = "process"
command = ["/bin/bash", "-c", "while :; do rmdir /tmp/nothing 2>/dev/null; sleep 0.2; done"]
policy = "refuses"
memory = "64M"
pids = 10
[tenants.lab.instances.machine]
command = ["/bin/bash", "-c", "while :; do cat /etc/hostname >/dev/null; sleep 0.2; done"]
"""

# An instance of an image, with files of every kind, beside one without an image.
IMAGES_TENANTS = "[tenants.acme]\n"
IMAGES_SCENE = """
[tenants.acme.instances.app]
image = "shop:2"
memory = "64M"
storage = "24M"
volumes = ["./in:/srv/in:ro", "orders:/var/lib/orders"]
[tenants.acme.instances.host]
command = ["sleep", "1000"]
read_only = true
"""
_WRITES = "dd if=/dev/zero of=/var/lib/orders/all bs=1M count=30; dd if=/dev/zero of=/new bs=1M count=23"

_ALL = ("/v1/instances", "/v1/images", "/v1/volumes")

# What it says of the machine that it was recorded on is nobody's business.
_INFO: dict[str, Any] = {
    "state_dir": "/var/lib/kwhost",
    "run_dir": "/run/kwhost",
    "configuration": None,
    "lacking": [],
}


def _streamed(client: Client, path: str, count: int | None, **query: Any) -> Iterator[dict[str, Any]]:
    for event in islice(client.events(path, query), count):
        yield {"name": event.name, "id": event.id, "data": event.data}


def _answer(client: Client, path: str) -> Any:
    """Connections come and go: of who has none it is asked more often than once."""
    answer = client.request("GET", path)
    for _ in range(_LOOKS if path.endswith("/connections") else 0):
        if answer["connections"]:
            break
        time.sleep(0.02)
        answer = client.request("GET", path)
    return answer


def record(client: Client) -> dict[str, Any]:
    """Answers by path, and streams of events; `time` is when."""
    streams = {"/v1/stats": list(_streamed(client, "/v1/stats", _STATS, follow=True))}
    answers = {
        path: client.request("GET", path, {"all": True} if path.endswith(_ALL) else None)
        for path in ("/v1/info", "/v1/tenants", "/v1/questions", *_ALL)
    }
    for volume in answers["/v1/volumes"]:
        path = f"/v1/volumes/{volume['name']}"
        answers[path] = client.request("GET", path, {"tenant": volume["tenant"]})
    for image in answers["/v1/images"]:
        reference = f"{image['name']}@{image['digest']}"
        path = f"/v1/images/{quote(reference, safe='')}"
        answers[path] = client.request("GET", path, {"tenant": image["tenant"]})
    streams["/v1/events"] = list(_streamed(client, "/v1/events", None))[-_EVENTS:]
    answers["/v1/audit"] = client.request("GET", "/v1/audit")
    answers["/v1/info"] |= _INFO
    for status in answers["/v1/instances"]:
        for operation in ("definition", "stats", "top", "memory", "connections", "policy", "storage"):
            path = instance_path(status["id"], operation)
            if operation not in ("top", "memory", "connections") or status["state"] == "running":
                answers[path] = _answer(client, path)
        path = instance_path(status["id"], "logs")
        streams[path] = list(_streamed(client, path, None, tail=_LINES))
    return {"time": time.time(), "answers": answers, "streams": streams}


def _lead_out() -> None:
    """A way to the rest of the world, which ends at once: what is refused is refused by rules."""
    with open_session() as session:
        session.link("add", ifname="out", kind="veth", peer="away")
        index, away = (session.link_lookup(ifname=name)[0] for name in ("out", "away"))
        for each in (index, away):
            session.link("set", index=each, state="up")
        session.addr("add", index=index, address="198.51.100.2", prefixlen=24)
        session.route("add", dst="default", gateway="198.51.100.1")


def wait_until_lively(daemon: NetworkDaemon) -> None:
    """Until all of SCENE has come to pass."""
    daemon.inside(_lead_out)
    eventually(lambda: daemon.client.request("GET", "/v1/questions"), "the question")
    eventually(lambda: len(list(daemon.client.events("/v1/instances/web-1/logs"))) > _LINES, "the log")
    eventually(lambda: daemon.instance("acme/web-1")["health"] == "healthy", "the check of health")


def _record_busy(daemon: NetworkDaemon) -> dict[str, Any]:
    wait_until_lively(daemon)
    for action in ("pause", "resume"):
        daemon.client.request("POST", instance_path("acme/web-1", action))
    return record(daemon.client)


def _record_process(daemon: NetworkDaemon) -> dict[str, Any]:
    for name in ("weaker", "machine"):
        daemon.wait_state(f"lab/{name}", "running")
    stats = instance_path("lab/weaker", "stats")
    eventually(lambda: daemon.client.request("GET", stats)["counted"]["calls"], "a call that is asked about")
    return record(daemon.client)


def _record_images(daemon: NetworkDaemon) -> dict[str, Any]:
    (daemon.directory / "in").mkdir()
    shell = busybox_layer("dd").directory("srv/in").directory("var/lib/orders").data
    layers = [shell, Archive().add("srv/shop", b"1" * 300_000).data, Archive().add("srv/prices", b"2").data]
    program: dict[str, Any] = {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["sleep 1000"]}
    program["ExposedPorts"] = {"80/tcp": {}}
    brought = (
        ("acme", docker_archive(layers, "shop:2", User="0", WorkingDir="/srv", **program)),
        ("acme", docker_archive(layers[:2], "shop:1", **program)),
        (None, docker_archive(layers[:1], "busybox:latest", Cmd=["sh"])),
    )
    for tenant, archive in brought:
        file = daemon.directory / "archive.tar"
        file.write_bytes(archive)
        daemon.run("image", "load", str(file), *(["--tenant", tenant] if tenant else []))
        file.unlink()
    for volume in ("orders", "archive"):
        daemon.client.request("POST", "/v1/volumes", {"tenant": "acme"}, {"name": volume, "size": 40 << 20})
    daemon.config.write_text(IMAGES_SCENE)
    daemon.run("reload")
    for name in ("acme/app", "acme/host"):
        daemon.wait_state(name, "running")
    daemon.run("exec", "app", "--", "sh", "-c", _WRITES)
    return record(daemon.client)


def main(name: str) -> None:
    """Record a scene."""
    scene, take = {
        "busy": (SCENE, _record_busy),
        "process": (PROCESS_SCENE, _record_process),
        "images": (IMAGES_TENANTS, _record_images),
    }[name]
    with network_daemon(scene) as daemon:
        text = json.dumps(take(daemon), separators=(",", ":"))
        sys.stdout.write(text.replace(str(daemon.directory), "/etc/kwhost"))


if __name__ == "__main__":
    main(sys.argv[1])
