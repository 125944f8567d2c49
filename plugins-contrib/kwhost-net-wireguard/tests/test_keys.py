"""Keys are read only from files that nobody else may read, and generated once."""

import stat
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from kwhost.core.errors import HostError
from kwhost.core.model.ids import TenantName

from kwhost_net_wireguard import command
from kwhost_net_wireguard.keys import Key, key_file, own_key, parse_key, public_key, read_key

ACME = TenantName("acme")
# The base point's multiple by 9 clamped is known from RFC 7748, 5.2: X25519(k, 9) for k = 9 as bytes.
NINE = b64encode(bytes([9]) + bytes(31)).decode()
MULTIPLE = b64encode(
    bytes.fromhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.key"
    path.write_text(f"{NINE}\n")
    path.chmod(0o600)
    return path


def test_a_public_key_belongs_to_a_private_one() -> None:
    assert public_key(Key(NINE)) == MULTIPLE


def test_a_private_key_is_read_as_the_kernel_keeps_it(file: Path) -> None:
    octets = b64decode(read_key(file))

    assert octets[0] & 7 == 0
    assert octets[31] & 0xC0 == 0x40
    assert public_key(read_key(file)) == MULTIPLE


def test_a_preshared_key_is_read_as_it_is(file: Path) -> None:
    assert read_key(file, private=False) == NINE


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_key_that_others_may_read_or_change_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)

    with pytest.raises(HostError, match="others may read or change the key"):
        read_key(file)


@pytest.mark.parametrize("content", ["", "secret", NINE[:-1], NINE + "A", "é" * 44, NINE[:-2] + "B="])
def test_what_is_no_key_is_an_error_that_does_not_tell_it(file: Path, content: str) -> None:
    file.write_text(content)

    with pytest.raises(HostError, match=r"own\.key is no key of WireGuard") as caught:
        read_key(file)

    assert not content or content not in str(caught.value)


def test_a_key_that_is_not_there_or_no_file_is_an_error(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path, "no ordinary file")):
        with pytest.raises(HostError, match=words):
            read_key(path)


def test_a_generated_key_stays_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = own_key(tmp_path, ACME)

    assert own_key(tmp_path, ACME) == first
    assert own_key(tmp_path, TenantName("globex")) != first
    path = key_file(tmp_path, ACME)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["acme.key", "globex.key"]


def test_a_key_that_somebody_else_generated_meanwhile_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = own_key(tmp_path, ACME)
    monkeypatch.setattr(Path, "exists", lambda _: False)

    assert own_key(tmp_path, ACME) == first


def test_the_command_prints_the_public_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["acme", "--state-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{public_key(own_key(tmp_path, ACME))}\n"


def test_the_command_prints_that_of_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["acme", "--private-key-file", str(file)]) == 0
    assert capsys.readouterr().out == f"{MULTIPLE}\n"


def test_the_command_makes_no_state_directory(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="there is no state directory"):
        command.main(["acme", "--state-dir", str(tmp_path / "none")])


@pytest.mark.parametrize("text", [NINE, MULTIPLE])
def test_a_key_is_44_characters_of_base64(text: str) -> None:
    assert parse_key(text, "it") == text
    with pytest.raises(ValueError, match="it is no key"):
        parse_key(f" {text}", "it")
