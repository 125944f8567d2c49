"""Every class of mistake in a configuration is one line with its place, and all are told at once."""

from pathlib import Path

import pytest

from kwhost.core.config.load import load_configuration
from kwhost.core.config.problems import ConfigErrors
from kwhost.core.errors import ConfigError
from tests.unit.config_files import INSTANCE, mistakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[hots]", "1: hots: unknown key; did you mean host?"),
        ("[host]\nx = 1", "2: host.x: unknown key; the keys are state_dir, run_dir, api, "),
        ("[tenants.t]\nmemroy = 1", "2: tenants.t.memroy: unknown key; did you mean memory?"),
        (INSTANCE + "memroy = 1", "3: tenants.t.instances.web.memroy: unknown key; did you mean memory?"),
        (
            INSTANCE + "block.read_byte = 1",
            "3: tenants.t.instances.web.block.read_byte: unknown key; did you mean read_bytes?",
        ),
        (
            INSTANCE + "healthcheck = { http = 'http://:1',\tretrys = 1 }",
            "healthcheck.retrys: unknown key; did",
        ),
        ('[host]\n"a b" = 1', '2: host."a b": unknown key'),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_one(tmp_path: Path, text: str, expected: str) -> None:
    (mistake,) = mistakes(tmp_path, text)

    assert expected in mistake


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[host]\nmetrics = ':9090'", "2: host.metrics"),
        ("[tenants.t]\nisolation = 'kernel'", "2: tenants.t.isolation"),
        (INSTANCE + "engine = 'kernel'", "3: tenants.t.instances.web.engine"),
    ],
)
def test_what_later_versions_have_is_refused_as_such(tmp_path: Path, text: str, key: str) -> None:
    (mistake,) = mistakes(tmp_path, text)

    assert mistake.startswith(key)
    assert mistake.endswith("is not available yet")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host = 1", "1: host: must be a table, not 1"),
        ("tenants = []", "1: tenants: must be a table of tables, not a list"),
        ("[[tenants.t]]", "1: tenants.t: must be a table, not a list"),
        ("[tenants.t.instances]\nweb = 'x'", '2: tenants.t.instances.web: must be a table, not "x"'),
        ("plugins.p = 1", "1: plugins.p: must be a table, not 1"),
        ("[host]\nplugins = 'p'", '2: host.plugins: must be a list of plugins, not "p"'),
        (
            "[host]\nplugins = ['a b']",
            "2: host.plugins[0]: 'a b' is no plugin: write MODULE, MODULE:OBJECT or",
        ),
        ("[host]\nlog_level = 1", '2: host.log_level: must be "error", "warning", "info" or "debug", not 1'),
        ("[host]\nlog_files = 1.5", "2: host.log_files: must be a whole number from 1 to 100, not 1.5"),
        ("[host]\nlog_files = true", "2: host.log_files: must be a whole number from 1 to 100, not true"),
        ("[host]\nstate_dir = 'a'", "2: host.state_dir: must be an absolute path, not 'a'"),
        ("[tenants.t]\nmemory = true", "2: tenants.t.memory: must be a size such as 256M, not true"),
        ("[tenants.t]\nmemory = 1e9", "2: tenants.t.memory: must be a size such as 256M, not 1000000000.0"),
        ("[tenants.t]\ncpus = '1'", '2: tenants.t.cpus: must be a number from 0.01 to 4096, not "1"'),
        ("[tenants.t]\nusers = ['root', 1]", "2: tenants.t.users[1]: must be a user name, not 1"),
        (INSTANCE + "init = 'yes'", '3: tenants.t.instances.web.init: must be true or false, not "yes"'),
        (INSTANCE + "env = ['A=1']", "3: tenants.t.instances.web.env: must be a table of texts such as"),
        (INSTANCE + "env = { A = 1 }", "3: tenants.t.instances.web.env.A: must be a text, not 1"),
        (INSTANCE + "volumes = './a:/a'", "3: tenants.t.instances.web.volumes: must be a list such as"),
        (
            INSTANCE + "timeout = [1]",
            "3: tenants.t.instances.web.timeout: must be a time such as 30s, not a list",
        ),
        (
            INSTANCE + "env_file = 1",
            "3: tenants.t.instances.web.env_file: must be a path, or a list of paths, not 1",
        ),
        (
            INSTANCE + "user = 1000",
            "3: tenants.t.instances.web.user: must be a user such as nobody or 1000:1000",
        ),
        (
            "[tenants.t.instances.web]\ncommand = 1",
            "2: tenants.t.instances.web.command: must be a list such as",
        ),
        (
            "[tenants.t.instances.web]\ncommand = ['a', 1]",
            "2: tenants.t.instances.web.command[1]: must be a text",
        ),
    ],
)
def test_a_wrong_type_says_what_is_right(tmp_path: Path, text: str, expected: str) -> None:
    (mistake,) = mistakes(tmp_path, text)

    assert mistake.startswith(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("memory = '256X'", "memory: '256X' is no size: write for example 64k, 256M or 1.5G"),
        ("memory = '1k'", 'memory: must be from 1.0 MiB to 1.0 PiB, not "1k"'),
        (
            "memory = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
            "memory: must be from 1.0 MiB to 1.0 PiB, not a huge numb",
        ),
        ("memory_headroom = 0.5", "memory_headroom: must be a number from 1 to 1000, not 0.5"),
        ("cpus = 0", "cpus: must be a number from 0.01 to 4096, not 0"),
        ("cpus = nan", "cpus: must be a number from 0.01 to 4096, not nan"),
        ("pids = 0", "pids: must be a whole number from 1 to 4194304, not 0"),
        ("replicas = -1", "replicas: must be a whole number from 1 to 4096, not -1"),
        ("block = { read_bytes = '1' }", 'block.read_bytes: must be from 4.0 KiB to 1.0 PiB, not "1"'),
        ("timeout = '3 weeks'", "timeout: '3 weeks' is no duration: write for example 500ms, 30s, 5m or 2h"),
        ("timeout = 0", "timeout: must be from 1ms to 366d, not 0"),
        ("timeout = inf", "timeout: must be from 1ms to 366d, not inf"),
        ("stop_timeout = '2d'", 'stop_timeout: must be from 0s to 1d, not "2d"'),
        ("workdir = 'tmp'", "workdir: must be an absolute path, not 'tmp'"),
        ("user = ':0'", "user: ':0' is no user: write USER or USER:GROUP, by name or number"),
        ("rootfs = ''", "rootfs: must not be empty"),
        ("rootfs = 'a'\nimage = 'host'", "rootfs: there is an image already; write one of the two"),
        ("env = { 'A=B' = '' }", 'env."A=B": is no name for a variable'),
        ('env = { A = "\\u0000" }', "env.A: must not have a NUL character"),
        ("volumes = ['/a']", "volumes[0]: '/a' is no volume: write SRC:DST or SRC:DST:ro"),
        ("volumes = ['/a:/x', '/b:/x/']", "volumes: two volumes have the same place in the instance, /x"),
        ("volumes = ['tmpfs:/x:ro']", "volumes[0]: a tmpfs has no option 'ro'"),
        ("volumes = ['tmpfs:/x', '/a:/x']", "volumes: two volumes have the same place in the instance, /x"),
        ("volumes = ['tmpfs:/x:size=2M']\nmemory = '1M'", "volumes: the tmpfs at /x is to hold 2.0 MiB"),
        ("secrets = ['key']", 'secrets: must be a table of files such as { key = "web.key" }, not a list'),
        ("secrets = { '../key' = 'a' }", "secrets.\"../key\": '../key' is no name for a secret"),
        ("secrets = { key = '' }", "secrets.key: must not be empty"),
        ("secrets = { key = 1 }", "secrets.key: must be a path, not 1"),
        (
            "volumes = ['/a:/run/secrets']\nsecrets = { k = 'a' }",
            "volumes: nothing else can be at /run/secrets",
        ),
        ("restart = 'maybe'", 'restart: must be "no", "on-failure" or "always", not "maybe"'),
        ("healthcheck = {}", "healthcheck: must have exactly one of command, http and tcp, not 0 of them"),
        (
            "healthcheck = { tcp = ':1', command = 'a' }",
            "healthcheck: must have exactly one of command, http and",
        ),
        (
            "healthcheck = { http = 'http://example.org/' }",
            "healthcheck.http: 'http://example.org/' is no address",
        ),
        (
            'healthcheck = { http = "http://:80/\\u000d" }',
            "healthcheck.http: 'http://:80/\\r' is no address in",
        ),
        ("healthcheck = { tcp = ':65536' }", "healthcheck.tcp: there is no port 65536: ports are 1 to 65535"),
        (
            "healthcheck = { tcp = ':1', interval = 0 }",
            "healthcheck.interval: must be from 100ms to 1d, not 0",
        ),
    ],
)
def test_a_wrong_value_says_what_is_right(tmp_path: Path, line: str, expected: str) -> None:
    (mistake,) = mistakes(tmp_path, INSTANCE + line)

    assert mistake.startswith(f"3: tenants.t.instances.web.{expected}")


