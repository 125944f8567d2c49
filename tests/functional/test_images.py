"""The image store: what is loaded is there once, belongs to whoever brought it, and goes with its names."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from kwhost.core.errors import ImageError, NotFound, UsageError
from kwhost.core.images import store as store_module
from kwhost.core.images.collection import collect
from kwhost.core.images.contents import CONTENTS_FILE
from kwhost.core.images.removal import remove_tree
from kwhost.core.images.service import stored_image
from kwhost.core.images.store import OPERATOR, ImageStore
from kwhost.core.model.ids import TenantName
from kwhost.core.model.mounts import MountKind
from tests.functional.image_parts import docker_archive, image_config, oci_archive
from tests.functional.image_store import BASE, TOP, Store
from tests.unit.tar_parts import Archive

pytestmark = pytest.mark.root

ACME, OTHER = TenantName("acme"), TenantName("other")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


@pytest.mark.parametrize("archive", [docker_archive([BASE, TOP], "app:1"), oci_archive([BASE, TOP], "app:1")])
def test_both_kinds_of_archives_are_loaded(archive: bytes, store: Store) -> None:
    (image,) = store.load(archive)

    assert (image.name, image.tenant, len(image.layers)) == ("app:1", None, 2)
    assert store.images.inspect(OPERATOR, "app:1") == image
    assert store.images.inspect(OPERATOR, image.digest[7:19]) == image


def test_what_the_configuration_says_is_kept(store: Store) -> None:
    health = {"Test": ["CMD-SHELL", "true"], "Interval": 2_000_000_000, "Retries": 4}
    (image,) = store.load(
        docker_archive(
            [BASE], "app:1", Entrypoint=["/e"], Cmd=["c"], Env=["A=b=c"], WorkingDir="/w", User="app",
            StopSignal="SIGQUIT", ExposedPorts={"80/tcp": {}}, Volumes={"/data": {}}, Healthcheck=health,
        )
    )  # fmt: skip

    settings = image.settings
    assert (settings.entrypoint, settings.command, settings.workdir) == (("/e",), ("c",), "/w")
    assert (settings.environment, settings.user, settings.stop_signal) == (
        {"A": "b=c"},
        "app",
        signal.SIGQUIT,
    )
    assert (settings.ports, settings.volumes) == (("80/tcp",), ("/data",))
    assert settings.healthcheck
    assert (settings.healthcheck.interval, settings.healthcheck.retries) == (2.0, 4)
    assert store.images.inspect(OPERATOR, "app:1") == image


def test_layers_are_there_once(store: Store) -> None:
    store.load(docker_archive([BASE, TOP], "a:1"))
    before = len(store.content())
    store.load(docker_archive([BASE, TOP], "b:1", Env=["A=b"]))

    assert len(store.content()) - before == 3  # a configuration, a manifest, the record


def test_a_root_file_system_becomes_an_image(store: Store) -> None:
    (image,) = store.import_root(BASE, "base")

    assert (image.name, len(image.layers)) == ("base:latest", 1)


def test_an_instances_root_is_the_layers_the_uppermost_first(store: Store) -> None:
    (image,) = store.load(docker_archive([BASE, TOP], "app:1"))

    root = stored_image(store.state, OPERATOR, "app:1")
    root.close()

    assert root.mounts[0].kind is MountKind.OVERLAY
    lowers = (root.mounts[0].source or "").split(":")
    assert [Path(lower).name for lower in lowers] == [layer[7:] for layer in reversed(image.layers)]
    user = root.accounts.user_called("app")
    assert user
    assert user.uid == 7


@pytest.mark.parametrize("covered", [".wh.passwd", ".wh..wh..opq"])
def test_accounts_that_a_layer_takes_away_are_gone(covered: str, store: Store) -> None:
    store.load(docker_archive([BASE, Archive().add(f"etc/{covered}").data], "app:1"))

    root = stored_image(store.state, OPERATOR, "app:1")
    root.close()

    assert root.accounts.passwd == b""


@pytest.mark.parametrize(
    "links",
    [
        Archive().link("etc/passwd", "/srv/passwd"),
        Archive().link("etc/passwd", "../opt/passwd").link("opt", "/srv"),
        Archive().link("etc", "srv"),
    ],
)
def test_accounts_are_those_that_links_of_the_image_lead_to(links: Archive, store: Store) -> None:
    below = Archive().directory("srv").add("srv/passwd", b"app:x:7:8::/srv:/bin/sh\n").data
    store.load(docker_archive([below, links.data], "app:1"))

    root = stored_image(store.state, OPERATOR, "app:1")
    root.close()

    assert root.accounts.passwd == b"app:x:7:8::/srv:/bin/sh\n"


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "{secret}", "{up}{secret}", "/proc/self/root{secret}", "{long}"]
)
def test_accounts_are_nothing_of_the_hosts(target: str, store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0::/:/bin/sh\n")
    text = target.format(secret=secret, up="../" * 40, long="x" * 300)
    store.load(docker_archive([Archive().link("etc/passwd", text).data], "app:1"))

    root = stored_image(store.state, OPERATOR, "app:1")
    root.close()

    assert root.accounts.passwd == b""


def test_an_image_is_its_tenants_alone(store: Store) -> None:
    (image,) = store.load(docker_archive([BASE], "app:1"), ACME)

    assert store.names(ACME) == ["app:1"]
    for owner in (OTHER, OPERATOR):
        assert store.names(owner) == []
        for reference in ("app:1", image.digest, image.digest[7:19], f"app@{image.digest}"):
            with pytest.raises(NotFound):
                store.images.inspect(owner, reference)


def test_what_the_operator_brings_all_may_use_and_nobody_else_remove(store: Store) -> None:
    store.load(docker_archive([BASE], "app:1"))

    assert store.names(ACME) == ["app:1"]
    with pytest.raises(NotFound, match="operator"):
        store.images.remove(ACME, "app:1")


def test_a_manifest_does_not_open_another_tenants_layers(store: Store) -> None:
    """Knowing a layer's digest is not having it."""
    store.load(docker_archive([BASE], "app:1"), ACME)
    with pytest.raises(ImageError, match="has no"):
        store.load(oci_archive([BASE], "mine:1", bare=True), OTHER)
    assert store.names(OTHER) == []


