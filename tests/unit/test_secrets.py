"""Secrets: what is written about them, what their files become, and where those of requests are kept."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.secrets import encode_secrets
from kwhost.core.api.types import NewInstance
from kwhost.core.config.secret_files import read_secrets
from kwhost.core.errors import HostError, UsageError
from kwhost.core.model import secrets as model
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.secrets import SECRETS_MAX, SECRETS_SIZE_MAX, Secret, check_secrets, parse_secret
from kwhost.core.supervise import secrets as supervise_secrets
from kwhost.core.supervise.secrets import SecretStore

ONE, TWO = InstanceId("0123456789ab"), InstanceId("ba9876543210")


def test_a_secret_is_a_name_and_a_file() -> None:
    assert parse_secret("key=./a=b") == Secret(name="key", file="./a=b")


@pytest.mark.parametrize(
    "text", ["key", "key=", "=file", ".key=f", "a/b=f", "a b=f", "..=f", "x" * 65 + "=f"]
)
def test_what_is_no_secret_is_an_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_secret(text)


@given(st.text())
def test_no_name_leads_out_of_the_directory(text: str) -> None:
    try:
        name = parse_secret(f"{text}=file").name
    except UsageError:
        return
    assert os.path.basename(name) == name not in ("", ".", "..")
    assert len(os.fsencode(name)) < lib.KW_SECRET_NAME_MAX


def test_the_bounds_are_the_monitors() -> None:
    assert (SECRETS_MAX, SECRETS_SIZE_MAX) == (lib.KW_SECRETS_MAX, lib.KW_SECRETS_SIZE_MAX)


def test_there_is_a_bound_for_their_number_and_their_size_together() -> None:
    check_secrets({"one": SECRETS_SIZE_MAX - 1, "two": 1})
    with pytest.raises(UsageError, match="with two the secrets have more than 512 KiB"):
        check_secrets({"one": SECRETS_SIZE_MAX, "two": 1})
    with pytest.raises(UsageError, match="may have 64 secrets, not 65"):
        check_secrets({f"s{number}": 0 for number in range(65)})


@given(
    st.dictionaries(st.from_regex(model._NAME, fullmatch=True), st.binary(max_size=99), max_size=SECRETS_MAX)
)
def test_all_of_them_are_handed_on(contents: dict[str, bytes]) -> None:
    data = encode_secrets(contents)

    head = ffi.cast("struct kw_secrets *", ffi.from_buffer(data))
    assert (head.magic, head.count) == (lib.KW_SECRETS_MAGIC, len(contents))
    entries = [(ffi.string(entry.name).decode(), entry.size) for entry in head.entries[0 : head.count]]
    assert entries == [(name, len(content)) for name, content in contents.items()]
    assert data[ffi.sizeof("struct kw_secrets") :] == b"".join(contents.values())


def read(tmp_path: Path, *names: str, pipes: bool = False) -> dict[str, bytes]:
    secrets = [Secret(name=name, file=str(tmp_path / name)) for name in names]
    return read_secrets(secrets, pipes=pipes)


def test_files_are_read_as_they_are_now(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0first\n")
    (tmp_path / "b").symlink_to("a")
    assert read(tmp_path, "a", "b") == {"a": b"\0first\n", "b": b"\0first\n"}

    (tmp_path / "a").write_bytes(b"")
    assert read(tmp_path, "a") == {"a": b""}


def test_what_is_no_readable_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(SECRETS_SIZE_MAX + 1))
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("none", "cannot read the secret none: No such file or directory"),  # nor where it was looked for
        ("", "Is a directory"),
        ("large", "it has more than 512 KiB"),
        ("pipe", "it is no file"),
        ("/dev/zero", "it is no file"),
    ):
        with pytest.raises(UsageError, match=message):
            read(tmp_path, name)
    (tmp_path / "twice").touch()
    with pytest.raises(UsageError, match="there are two secrets twice"):
        read(tmp_path, "twice", "twice")


def test_a_command_may_pass_on_a_pipe(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    (tmp_path / "pipe").symlink_to(f"/proc/self/fd/{reading}")

    assert read(tmp_path, "pipe", pipes=True) == {"pipe": b"piped"}
    os.close(reading)


def asked(**fields: object) -> NewInstance:
    names = {"tenant": TenantName("t"), "name": InstanceName("web"), "command": ("true",)}
    return NewInstance(**names | fields)  # type: ignore[arg-type]


def test_a_request_names_no_files() -> None:
    with pytest.raises(UsageError, match="a configuration alone may name their files"):
        asked(secrets=(Secret(name="key", file="/etc/shadow"),)).definition()


def test_of_a_requests_secrets_only_names_are_recorded() -> None:
    request = asked(secret_contents={"key": b"sesame"})

    assert request.definition().secrets == (Secret(name="key"),)
    assert "sesame" not in repr(request)
    with pytest.raises(UsageError, match="no name for a secret"):
        asked(secret_contents={"../key": b""}).definition()


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.fixture(params=["run_dir", "elsewhere"])
def store(
    request: pytest.FixtureRequest, memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SecretStore:
    """Of a run directory in memory, and of one that is not."""
    monkeypatch.setattr(supervise_secrets, "_SHARED_MEMORY", memory)
    if request.param == "elsewhere":
        monkeypatch.setattr(supervise_secrets, "_is_in_memory", lambda path: path.is_relative_to(memory))
    return SecretStore(memory if request.param == "run_dir" else tmp_path)


def kept(store: SecretStore, instance: InstanceId) -> bytes:
    fd = store.open(instance, (Secret(name="key"),))
    with open(fd, "rb") as file:
        assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o600
        return file.read()


def test_a_requests_secrets_are_kept_until_they_are_removed(store: SecretStore, memory: Path) -> None:
    store.keep(ONE, {"key": b"sesame"})
    store.keep(TWO, {"key": b"other"})
    assert kept(store, ONE) == encode_secrets({"key": b"sesame"})

    store.remove(ONE)
    store.remove(ONE)
    with pytest.raises(HostError, match="its secrets are gone"):
        kept(store, ONE)
    assert kept(store, TWO) == encode_secrets({"key": b"other"})
    store.remove_others([ONE])
    assert list(memory.iterdir()) == []


def test_nobody_else_may_look_into_their_directory(store: SecretStore, memory: Path) -> None:
    store.keep(ONE, {"key": b"sesame"})

    (directory,) = memory.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    directory.chmod(0o755)
    with pytest.raises(HostError, match="is not this user's alone: remove it"):
        store.keep(TWO, {"key": b"sesame"})


def test_a_link_that_somebody_made_is_not_followed(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise_secrets, "_SHARED_MEMORY", memory)
    store = SecretStore(tmp_path / "run")
    store.keep(ONE, {})
    (place,) = memory.iterdir()
    store.remove(ONE)
    (tmp_path / "theirs").mkdir(mode=0o700)
    (tmp_path / "theirs" / "file").touch()
    place.symlink_to(tmp_path / "theirs")

    with pytest.raises(HostError, match="cannot keep the secrets"):
        store.keep(ONE, {"key": b"sesame"})
    store.remove_others([])
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["file"]


def test_nothing_is_kept_on_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise_secrets, "_is_in_memory", lambda _: False)

    with pytest.raises(HostError, match="is in memory, and secrets are kept nowhere else"):
        SecretStore(tmp_path).keep(ONE, {"key": b"sesame"})
    assert list(tmp_path.iterdir()) == []


def test_an_operators_files_are_read_at_each_start(store: SecretStore, tmp_path: Path) -> None:
    secrets = (Secret(name="key", file=str(tmp_path / "key")),)
    for content in (b"first", b"second"):
        (tmp_path / "key").write_bytes(content)
        with open(store.open(ONE, secrets), "rb") as file:
            assert file.read().endswith(content)
