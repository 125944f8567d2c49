"""`kwhost policy`: check, show, explain."""

import json
from pathlib import Path

import pytest

from kwhost.core.cli.policy import main
from kwhost.core.config.problems import ConfigErrors
from kwhost.core.errors import NotFound, UsageError


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_a_right_file_is_said_to_be_right(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "web.toml"
    file.write_text(
        "syscalls = { allow = ['read', 'write'] }\nfiles = [{ path = '/srv/**', access = 'r' }]\n"
    )

    text = printed(capsys, "check", str(file))

    assert text == (
        f"{file}: no mistakes; with its bases 2 rules on calls, 1 on files, 0 on the network, 0 limits\n"
    )


def test_all_mistakes_of_a_file_are_told(tmp_path: Path) -> None:
    file = tmp_path / "web.toml"
    file.write_text("default = 'x'\nsyscalls = { allow = ['y'] }\n")

    with pytest.raises(ConfigErrors) as caught:
        main(["check", str(file)])

    assert len(caught.value.lines) == 2
    assert all(line.startswith(f"{file}:") for line in caught.value.lines)


def test_rules_are_shown_with_the_policy_that_each_comes_from(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("base = 'default'\nfiles = [{ path = '/**', access = 'r' }]\n")

    rules = json.loads(printed(capsys, "show", str(file), "--json"))

    shown = [rule for rule in rules if rule["rule"].endswith(" /**")]
    assert shown == [{"rule": "r /**", "policy": "mine", "where": f"{file}:2: files[0]"}]
    assert {rule["policy"] for rule in rules} == {"mine", "default"}
    assert rules[-1]["rule"] == "default errno:ENOSYS"


def test_a_decision_is_explained_with_its_rule_and_what_it_overrides(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, "explain", "strict", "openat", "AT_FDCWD", "/etc/../etc/passwd", "O_RDWR")

    assert text.splitlines() == [
        "openat(0xffffffffffffff9c, 0, 2) of /etc/passwd: errno:EACCES",
        "  by the rule: rx /**",
        "  of the layer strict, from strict (strict.toml:10: files[0])",
        "  layer strict:",
        "    openat: allow, by a rule on a set: allow @file-system",
        "      from default (default.toml:14: syscalls.allow[3])",
        "    rw /etc/passwd: errno:EACCES, by the path's rule: rx /**",
        "      from strict (strict.toml:10: files[0])",
        "      not: rwx /**, from default (default.toml:10: files[0]): overridden by strict",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("default socket AF_PACKET SOCK_RAW", "socket(17, 3): errno:EAFNOSUPPORT"),
        ("web connect 3 169.254.169.254:80", "connect(3, 0) of 169.254.169.254 port 80: errno:EPERM"),
        ("web connect 3 [2001:db8::1]:443", "connect(3, 0) of 2001:db8::1 port 443: allow"),
        ("web bind 3 :8080", "bind(3, 0) of 0.0.0.0 port 8080: allow"),
        ("web execve /tmp/x", "execve(0) of /tmp/x: errno:EACCES"),
        ("web openat AT_FDCWD /usr/x O_WRONLY|O_CREAT", "of /usr/x: errno:EACCES"),
        ("web openat AT_FDCWD /usr/x O_PATH", "of /usr/x: allow"),
        ("web rename /tmp/a /usr/a", "rename(0, 0) of /tmp/a, /usr/a: errno:EACCES"),
        ("strict nfsservctl", "nfsservctl(): errno:EPERM"),
    ],
)
def test_calls_are_written_as_people_write_them(
    capsys: pytest.CaptureFixture[str], arguments: str, expected: str
) -> None:
    assert expected in printed(capsys, "explain", *arguments.split()).splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "error", "expected"),
    [
        (
            "show nope --host /no",
            NotFound,
            "nope is none of the policies default, strict, web, and no daemon",
        ),
        ("show nope.toml", NotFound, "there is no file nope.toml"),
        ("show web read", UsageError, "kwhost policy show takes one name"),
        ("explain web", UsageError, "write kwhost policy explain NAME SYSCALL"),
        ("explain web raed", UsageError, "there is no system call 'raed'; did you mean read?"),
        ("explain web @file-system", UsageError, "is a set: write one call of it"),
        ("explain web read fd", UsageError, "there is no constant 'fd'"),
        ("explain web read 1 2 3 4 5 6 7", UsageError, "7 arguments are more than a call has"),
        ("explain web connect 3 1.2.3:4", UsageError, "is no address"),
        ("explain web connect 3 1.2.3.4:99999", UsageError, "there is no port 99999"),
        ("explain web read 99999999999999999999", UsageError, "does not fit"),
        ("check web --json", UsageError, "only show, questions and answers have --json"),
        ("lern web", UsageError, "invalid choice"),
        ("answer 7", UsageError, "write kwhost policy answer QUESTION allow, or refuse"),
        ("answer 7 perhaps", UsageError, "write kwhost policy answer QUESTION allow, or refuse"),
        ("questions 7", UsageError, "kwhost policy questions takes no names"),
        ("learn web", UsageError, "write -- before the program"),
        ("set", UsageError, "INSTANCE"),
        ("set web mkdir", UsageError, "write kwhost policy set INSTANCE SYSCALL allow, deny or as-before"),
        ("set web mkdir perhaps", UsageError, "invalid choice"),
        ("forget", UsageError, "write kwhost policy forget ANSWER"),
        ("forget 7 --json", UsageError, "kwhost policy forget has no --json"),
        ("questions --scope forever", UsageError, "--scope is for kwhost policy answer"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: str, error: type[Exception], expected: str) -> None:
    with pytest.raises(error) as caught:
        main(arguments.split())

    assert expected in str(caught.value)