def test_removing_one_of_several_names_keeps_what_the_others_need(store: Store) -> None:
    store.load(docker_archive([BASE, TOP], "a:1", "b:1"))
    store.load(docker_archive([BASE], "c:1"), ACME)

    store.images.remove(OPERATOR, "a:1")
    store.images.remove(ACME, "c:1")

    assert store.names() == ["b:1"]
    stored_image(store.state, OPERATOR, "b:1").close()
    assert len(list((store.state / "images/layers").glob("*.json"))) == 2


def test_nothing_is_left_after_the_last_name(store: Store) -> None:
    store.load(docker_archive([BASE, TOP], "a:1"))

    store.images.remove(OPERATOR, "a:1")

    assert store.content() == []


def test_what_is_pinned_or_an_instance_has_stays(store: Store) -> None:
    (image,) = store.load(docker_archive([BASE], "a:1"))
    root = stored_image(store.state, OPERATOR, "a:1")
    store.images.remove(OPERATOR, "a:1")
    assert image.layers[0][7:] in store.content()

    noted = store.state / "instances/0123/image"
    noted.parent.mkdir(parents=True)
    noted.write_text(root.digest)
    root.close()
    store.images.collect()
    assert image.layers[0][7:] in store.content()

    noted.unlink()
    store.images.collect()
    assert store.content() == []


