"""The command line: what is understood, refused, and said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.cli.main import main
from kwhost.core.cli.run import parse_run
from kwhost.core.errors import KwhostError, UsageError
from kwhost.core.model.instance import Engine, Isolation
from kwhost.core.model.units import parse_duration
from kwhost.core.model.volume import Volume, parse_volume


def test_options_become_the_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKEN", "over")
    monkeypatch.delenv("ABSENT", raising=False)

    spec, options = parse_run(
        "-it --rm --init --read-only --stats --name box -w /srv -u www:web -e A=1=2 -e TAKEN -e ABSENT "
        "-v ./x:/y//z/../w:ro --timeout 1.5m --engine direct --isolation vm -- ls -l --name z".split()
    )

    assert spec.argv == ("ls", "-l", "--name", "z")
    assert spec.environment == {"A": "1=2", "TAKEN": "over"}
    assert spec.volumes == (Volume(source="./x", target="/y/w", read_only=True),)
    assert (spec.name, spec.workdir, spec.user, spec.timeout) == ("box", "/srv", "www:web", 90.0)
    assert spec.interactive
    assert spec.terminal
    assert spec.init
    assert spec.read_only
    assert (spec.engine, spec.isolation) == (Engine.DIRECT, Isolation.VM)
    assert options.stats


def test_the_commands_own_options_are_left_alone() -> None:
    for arguments in (["sh", "-c", "x", "--", "-i"], ["--", "sh", "-c", "x", "--", "-i"]):
        assert parse_run(arguments)[0].argv == ("sh", "-c", "x", "--", "-i")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "/nowhere/s", "run", "true"],
        ["--host=/nowhere/s", "ps"],
        ["run", "--host", "/nowhere/s", "true"],
        ["ps", "--host", "/nowhere/s"],
    ],
)
def test_a_daemon_that_was_asked_for_is_not_passed_over(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KWHOST_HOST", "/elsewhere")

    assert main(arguments) == 125

    assert "no daemon runs on /nowhere/s" in capsys.readouterr().err


def test_what_only_a_daemon_can_do_is_refused_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--cpus", "1", "true"]) == 125
    assert main(["run", "--tenant", "acme", "true"]) == 125

    errors = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in errors] == ["--cpus", "--tenant"]
    assert all("kwhost up" in line for line in errors)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--"],
        ["--", ""],
        ["--nam", "x", "true"],
        ["--engine", "magic", "true"],
        ["--timeout", "soon", "true"],
        ["--timeout", "0", "true"],
        ["--name", "-x", "true"],
        ["-e", "=v", "true"],
        ["-v", "/a", "true"],
        ["-v", "/a:b", "true"],
        ["-v", "/a:/", "true"],
        ["--image", "host", "--rootfs", "/x", "true"],
        ["--memory", "lots", "true"],
        ["--memory", "0", "true"],
        ["--cpus", "many", "true"],
        ["--cpus", "nan", "true"],
        ["--cpus", "-1", "true"],
        ["--pids", "1.5", "true"],
        ["--pids", str(2**62), "true"],
        ["--tenant", "No", "true"],
        ["-p", "80", "true"],
        ["-p", "1.2.3.400:80:80", "true"],
        ["--publish", "70000:80", "true"],
        ["-p", "80:80/icmp", "true"],
        ["-d", "--stats", "true"],
    ],
)
def test_mistakes_are_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_run(arguments)


def test_a_volume_without_a_slash_is_a_name() -> None:
    assert parse_volume("data:/data").is_named
    assert not parse_volume("./data:/data").is_named
    assert not parse_volume(".:/data").is_named
    with pytest.raises(UsageError, match=r"\./DIRECTORY"):
        parse_volume("-data:/data")


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("2", 2), ("250ms", 0.25), ("1.5m", 90), ("1d", 86400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@given(st.lists(st.text(max_size=8), max_size=6))
def test_no_arguments_crash_the_parser(arguments: list[str]) -> None:
    try:
        spec, _ = parse_run(arguments)
    except (KwhostError, SystemExit):
        return
    assert spec.argv


def test_a_misspelt_command_is_answered_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rnu"]) == 125
    assert capsys.readouterr().err == "kwhost: there is no command 'rnu'; did you mean 'run'?\n"


def test_what_others_call_otherwise_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images"]) == 125
    assert capsys.readouterr().err == "kwhost: there is no command 'images'; did you mean 'image ls'?\n"


def test_help_and_version_are_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == main(["--help"]) == main(["--version"]) == 0
    output = capsys.readouterr()
    assert "kwhost run" in output.out
    assert output.err == ""


def test_an_error_is_one_line_and_a_traceback_only_with_debug(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kwhost.core.cli.diagnostics._shown", {"traceback": False})
    assert main(["run", "--rootfs", "/nonexistent", "--", "true"]) == 125
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["--debug", "run", "--rootfs", "/nonexistent", "--", "true"]) == 125
    assert "Traceback" in capsys.readouterr().err
