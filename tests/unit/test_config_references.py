"""What a configuration's tables say of each other: names, dependencies, quotas, isolation, users."""

import pwd
from pathlib import Path

import pytest

from tests.unit.config_files import INSTANCE, mistakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tenants.T_]", "1: tenants.T_: 'T_' is no name for a tenant:"),
        (
            "[tenants.t.instances.'-']\ncommand = 'a'",
            "1: tenants.t.instances.-: '-' is no name for an instance:",
        ),
        (
            f"[tenants.t.instances.{'a' * 62}]\ncommand = 'a'\nreplicas = 2",
            "its replicas' names are too long",
        ),
    ],
)
def test_names_are_checked(tmp_path: Path, text: str, expected: str) -> None:
    (mistake,) = mistakes(tmp_path, text)

    assert expected in mistake


def test_replicas_do_not_take_others_names(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, f"{INSTANCE}replicas = 2\n[tenants.t.instances.web-2]\ncommand = 'a'")

    assert mistake == "4: tenants.t.instances.web-2: web and web-2 both make an instance web-2; rename one"


def test_a_dependency_that_nobody_is_gets_the_nearest_name(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, INSTANCE + "depends_on = [\n  'wbe']")

    assert mistake.endswith(
        "4: tenants.t.instances.web.depends_on[0]: the tenant has no instance wbe; did you mean web?"
    )


def test_every_circle_is_named_as_a_chain(tmp_path: Path) -> None:
    needs = {"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": ["d"], "e": ["a"]}
    text = "".join(
        f"[tenants.t.instances.{name}]\ncommand = 'x'\ndepends_on = {others}\n"
        for name, others in needs.items()
    )

    first, second = mistakes(tmp_path, text)

    assert first == "3: tenants.t.instances.a.depends_on: goes in a circle: a -> b -> c -> a"
    assert second == "12: tenants.t.instances.d.depends_on: goes in a circle: d -> d"


def test_a_replica_cannot_wait_for_its_own_kind(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, INSTANCE + "replicas = 2\ndepends_on = ['web-1']")

    assert mistake.endswith("goes in a circle: web -> web")


def test_long_chains_are_no_trouble(tmp_path: Path) -> None:
    text = "".join(
        f"[tenants.t.instances.i{n}]\ncommand = 'x'\ndepends_on = ['i{n + 1}']\n" for n in range(3000)
    )

    (mistake,) = mistakes(tmp_path, text)

    assert "the tenant has no instance i3000" in mistake


@pytest.mark.parametrize(
    ("quota", "own", "expected"),
    [
        (
            "memory = '100M'",
            "memory = '64M'",
            "memory: the instances ask for 128.0 MiB together, 28.0 MiB too much",
        ),
        ("cpus = 0.5", "cpus = 0.3", "cpus: the instances ask for 0.6 together, 0.1 too much"),
        ("pids = 10", "pids = 8", "pids: the instances ask for 16 together, 6 too much"),
        (
            "storage = '1M'",
            "storage = '1M'",
            "storage: the instances ask for 2.0 MiB together, 1.0 MiB too much",
        ),
        (
            "max_instances = 1",
            "",
            "max_instances: the tenant has 2 instances, replicas included, which is 1 too many",
        ),
    ],
)
def test_instances_that_do_not_fit_the_quota(tmp_path: Path, quota: str, own: str, expected: str) -> None:
    (mistake,) = mistakes(tmp_path, f"[tenants.t]\n{quota}\n{INSTANCE}replicas = 2\n{own}")

    assert mistake == f"2: tenants.t.{expected}"


def test_with_a_quota_each_instance_says_how_much_is_its_own(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, f"[tenants.t]\npids = 10\n{INSTANCE}")

    assert (
        mistake == "3: tenants.t.instances.web: needs its pids = ..., because the tenant has a quota of that"
    )


@pytest.mark.parametrize(
    ("engine", "isolation"), [("process", "vm"), ("process", "kernel"), ("direct", "kernel")]
)
def test_an_engine_below_the_isolation_is_refused(tmp_path: Path, engine: str, isolation: str) -> None:
    text = f"{INSTANCE}engine = '{engine}'\n[tenants.t]\nisolation = '{isolation}'"

    mistake = mistakes(tmp_path, text)[0]

    assert mistake == (
        f'3: tenants.t.instances.web.engine: "{engine}" is weaker than the tenant\'s isolation "{isolation}"'
    )


def test_users_are_users_of_this_host(tmp_path: Path) -> None:
    text = f"[tenants.t]\nusers = ['{pwd.getpwuid(0).pw_name}',\n'no-such-user']"

    assert mistakes(tmp_path, text) == ["3: tenants.t.users[1]: this host has no user no-such-user"]
