"""Names of images."""

import pytest

from kwhost.core.errors import UsageError
from kwhost.core.images.names import ImageName, parse_name

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag"),
    [
        ("app", "", "app", "latest"),
        ("team/app:1", "", "team/app", "1"),
        ("localhost/app:1", "", "app", "1"),
        ("registry.example/app", "registry.example", "app", "latest"),
        ("127.0.0.1:5000/a/b/c:x_Y.z", "127.0.0.1:5000", "a/b/c", "x_Y.z"),
    ],
)
def test_a_name_is_taken_apart(text: str, registry: str, repository: str, tag: str) -> None:
    name = parse_name(text)

    assert name == ImageName(registry, repository, tag)
    assert parse_name(name.familiar) == name


def test_a_digest_stands_for_the_tag() -> None:
    name = parse_name(f"registry.example/app@{DIGEST}")

    assert (name.tag, name.digest) == ("", DIGEST)
    assert name.familiar == f"registry.example/app@{DIGEST}"


@pytest.mark.parametrize(
    "text", ["", "App", "a//b", "/a", "a:", "a:b:c", "../a", "a/../b", "a@sha256:0", "a\n", "a" * 400, "-a:1"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_name(text)
