"""Which files a monitor that was taken over can still open and change, whatever the policy's table says.

The probe (kwhost/monitor/tests/jail_probe.c) sets the rules as the jail does, and tries.
"""

import errno
import os
import socket
import subprocess
from pathlib import Path

import pytest

from kwhost.core.engines.launch import sealed_record
from kwhost.core.hostcheck.kernel import landlock_version
from kwhost.core.policy.ceiling_table import compile_ceiling
from kwhost.core.policy.model import Layer
from tests.functional.ceilings import profile
from tests.unit.policy_parts import policy_from

pytestmark = pytest.mark.root

OWN = dict.fromkeys(("rules", "own-procfs", "own-stand-in", "own-stream"), 0)


def outcomes(lines: str) -> dict[str, int]:
    """Error numbers by what was tried."""
    found = {name: int(error) for name, error in (line.rsplit(" ", 1) for line in lines.splitlines())}
    if found.pop("version") in (errno.ENOSYS, errno.EOPNOTSUPP):
        pytest.skip("this kernel has no Landlock")
    return found


def opened(probe: Path, layers: list[Layer], *what: str) -> dict[str, int]:
    """What became of `rPATH` (read), `wPATH` (write), `cPATH` (create) and `uPATH` (remove)."""
    file = sealed_record(compile_ceiling(layers))
    try:
        done = subprocess.run(
            [probe, "open", str(file), *what],
            stdin=subprocess.PIPE,
            capture_output=True,
            text=True,
            check=True,
            pass_fds=[file],
        )
    finally:
        os.close(file)
    found = outcomes(done.stdout)
    assert {name: found.pop(name) for name in OWN} == OWN, "the monitor's own needs are met"
    return found


def layers_of(files: str) -> list[Layer]:
    """A layer that grants nothing but these."""
    return [Layer("one", policy_from(f"ceiling = 'policy'\nfiles = [{files}]"))]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Below /var, with files and a link that leads out of it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
    (tmp_path / "link").symlink_to("two")
    return tmp_path


def test_strict_lets_files_be_read_and_none_be_written(probe: Path, place: Path) -> None:
    found = opened(
        probe, profile("strict"), f"r{place}/one/file", f"r{place}", f"w{place}/one/file", f"c{place}/new",
        f"u{place}/one/file", "w/dev/null", "w/dev/full",
    )  # fmt: skip

    assert found == {
        f"r{place}/one/file": 0,
        f"r{place}": 0,
        f"w{place}/one/file": errno.EACCES,
        f"c{place}/new": errno.EACCES,
        f"u{place}/one/file": errno.EACCES,
        "w/dev/null": 0,
        "w/dev/full": errno.EACCES,
    }


def test_web_that_is_its_own_ceiling_is_written_where_data_belongs(probe: Path) -> None:
    strictly = policy_from("base = 'web'\nceiling = 'policy'")

    found = opened(probe, [Layer("one", strictly)], "w/etc/passwd", "c/usr/kwhost-new", "r/etc/passwd")

    assert found == {"w/etc/passwd": errno.EACCES, "c/usr/kwhost-new": errno.EACCES, "r/etc/passwd": 0}


def test_nothing_else_than_what_is_granted_is_opened(probe: Path, place: Path) -> None:
    files = f"{{ path = '{place}/one/**', access = 'r' }}"

    found = opened(probe, layers_of(files), f"r{place}/one/file", f"r{place}/two/file", "r/etc/passwd")

    assert found == {
        f"r{place}/one/file": 0,
        f"r{place}/two/file": errno.EACCES,
        "r/etc/passwd": errno.EACCES,
    }


def test_layers_have_in_common_what_holds(probe: Path, place: Path) -> None:
    one = layers_of(f"{{ path = '{place}/**', access = 'rw' }}")
    other = layers_of(f"{{ path = '{place}/one/**', access = 'rw' }}, {{ path = '/etc/**', access = 'r' }}")

    found = opened(
        probe, [*one, *other], f"w{place}/one/file", f"w{place}/two/file", "r/etc/passwd", f"c{place}/one/new"
    )

    assert found == {
        f"w{place}/one/file": 0,
        f"w{place}/two/file": errno.EACCES,
        "r/etc/passwd": errno.EACCES,
        f"c{place}/one/new": 0,
    }


def test_a_link_in_a_granted_path_is_not_followed(probe: Path, place: Path) -> None:
    (place / "one/away").symlink_to("/etc")
    files = f"{{ path = '{place}/one/away/**', access = 'r' }}"

    found = opened(probe, layers_of(files), "r/etc/passwd", f"r{place}/one/file", f"r{place}/two/file")

    assert found == {
        "r/etc/passwd": errno.EACCES,
        f"r{place}/one/file": 0,  # the nearest directory that is none
        f"r{place}/two/file": errno.EACCES,
    }


def test_what_is_missing_can_be_made_later(probe: Path, place: Path) -> None:
    files = f"{{ path = '{place}/one/later/deep/**', access = 'rw' }}"

    found = opened(probe, layers_of(files), f"c{place}/one/new", f"c{place}/two/new")

    assert found == {f"c{place}/one/new": 0, f"c{place}/two/new": errno.EACCES}


def test_a_file_that_may_be_written_can_be_made_anew(probe: Path, place: Path) -> None:
    files = f"{{ path = '{place}/one/file', access = 'rw' }}"

    found = opened(probe, layers_of(files), f"u{place}/one/file", f"c{place}/one/file", f"w{place}/two/file")

    assert found == {f"u{place}/one/file": 0, f"c{place}/one/file": 0, f"w{place}/two/file": errno.EACCES}


def test_a_file_that_may_be_read_is_granted_alone(probe: Path, place: Path) -> None:
    (place / "one/other").write_text("")
    files = f"{{ path = '{place}/one/file', access = 'r' }}"

    found = opened(probe, layers_of(files), f"r{place}/one/file", f"r{place}/one/other", f"r{place}/one")

    assert found == {
        f"r{place}/one/file": 0,
        f"r{place}/one/other": errno.EACCES,
        f"r{place}/one": errno.EACCES,
    }


def test_files_can_be_changed_in_the_instance_alone(probe: Path) -> None:
    done = subprocess.run([probe, "files"], capture_output=True, text=True, check=True)
    outcome = outcomes(done.stdout)

    beneath_the_root = ("make-directory", "rename", "remove-directory")
    elsewhere = ("other", "write-proc", "write-memory", "execute")
    allowed = dict.fromkeys(("rules", "stand-in", "read-proc", *beneath_the_root), 0)
    assert outcome == allowed | dict.fromkeys(elsewhere, errno.EACCES)


def test_where_the_broker_judges_addresses_programs_use_no_tcp_address_themselves(probe: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = subprocess.run([probe, "tcp", port], capture_output=True, text=True, check=True)

    refused = errno.EACCES if landlock_version()[0] >= 4 else 0
    assert outcomes(done.stdout) == {"rules": 0, "bind": refused, "connect": refused, "datagram": 0}
