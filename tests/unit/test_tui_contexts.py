"""Which hosts the terminal interface knows."""

from pathlib import Path

import pytest

from kwhost.core.errors import ConfigError, UsageError
from kwhost.tui.contexts import hosts_file, load_hosts, read_hosts


def test_the_file_names_sockets(tmp_path: Path) -> None:
    path = hosts_file({"XDG_CONFIG_HOME": str(tmp_path)})
    path.parent.mkdir()
    path.write_text('[hosts]\nbuild = "/run/build/api.sock"\n"far.away" = "/run/far.sock"\n')

    expected = {"build": Path("/run/build/api.sock"), "far.away": Path("/run/far.sock")}
    assert load_hosts(path) == expected


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert load_hosts(tmp_path / "none") == {}


@pytest.mark.parametrize(
    "text",
    [
        "hosts = 1",
        "[host]",
        '[hosts]\n"a b" = "/x"',
        '[hosts]\n"\\u001b]0;x" = "/x"',
        "[hosts]\na = 1",
        '[hosts]\na = "x.sock"',
        "nonsense",
    ],
)
def test_what_is_no_list_of_hosts_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tui-hosts.toml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=r"tui-hosts\.toml"):
        load_hosts(path)


def test_options_name_sockets_or_not() -> None:
    given = ["/run/a.sock", "build=/run/b.sock"]

    assert read_hosts(given) == {"/run/a.sock": Path("/run/a.sock"), "build": Path("/run/b.sock")}


@pytest.mark.parametrize("given", [[""], ["a="], ["a=/x", "a=/y"], ["/x", "/x"]])
def test_options_that_name_none_or_one_twice_are_refused(given: list[str]) -> None:
    with pytest.raises(UsageError):
        read_hosts(given)
