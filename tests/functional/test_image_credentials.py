"""Credentials for registries, kept by a program of the user's choice."""

import json
import sys
from pathlib import Path

import pytest

from kwhost.core.errors import HostError
from kwhost.core.images.credential_helper import ask_helper
from kwhost.core.images.credentials import (
    Credentials,
    find_credentials,
    forget_credentials,
    keep_credentials,
)

SECRET = Credentials("alice", "secret: ü")
REGISTRY = "registry.example:5000"

# As those of Docker's are, with its memory in a file.
HELPER = f"""#!{sys.executable}
import json, pathlib, sys
memory = pathlib.Path(__file__).with_suffix(".json")
known = json.loads(memory.read_text()) if memory.exists() else {{}}
given = sys.stdin.read()
if sys.argv[1] == "store":
    fields = json.loads(given)
    known[fields["ServerURL"]] = fields
elif given not in known:
    print("credentials not found in native keychain")
    sys.exit(1)
elif sys.argv[1] == "get":
    print(json.dumps(known[given]))
elif sys.argv[1] == "erase":
    del known[given]
memory.write_text(json.dumps(known))
"""


class Home:
    """A user's, with helpers on the path."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.environment = {"HOME": str(directory)}
        self.file = directory / ".docker/config.json"
        self.file.parent.mkdir()
        self.bin = directory / "bin"
        self.bin.mkdir()
        monkeypatch.setenv("PATH", str(self.bin), prepend=":")

    def helper(self, name: str, program: str = HELPER) -> None:
        file = self.bin / f"docker-credential-{name}"
        file.write_text(program)
        file.chmod(0o755)

    def configure(self, **content: object) -> None:
        self.file.write_text(json.dumps(content))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(tmp_path, monkeypatch)


@pytest.mark.parametrize("content", [{"credsStore": "own"}, {"credHelpers": {REGISTRY: "own"}}])
def test_a_helper_keeps_finds_and_forgets(content: dict[str, object], home: Home) -> None:
    home.helper("own")
    home.configure(**content)
    assert find_credentials(REGISTRY, home.environment) is None

    assert keep_credentials(REGISTRY, SECRET, home.environment) == "docker-credential-own"
    assert find_credentials(REGISTRY, home.environment) == SECRET
    assert json.loads(home.file.read_text()) == content | {"auths": {REGISTRY: {}}}

    forgotten = forget_credentials(REGISTRY, home.environment)
    assert forgotten == ("docker-credential-own", str(home.file))
    assert find_credentials(REGISTRY, home.environment) is None
    assert forget_credentials(REGISTRY, home.environment) == ()


def test_a_registrys_own_helper_comes_before_the_usual_one(home: Home) -> None:
    for name in ("usual", "own"):
        home.helper(name)
    home.configure(credsStore="usual", credHelpers={REGISTRY: "own"})

    keep_credentials(REGISTRY, SECRET, home.environment)
    keep_credentials("other", SECRET, home.environment)

    assert ask_helper("own", "get", REGISTRY)
    assert ask_helper("usual", "get", REGISTRY) is None
    assert ask_helper("usual", "get", "other")


def test_what_a_helper_does_not_know_may_be_in_the_file(home: Home) -> None:
    home.helper("own")
    home.configure(credsStore="own", auths={REGISTRY: {"auth": SECRET.basic()}})

    assert find_credentials(REGISTRY, home.environment) == SECRET


def test_a_registry_may_be_called_by_its_address(home: Home) -> None:
    home.configure(
        auths={f"https://{REGISTRY}/v1/": {"auth": SECRET.basic()}, "https://o/": {"auth": "eA=="}}
    )

    assert find_credentials(REGISTRY, home.environment) == SECRET
    assert forget_credentials(REGISTRY, home.environment) == (str(home.file),)
    assert json.loads(home.file.read_text()) == {"auths": {"https://o/": {"auth": "eA=="}}}


@pytest.mark.parametrize("name", ["../bin/sh", "", "a b", "-x", "a" * 65, "ö"])
def test_a_helper_has_a_plain_name(name: str) -> None:
    with pytest.raises(HostError, match="is no name of a credential helper"):
        ask_helper(name, "get", REGISTRY)


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (None, "cannot be run: No such file"),
        ("#!/bin/sh\necho the vault is locked; exit 1\n", "failed: 'the vault is locked'"),
        ("#!/bin/sh\necho '{}'\n", "makes no sense"),
        ("#!/bin/sh\necho '['\n", "makes no sense"),
        ("#!/bin/sh\nexec yes\n", "says more than is taken"),
        ('#!/bin/sh\necho \'{"Username": "<token>", "Secret": "s3cret"}\'\n', "has a token for"),
    ],
)
def test_a_helper_that_fails_is_one_line(program: str | None, text: str, home: Home) -> None:
    home.configure(credsStore="own")
    if program:
        home.helper("own", program)

    with pytest.raises(HostError, match=text) as caught:
        find_credentials(REGISTRY, home.environment)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("last", ["exec sleep 1000", "exec >&-; exec sleep 1000"])
def test_a_helper_that_never_answers_is_ended(last: str, home: Home) -> None:
    home.helper("own", f"#!/bin/sh\n{last}\n")

    with pytest.raises(HostError, match=r"no answer in 0\.2 s"):
        ask_helper("own", "get", REGISTRY, seconds=0.2)