@pytest.mark.parametrize("command", ["[]", "['']", "''", "' '"])
def test_a_command_names_a_program(tmp_path: Path, command: str) -> None:
    (mistake,) = mistakes(tmp_path, f"[tenants.t.instances.web]\ncommand = {command}")

    assert mistake == "2: tenants.t.instances.web.command: must name a program"


def test_a_command_is_required_and_quoted_in_full(tmp_path: Path) -> None:
    missing, unclosed = mistakes(
        tmp_path, '[tenants.t.instances.a]\n[tenants.t.instances.b]\ncommand = "echo \'x"'
    )

    assert missing.startswith("1: tenants.t.instances.a: has no command: write for example command = [")
    assert unclosed.startswith("3: tenants.t.instances.b.command: cannot be split as a shell would:")


def test_an_image_may_say_what_to_run(tmp_path: Path) -> None:
    file = tmp_path / "kwhost.toml"
    file.write_text("[tenants.t.instances.a]\nimage = 'app:1'\nentrypoint = ['sh', '-c']\n")

    (definition,) = load_configuration(file).definitions

    assert (definition.command, definition.entrypoint) == ((), ("sh", "-c"))


def test_files_of_variables_are_checked_too(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("# fine\n\nA=1\nB\nC D=1\n=x\n")
    path = tmp_path / "kwhost.toml"
    path.write_text(INSTANCE + "env_file = ['a.env', 'b.env']")

    with pytest.raises(ConfigErrors) as caught:
        load_configuration(path, {}, 0)

    *inside, missing = caught.value.lines
    assert inside == [f"{tmp_path}/a.env:{line}: is no variable: write KEY=VALUE" for line in (4, 5, 6)]
    assert missing == (
        f"{path}:3: tenants.t.instances.web.env_file: cannot read {tmp_path}/b.env: No such file or directory"
    )


@pytest.mark.parametrize("content", [b"A=\xff", b"A=" + b"x" * 2**20])
def test_files_of_variables_are_small_texts(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.env").write_bytes(content)

    (mistake,) = mistakes(tmp_path, INSTANCE + "env_file = 'a.env'")

    assert mistake.startswith("3: tenants.t.instances.web.env_file: cannot read ")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[host]\n[host\n", "2: this is not TOML: "),
        (b"a = 1\n\na = 2", "3: this is not TOML: "),
        (b"a = '''\n\n", "3: this is not TOML: "),
        (b"a = 1\nb = '\xff'", "2: this is not UTF-8 text"),
        (b"a = " + b"1" * 5000, "1: this is not TOML: "),
        (b"a = " + b"[" * 50_000, "1: lists and tables are nested too deeply"),
    ],
)
def test_what_is_no_toml_is_one_line(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "kwhost.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigErrors) as caught:
        load_configuration(path)

    (line,) = caught.value.lines
    assert line.startswith(f"{path}:{expected}")


def test_all_mistakes_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        "[host]\nx = 1\n"
        + INSTANCE
        + "depends_on = ['z']\nreplicas = 0\n[tenants.t]\nusers = ['no-such-user']\ny = 1"
    )

    assert [line.partition(":")[0] for line in mistakes(tmp_path, text)] == ["2", "5", "6", "8", "9"]


def test_a_mistake_has_no_second_one_for_a_consequence(tmp_path: Path) -> None:
    text = "[tenants.t]\nmemory = '1G'\n" + INSTANCE + "memory = 'x'\nhealthcheck = { http = 1 }"

    assert len(mistakes(tmp_path, text)) == 2


@pytest.mark.parametrize("name", ["missing.toml", ""])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"\A(there is no file|cannot read) .*\Z"):
        load_configuration(tmp_path / name)
