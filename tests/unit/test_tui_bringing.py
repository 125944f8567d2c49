"""What is typed to bring an image or to make a volume."""

import shlex
from pathlib import Path

import pytest

from kwhost.core.errors import UsageError
from kwhost.core.model.image import ListedImage
from kwhost.tui.bringing import read_bringing, read_volume
from kwhost.tui.screens.images import unused


@pytest.mark.parametrize(
    ("verb", "text", "words"),
    [
        ("load", "a.tar", "image load a.tar"),
        ("load", "--name app:1 'a b' --tenant=acme", "image load --name app:1 --tenant acme 'a b'"),
        ("import", "a.tar base:12", "image import a.tar base:12"),
        ("pull", "r.example/app --plain-http", "image pull --plain-http r.example/app"),
    ],
)
def test_it_becomes_the_words_of_a_command(
    verb: str, text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.tar", "a b"):
        (tmp_path / name).touch()

    assert shlex.join(read_bringing(verb, text)) == words


@pytest.mark.parametrize(
    ("verb", "text", "told"),
    [
        ("load", "", "write a directory or an archive"),
        ("load", "nothing.tar", "there is no nothing.tar here"),
        ("load", "-", "- is no option"),
        ("load", "/ --name A", "no name of an image"),
        ("load", "/ --name", "--name needs a value"),
        ("load", "/ --tenant A/b", "tenant"),
        ("import", "/", "write DIR|FILE NAME"),
        ("pull", "debian:12", "names no registry"),
        ("pull", "r.example/app --creds a:b", "kwhost image login"),
        ("pull", "'", "No closing quotation"),
    ],
)
def test_what_is_wrong_is_said(verb: str, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_bringing(verb, text)


def test_a_volume_is_of_the_tenant_that_one_looks_at_unless_it_is_said() -> None:
    assert read_volume("data", "acme")[:3] == ("acme", "data", None)
    told = read_volume("data --size 10M --tenant beta", "acme")
    assert told[:3] == ("beta", "data", 10 << 20)
    assert told.command == "kwhost volume create --tenant beta --size 10M data"


@pytest.mark.parametrize("text", ["", "a b", "a/b", "data --size much", "data --sizes 1G"])
def test_a_volume_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_volume(text, "acme")


def image(name: str, tenant: str | None, digest: str, instances: int = 0) -> ListedImage:
    return ListedImage(
        name=name, digest=digest, tenant=tenant, size=1, layer_count=1, added=0.0, instance_count=instances
    )


def test_unused_is_what_no_instance_has_or_is_to_have() -> None:
    images = (
        image("a:1", "acme", "1"),
        image("b:1", "acme", "2", instances=1),
        image("c:1", "acme", "2"),
        image("d:latest", "acme", "3"),
        image("a:1", None, "4"),
    )

    assert [each.name for each in unused(images, "acme", ["host", "d"])] == ["a:1"]
    assert [each.digest for each in unused(images, None, [])] == ["4"]
    assert unused(images, None, ["a:1"]) == []