def test_pruning_forgets_what_no_instance_has_or_is_to_have(store: Store) -> None:
    for name, layer in (("used:1", BASE), ("wanted:1", TOP), ("free:1", BASE)):
        store.load(docker_archive([layer], name, Env=[f"NAME={name}"]))
    store.load(docker_archive([TOP], "theirs:1"), ACME)
    root = stored_image(store.state, OPERATOR, "used:1")

    removed = store.images.prune(OPERATOR, ["wanted:1", "host", "rootfs:/srv"])

    root.close()
    assert [image.name for image in removed] == ["free:1"]
    assert store.names() == ["used:1", "wanted:1"]
    assert store.names(ACME) == ["theirs:1", "used:1", "wanted:1"]


def test_pruning_removes_what_was_left_behind(store: Store) -> None:
    store.images.store.make()
    (store.state / "images/ingest/left").mkdir()

    store.images.prune(OPERATOR, [])

    assert store.content() == []


@pytest.mark.skipif(not (shutil.which("skopeo") and shutil.which("umoci")), reason="skopeo and umoci read it")
def test_other_programs_read_the_store(store: Store, tmp_path: Path) -> None:
    store.load(docker_archive([BASE, TOP], "app:1", Cmd=["sh"]))
    store.load(docker_archive([TOP], "registry.example:5000/app:1"), ACME)
    layout = store.state / "images"

    def out(*command: str | Path) -> str:
        return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout

    assert out("umoci", "ls", "--layout", layout).split() == ["acme+registry.example:5000/app:1", "app:1"]
    out("skopeo", "copy", f"oci:{layout}:app:1", f"docker-archive:{tmp_path}/copy:copy:1")
    (copy,) = store.load((tmp_path / "copy").read_bytes())
    assert copy.settings.command == ("sh",)
    store.images.remove(OPERATOR, "app:1")
    assert out("umoci", "ls", "--layout", layout).split() == ["acme+registry.example:5000/app:1", "copy:1"]


def test_a_name_moves_to_the_image_that_came_last(store: Store) -> None:
    store.load(docker_archive([BASE], "a:1"))
    (image,) = store.load(docker_archive([TOP], "a:1"))

    assert store.images.inspect(OPERATOR, "a:1") == image
    assert len(store.content()) == 6  # three blobs, a layer with its record, an image


