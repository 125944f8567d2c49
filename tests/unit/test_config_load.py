"""What a configuration comes to: records with defaults, replicas, paths, environments."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwhost.core.config.configuration import Configuration
from kwhost.core.config.host import LogLevel
from kwhost.core.config.load import load_configuration
from kwhost.core.config.problems import ConfigErrors
from kwhost.core.errors import ConfigError
from kwhost.core.model.definition import (
    BlockLimits,
    Healthcheck,
    InstanceDefinition,
    Limits,
    ProbeKind,
    Restart,
)
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.model.instance import Engine, Isolation, LogLimits
from kwhost.core.model.tenant import Quota, Tenant
from kwhost.core.model.volume import Volume
from tests.unit.config_files import INSTANCE

# What else an instance may have.
COMPLETE = """
rootfs = "root"
engine = "direct"
env = { B = "2" }
env_file = "a.env"
workdir = "/srv"
user = "nobody:nogroup"
memory = "64M"
memory_headroom = 2
cpus = 1
pids = 5
storage = "1M"
block = { read_bytes = "1M", write_operations = 7 }
volumes = ["./a:/a:ro", "/b:/b"]
network = "none"
init = true
read_only = true
interactive = true
tty = true
restart = "on-failure"
healthcheck = { command = "test -e /x", interval = 1, timeout = "500ms", start_period = "2m" }
stop_timeout = "1m"
timeout = 1.5
"""


def load(folder: Path, text: str) -> Configuration:
    path = folder / "kwhost.toml"
    path.write_text(text)
    return load_configuration(path, {}, 0)


def load_one(folder: Path, lines: str) -> InstanceDefinition:
    (definition,) = load(folder, INSTANCE + lines).definitions
    return definition


def test_an_empty_file_is_a_configuration(tmp_path: Path) -> None:
    configuration = load(tmp_path, "")

    assert configuration.source == tmp_path / "kwhost.toml"
    assert (configuration.tenants, configuration.definitions) == ((), ())
    assert configuration.host.api == Path("/run/kwhost/api.sock")


def test_what_is_not_set_is_as_the_records_have_it(tmp_path: Path) -> None:
    configuration = load(tmp_path, INSTANCE)

    assert configuration.tenants == (Tenant(name=TenantName("t")),)
    assert configuration.definitions == (
        InstanceDefinition(
            tenant=TenantName("t"), name=InstanceName("web"), command=("true",), network="none"
        ),
    )


def test_every_key_of_an_instance_arrives(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("A=file")
    definition = load_one(tmp_path, COMPLETE)

    assert definition == InstanceDefinition(
        tenant=TenantName("t"),
        name=InstanceName("web"),
        command=("true",),
        rootfs=str(tmp_path / "root"),
        engine=Engine.DIRECT,
        environment={"A": "file", "B": "2"},
        workdir="/srv",
        user="nobody:nogroup",
        limits=Limits(
            memory=64 * 2**20,
            memory_headroom=2.0,
            cpus=1.0,
            pids=5,
            storage=2**20,
            block=BlockLimits(read_bytes=2**20, write_operations=7),
        ),
        volumes=(Volume(str(tmp_path / "a"), "/a", read_only=True), Volume("/b", "/b")),
        network="none",
        init=True,
        read_only=True,
        interactive=True,
        terminal=True,
        restart=Restart.ON_FAILURE,
        healthcheck=Healthcheck(
            kind=ProbeKind.COMMAND,
            target=("test", "-e", "/x"),
            interval=1.0,
            timeout=0.5,
            start_period=120.0,
        ),
        stop_timeout=60.0,
        timeout=1.5,
    )


def test_every_key_of_a_tenant_arrives(tmp_path: Path) -> None:
    configuration = load(
        tmp_path,
        """
        [tenants.t]
        users = ["root"]
        isolation = "process"
        max_instances = 1
        cpus = 2.5
        memory = 1_073_741_824
        storage = "1G"
        pids = 3
        binds = ["/srv"]
        """,
    )

    assert configuration.tenants == (
        Tenant(
            name=TenantName("t"),
            users=("root",),
            isolation=Isolation.PROCESS,
            quota=Quota(max_instances=1, cpus=2.5, memory=2**30, storage=2**30, pids=3),
            binds=("/srv",),
        ),
    )


def test_every_key_of_the_host_arrives_and_the_environment_is_stronger(tmp_path: Path) -> None:
    path = tmp_path / "kwhost.toml"
    path.write_text(
        """
        [host]
        state_dir = "/a"
        run_dir = "/b"
        plugins = ["x:y", "/p/q.py"]
        block_plugins = ["z"]
        uid_base = 655360
        log_level = "debug"
        log_size = "1M"
        log_files = 2
        """
    )

    host = load_configuration(path, {"KWHOST_RUN_DIR": "/c"}, 0).host

    assert (host.state_dir, host.run_dir, host.api) == (Path("/a"), Path("/c"), Path("/c/api.sock"))
    assert (host.plugins, host.block_plugins) == (("x:y", "/p/q.py"), ("z",))
    assert (host.uid_base, host.log_level) == (655360, LogLevel.DEBUG)
    assert host.log == LogLimits(size=2**20, files=2)


def test_replicas_are_numbered_and_needed_together(tmp_path: Path) -> None:
    text = INSTANCE + "replicas = 2\n[tenants.t.instances.job]\ncommand = 'a'\ndepends_on = ['web', 'web-2']"

    definitions = load(tmp_path, text).definitions

    assert [definition.name for definition in definitions] == ["web-1", "web-2", "job"]
    assert definitions[2].depends_on == ("web-1", "web-2")


def test_one_replica_has_the_plain_name(tmp_path: Path) -> None:
    assert load_one(tmp_path, "replicas = 1").name == "web"


def test_tenants_may_have_instances_of_the_same_name(tmp_path: Path) -> None:
    definitions = load(tmp_path, INSTANCE + INSTANCE.replace("tenants.t", "tenants.u")).definitions

    assert [(definition.tenant, definition.name) for definition in definitions] == [
        ("t", "web"),
        ("u", "web"),
    ]


def test_a_quota_may_be_used_up_to_the_last_bit(tmp_path: Path) -> None:
    text = "[tenants.t]\ncpus = 0.3\nmemory = '3M'\nmax_instances = 3\n"

    definitions = load(tmp_path, text + INSTANCE + "replicas = 3\ncpus = 0.1\nmemory = '1M'").definitions

    assert len(definitions) == 3


@pytest.mark.parametrize(
    ("written", "command"),
    [
        ("['a b', '']", ("a b", "")),
        ("""'a "b c" d\\ e'""", ("a", "b c", "d e")),
    ],
)
def test_a_command_is_a_list_or_split_as_by_a_shell(
    tmp_path: Path, written: str, command: tuple[str, ...]
) -> None:
    (definition,) = load(tmp_path, f"[tenants.t.instances.web]\ncommand = {written}").definitions

    assert definition.command == command


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("http = 'http://:80'", "http://:80/"),
        ("http = 'http://localhost:8000/a?b=c'", "http://:8000/a?b=c"),
        ("http = 'http://127.0.0.1:8000/'", "http://:8000/"),
        ("tcp = ':22'", ":22"),
        ("tcp = 'localhost:22'", ":22"),
    ],
)
def test_addresses_of_health_checks_are_the_instances_own(tmp_path: Path, written: str, target: str) -> None:
    check = load_one(tmp_path, f"healthcheck = {{ {written} }}").healthcheck

    assert check
    assert check.target == (target,)


def test_files_of_variables_are_read_as_dockers(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_bytes(b'A=1\r\n  # no\n\n B= "x=y" \nC=\n')
    (tmp_path / "b.env").write_text("A=2\nD=3")

    assert load_one(tmp_path, "env_file = ['a.env', 'b.env']\nenv.D = '4'").environment == {
        "A": "2",
        "B": ' "x=y" ',
        "C": "",
        "D": "4",
    }


def test_paths_are_relative_to_the_file_not_to_whoever_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/kwhost.toml").write_text(INSTANCE + "volumes = ['../data:/data']")
    monkeypatch.chdir(tmp_path)

    configuration = load_configuration(Path("etc/kwhost.toml"))

    assert configuration.source == tmp_path / "etc/kwhost.toml"
    assert configuration.definitions[0].volumes == (Volume(f"{tmp_path}/etc/../data", "/data"),)


def test_plugins_get_their_sections_as_they_are_and_can_point_at_them(tmp_path: Path) -> None:
    configuration = load(tmp_path, "[plugins.prometheus]\nlisten = { port = 1 }\n")

    assert configuration.plugin_sections == {"prometheus": {"listen": {"port": 1}}}
    configuration.plugin_place.below("prometheus", "listen", "port").report("is taken")
    with pytest.raises(ConfigErrors, match=r"kwhost\.toml:2: plugins\.prometheus\.listen\.port: is taken"):
        configuration.plugin_place.problems.raise_any()


def test_a_wrong_directory_in_the_environment_is_named(tmp_path: Path) -> None:
    (tmp_path / "kwhost.toml").write_text("")

    with pytest.raises(ConfigError, match="KWHOST_STATE_DIR must be an absolute path"):
        load_configuration(tmp_path / "kwhost.toml", {"KWHOST_STATE_DIR": "x"}, 0)


# Whatever valid TOML says, in the places where kwhost looks.
keys = st.sampled_from(
    ["host", "tenants", "plugins", "instances", "t", "web", "memory", "command", "env", "healthcheck", "x"]
)
scalars = st.sampled_from(
    ["1", "-1", "1.5", "nan", "true", "'x'", "''", "'1G'", '"\\u0000"', "07:00:00", "2020-01-01"]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(keys, inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"{key} = {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)  # files take as long as the disk does
@given(st.dictionaries(keys, values, max_size=3))
def test_any_document_loads_or_is_refused_with_lines(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text("".join(f"{key} = {value}\n" for key, value in document.items()))

    try:
        load_configuration(path, {}, 0)
    except ConfigErrors as error:
        lines = error.lines
    else:
        lines = ()

    assert all(line.startswith(f"{path}:") for line in lines)
