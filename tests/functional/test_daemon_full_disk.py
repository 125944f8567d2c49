"""The disk of the state directory is full: what runs goes on, what is new is refused, no end is lost."""

from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path

import pytest

from kwhost.core.errors import KwhostError
from tests.functional.daemon_requests import act, create, kinds_of
from tests.functional.hosting import Daemon, eventually

pytestmark = [pytest.mark.kvm, pytest.mark.root]

WAIT_FOR_FLAG = "while [ -e /flags/wait ]; do sleep 0.02; done; exit 42"
MOUNT = 'mkdir -p "$0" && mount -t tmpfs -o size=4m none "$0" && exec "$@"'


class SmallDaemon(Daemon):
    """Its state directory is a small disk of its own, which nobody else sees."""

    def command(self, *arguments: str) -> list[str]:
        command = super().command(*arguments)
        if arguments[0] != "up":
            return command
        return ["unshare", "--mount", "sh", "-c", MOUNT, str(self.state_dir), *command]

    @property
    def disk(self) -> Path:
        assert self.process
        return Path(f"/proc/{self.process.pid}/root{self.state_dir}")

    def fill(self) -> None:
        with (self.disk / "ballast").open("wb", buffering=0) as file:
            for size in (4096, 1):
                with pytest.raises(OSError, match="No space left"):
                    write_for_ever(file, b"x" * size)

    def free(self) -> None:
        (self.disk / "ballast").unlink()


def write_for_ever(file: RawIOBase, data: bytes) -> None:
    while True:
        file.write(data)


@pytest.fixture
def daemon() -> Iterator[SmallDaemon]:
    made = SmallDaemon()
    yield made
    if made.process:
        made.run("down")
    made.close()


def test_on_a_full_disk_instances_go_on_and_their_ends_are_known(daemon: SmallDaemon) -> None:
    flags = daemon.directory / "flags"
    flags.mkdir()
    (flags / "wait").touch()
    daemon.start()
    volumes = [{"source": str(flags), "target": "/flags", "read_only": True}]
    create(daemon, "job", "sh", "-c", WAIT_FOR_FLAG, volumes=volumes)
    create(daemon, "service", "sh", "-c", WAIT_FOR_FLAG, volumes=volumes, restart="on-failure")
    create(daemon, "steady", "sh", "-c", "while :; do echo tick; sleep 0.01; done")
    daemon.fill()

    with pytest.raises(KwhostError, match=r"disk is full|free some space") as refused:
        create(daemon, "new", "true")
    assert "\n" not in str(refused.value)
    (flags / "wait").unlink()
    job = act(daemon, "wait", "job")
    assert (job["state"], job["exit_code"]) == ("exited", 42)
    daemon.wait_state("service", "exited", "crash-loop")
    assert daemon.instance("steady")["state"] == "running"
    eventually(lambda: "kept in memory" in daemon.said, "the report")

    (flags / "wait").touch()
    daemon.free()
    assert daemon.wait_state("service", "running")["restarts"] >= 1
    create(daemon, "new", "true")
    assert kinds_of(daemon, "job") == ["created", "starting", "started", "exited"]
    assert "nothing is missing" in daemon.said