ONE = b'[{"Config":"config.json","RepoTags":["a:1"],"Layers":["l"]}]'
LIES = {
    "a layer that is not what its digest says": (oci_archive([BASE], "a:1", lie=True), "another content"),
    "layers of another configuration": (
        docker_archive([TOP], "a:1", config=image_config([BASE])), "not what the image"),
    "fewer layers than the configuration's": (
        docker_archive([BASE], "a:1", config=image_config([BASE, TOP])), "as many layers"),
    "another machine's": (
        docker_archive([BASE], "a:1", config=image_config([BASE]).replace(b"amd", b"arm")), "for linux"),
    "a configuration of wrong types": (
        docker_archive([BASE], "a:1", config=image_config([BASE], Env="A=b")), "configuration"),
    "a configuration without end": (
        docker_archive([BASE], "a:1", config=b"[" * 100_000), "configuration"),
    "a large configuration": (
        docker_archive([BASE], "a:1", config=b" " * (5 << 20)), "larger than"),
    "an unknown stop signal": (docker_archive([BASE], "a:1", StopSignal="SIGNONE"), "stop signal"),
    "a volume that is the root": (docker_archive([BASE], "a:1", Volumes={"/x/..": {}}), "volume"),
    "a manifest that is no list": (Archive().add("manifest.json", b"{}").data, "manifest.json"),
    "a layer that is a link to the host's files": (
        Archive().add("config.json", image_config([BASE])).link("l", "/etc/passwd")
        .add("manifest.json", ONE).data,
        "has no"),
    "a layer that is a device or a directory": (
        Archive().add("config.json", image_config([BASE])).directory("l").add("manifest.json", ONE).data,
        "no file"),
    "no image": (Archive().add("a", b"b").data, "image import"),
    "no archive": (b"garbage" * 1000, "tar header"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_what_is_not_right_is_refused_and_leaves_nothing(lie: str, store: Store) -> None:
    archive, text = LIES[lie]

    with pytest.raises(ImageError, match=text) as caught:
        store.load(archive)

    assert "\n" not in str(caught.value)
    assert store.names() == []
    assert store.content() == []


def test_an_archive_without_names_needs_one(store: Store) -> None:
    with pytest.raises(UsageError, match="--name"):
        store.load(docker_archive([BASE]))
    assert [image.name for image in store.load(docker_archive([BASE]), name="given")] == ["given:latest"]


def test_a_short_name_that_another_program_filled_up_is_short_again(store: Store) -> None:
    names = ("registry.example/library/app:1", "registry.example/team/app:1", "library/app:2")

    loaded = store.load(docker_archive([BASE], *names))

    assert [image.name for image in loaded] == ["app:1", "registry.example/team/app:1", "library/app:2"]


def test_a_damaged_document_is_told_of(store: Store) -> None:
    (image,) = store.load(docker_archive([BASE], "a:1"))
    (store.state / "images/images" / image.digest[7:] / "image.json").write_text("{")

    with pytest.raises(ImageError, match="load it again"):
        store.images.list(OPERATOR)


def test_what_an_image_says_of_itself_is_not_read_for_others(store: Store) -> None:
    (image,) = store.load(docker_archive([BASE], "a:1"), ACME)
    (store.state / "images/images" / image.digest[7:] / "image.json").write_text("{")

    store.load(docker_archive([TOP], "b:1"))
    store.images.remove(OPERATOR, "b:1")

    assert image.layers[0][7:] in store.content()


def test_what_images_consist_of_is_read_before_anybody_has_to_wait(store: Store) -> None:
    (image,) = store.load(docker_archive([BASE], "a:1"))

    class Unreadable(ImageStore):
        @contextmanager
        def collecting(self) -> Iterator[bool]:
            (self.images / image.digest[7:] / CONTENTS_FILE).write_text("{")
            with super().collecting() as free:
                yield free

    collect(Unreadable(store.state / "images"))

    assert image.layers[0][7:] in store.content()


@pytest.mark.parametrize("unknown", [b'"x": "\xff"', b'"x": ' + b"1" * 5000])
def test_what_a_manifest_says_besides_concerns_nobody_else(unknown: bytes, store: Store) -> None:
    store.load(oci_archive([BASE], "a:1", unknown=unknown), ACME)

    store.load(docker_archive([TOP], "b:1"))
    assert store.names() == ["b:1"]


INDEX = re.compile(rb'"digest": "(sha256:[0-9a-f]{64})"[^{]*"annotations"')


@pytest.mark.parametrize("tag", ["", ":1"])
def test_an_image_is_found_by_the_digest_of_its_index(tag: str, store: Store) -> None:
    archive = oci_archive([BASE], "app:1", indexed=True)
    digest = re.findall(INDEX, archive)[-1].decode()
    pulled_as = f"registry.example/app{tag}@{digest}"

    (image,) = store.load(archive, name=pulled_as)

    assert image.index == digest != image.digest
    repository = "registry.example/app"
    for reference in (
        image.name,
        pulled_as,
        f"{repository}@{digest}",
        f"{repository}@{image.digest}",
        digest,
    ):
        assert store.images.inspect(OPERATOR, reference) == image
    for other in (f"{repository}{tag}@sha256:{'1' * 64}", f"registry.example/other{tag}@{digest}"):
        with pytest.raises(NotFound):
            store.images.inspect(OPERATOR, other)
    store.images.remove(OPERATOR, pulled_as)
    assert store.names() == []


@pytest.mark.parametrize("name", ["app", "app:1"])
def test_an_image_is_not_called_by_a_digest_that_it_has_not(name: str, store: Store) -> None:
    with pytest.raises(UsageError, match=f"and cannot be called app(:1)?@sha256:{'1' * 64}"):
        store.load(docker_archive([BASE], "a:1"), name=f"{name}@sha256:{'1' * 64}")
    assert store.names() == []


def test_names_are_bounded(store: Store) -> None:
    for number in range(10):
        tags = [f"a:{number}-{tag}" for tag in range(100)]
        store.load(docker_archive([BASE], *tags))

    with pytest.raises(ImageError, match="1001 names of images, more than 1000; remove some"):
        store.load(docker_archive([BASE], "one-more:1"))
    assert len(store.names()) == 1000


def several(configs: dict[str, bytes]) -> bytes:
    """An archive of an image for each name, all of one layer."""
    archive = Archive().add("layer.tar", BASE)
    for name, config in configs.items():
        archive.add(f"{name}.json", config)
    entries = [
        {"Config": f"{name}.json", "RepoTags": [f"{name}:1"], "Layers": ["layer.tar"]} for name in configs
    ]
    return archive.add("manifest.json", json.dumps(entries).encode()).data


def test_what_all_images_of_an_owner_say_of_themselves_is_bounded(store: Store) -> None:
    def talkative(name: str) -> dict[str, bytes]:
        environment = [f"{name}{half}={'x' * 125_000}" for half in range(2)]
        return {
            f"{name}{number}": image_config([BASE], Env=environment, User=str(number)) for number in range(10)
        }

    store.load(several(talkative("a")))

    with pytest.raises(ImageError, match="would say more than 4194304 bytes of themselves; remove some"):
        store.load(several(talkative("b")))
    assert len(store.names()) == 10
    store.load(docker_archive([BASE], "b:1"), ACME)


def test_lists_are_short_whatever_images_say_of_themselves(store: Store) -> None:
    names = [f"a:{number}" for number in range(100)]
    (image, *_) = store.load(docker_archive([BASE], *names, Env=["A=" + "x" * 100_000]))
    assert len(image.settings.environment["A"]) == 100_000

    lists = (
        store.images.list(OPERATOR),
        store.images.list(ACME),
        store.images.list_all(None),
        store.images.prune(OPERATOR, ()),
    )

    assert [len(found) for found in lists] == [100] * 4
    assert all(len(msgspec.json.encode(found)) < 100 * 500 for found in lists)


def test_of_an_archive_all_images_are_added_or_none(store: Store) -> None:
    with pytest.raises(ImageError, match="layer 1 is not what"):
        store.load(several({"good": image_config([BASE]), "bad": image_config([TOP])}))
    assert store.names() == []
    assert store.content() == []


def test_nobody_waits_until_another_ones_files_are_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        store.load(docker_archive([Archive().add(f"f{number}", b"x").data], f"a:{number}"))

    def remove_slowly(path: Path) -> None:
        """The other one is removed meanwhile."""
        monkeypatch.undo()
        assert store.images.remove(OPERATOR, "a:1").name == "a:1"
        assert len(list((store.state / "images/removed").iterdir())) > 1
        remove_tree(path)

    monkeypatch.setattr(store_module, "remove_tree", remove_slowly)
    store.images.remove(OPERATOR, "a:0")

    assert store.content() == []


def test_a_load_comes_to_an_end(store: Store) -> None:
    store.images.seconds = 0.0

    with pytest.raises(ImageError, match="did not come to an end"):
        store.load(docker_archive([BASE], "a:1"))
    assert store.content() == []


def test_an_archive_with_a_sparse_file_is_refused(store: Store) -> None:
    holes = {"GNU.sparse.size": str(1 << 36), "GNU.sparse.map": "0,1"}
    archive = Archive().add("layer.tar", b"x", pax_headers=holes)

    with pytest.raises(ImageError, match=r"'layer\.tar' is a sparse file"):
        store.load(archive.data)
