"""Finding and loading plugins: a broken one fails alone, and says why."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kwhost import __version__
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.instance import Isolation
from kwhost.core.pluginmgr import loading
from kwhost.core.pluginmgr.builtin import BUILT_IN
from kwhost.core.pluginmgr.discovery import Candidate, Selection
from kwhost.core.pluginmgr.loading import add_plugin, load_plugins
from kwhost.core.pluginmgr.registry import Registry
from kwhost.core.storage.directory import DirectoryBacking
from kwhost.hookspecs import (
    CliCommand,
    EngineOffer,
    ImageSource,
    NetworkOffer,
    StorageOffer,
    TuiColumn,
    TuiInstanceColumn,
    TuiPanel,
    hookimpl,
)
from tests.unit.plugin_parts import Bench, make_plugin

WORKING = """
from kwhost.hookspecs import hookimpl

__version__ = "1.2"

@hookimpl
def admit_instance(definition):
    return None
"""

NOTHING = Selection()


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory on the module path."""
    directory = tmp_path / "packages"
    directory.mkdir()
    monkeypatch.syspath_prepend(directory)
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    return directory


def load(selection: Selection = NOTHING, *, installed: bool = False) -> tuple[Registry, list[str]]:
    lines: list[str] = []
    return load_plugins(selection, lines.append, installed=installed), lines


def test_the_built_in_plugins_offer_what_the_contract_names() -> None:
    registry, lines = load()

    assert lines == []
    assert [plugin.version for plugin in registry.plugins.values()] == [__version__] * len(BUILT_IN)
    assert registry.offers("engines").keys() == {"direct", "process"}
    assert registry.offers("image_sources").keys() == {"host", "rootfs", "store"}
    assert registry.offers("storages").keys() == {"quota", "ext4", "directory"}
    assert registry.offers("networks").keys() == {"none", "tenant", "host"}


def test_every_plugin_can_be_blocked_by_name() -> None:
    names = frozenset(module.rpartition(".")[2] for module in BUILT_IN)

    registry, _ = load(Selection(blocked=names))

    assert {plugin.state.value for plugin in registry.plugins.values()} == {"blocked"}
    assert not registry.offers("engines")


def test_installed_packages_are_found_by_their_entry_point(packages: Path) -> None:
    (packages / "sample_plugin.py").write_text(WORKING)
    info = packages / "sample-3.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sample\nVersion: 3.4\n")
    (info / "entry_points.txt").write_text("[kwhost]\nsample = sample_plugin\n")

    registry, lines = load(installed=True)

    assert not [line for line in lines if "sample" in line]
    status = registry.plugins["sample"].status()
    assert (status.version, status.state, status.hooks) == ("3.4", "active", ("admit_instance",))


def test_the_configuration_names_modules_objects_and_files(packages: Path) -> None:
    (packages / "one.py").write_text(WORKING)
    (packages / "two.py").write_text(
        WORKING.replace("@hookimpl\ndef", "class plugin:\n  @hookimpl\n  @staticmethod\n  def")
    )
    (packages / "three.py").write_text(WORKING)

    registry, lines = load(Selection(load=("one", "two:plugin", f"{packages}/three.py")))

    assert lines == []
    for name in ("one", "two:plugin", "three"):
        assert registry.plugins[name].active
    assert registry.plugins["three"].version == "1.2"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import missing_module", "missing_module"),
        ("raise OSError('no such device')", "no such device"),
        ("def (", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("x = 1", "no hook"),
        (WORKING.replace("definition", "definitions"), "definitions"),
        (WORKING.replace("admit_instance", "admit_instances"), "no such hook"),
        (
            WORKING.replace("hookimpl\ndef", "hookimpl(wrapper=True)\ndef").replace("return", "yield"),
            "wrappers",
        ),
        (WORKING.replace("admit_instance(definition)", "serve(host)"), "async def"),
        (WORKING.replace("def admit_instance(definition)", "async def engines()"), "plain function"),
    ],
)
def test_a_broken_plugin_fails_alone_with_one_line(packages: Path, text: str, reason: str) -> None:
    (packages / "broken.py").write_text(text)
    (packages / "sound.py").write_text(WORKING)

    registry, lines = load(Selection(load=("broken", "sound")))

    assert registry.plugins["broken"].state.value == "failed"
    assert len(lines) == 1
    assert reason in lines[0]
    assert "\n" not in lines[0]
    assert [plugin.name for plugin in registry.implementers("admit_instance")] == ["sound"]


def test_what_is_not_there_is_said() -> None:
    _, lines = load(
        Selection(load=("no_such_module",), blocked=frozenset({"typo"}), required=frozenset({"audit"}))
    )

    assert [line.split(":")[0] for line in lines] == ["plugin no_such_module", "plugin audit", "plugin typo"]


def test_an_import_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "IMPORT_SECONDS", 0.05)
    gate = threading.Event()
    registry = Registry()

    plugin = add_plugin(registry, Candidate("slow", "test", "", gate.wait))
    gate.set()

    assert "no answer within" in plugin.message


def test_a_name_belongs_to_the_first_plugin_of_it() -> None:
    bench = Bench(a=make_plugin(admit_instance=lambda: None))

    second = bench.add("a", make_plugin(admit_instance=lambda: "no"))

    assert bench.registry.plugins["a"].active
    assert "another plugin" in second.message


def test_an_offer_belongs_to_the_first_plugin_that_makes_it() -> None:
    offer = NetworkOffer(name="mesh", summary="everything")
    bench = Bench(a=make_plugin(networks=lambda: [offer]), b=make_plugin(networks=lambda: [offer]))

    assert bench.state("b") == (
        "failed",
        "networks: the plugin a offers 'mesh' already, and one has to be blocked",
    )
    assert bench.manager.networks() == {"mesh": offer}


def test_hooks_of_a_later_version_are_passed_over_where_they_are_optional() -> None:
    plugin = make_plugin(admit_instance=lambda: None)
    plugin.later_hook = hookimpl(optionalhook=True)(lambda: None)

    assert Bench(a=plugin).registry.plugins["a"].active


def no_rows(_: object) -> list[tuple[str]]:
    return []


def no_cells(_: object) -> dict[InstanceId, str]:
    return {}


def nothing(*_: object) -> object:
    return None


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ("engines", None),
        ("engines", [1]),
        ("engines", [EngineOffer(name="Bad Name", isolation=Isolation.VM, factory=nothing)]),
        ("engines", [EngineOffer(name="fast", isolation="vm", factory=nothing)]),  # type: ignore[arg-type]
        ("engines", [EngineOffer(name="direct", isolation=Isolation.PROCESS, factory=nothing)]),
        ("engines", [EngineOffer(name="fast", isolation=Isolation.VM, factory=None)]),  # type: ignore[arg-type]
        ("engines", [EngineOffer(name="fast", isolation=Isolation.VM, factory=nothing, tap_queues=0)]),
        ("engines", [EngineOffer(name="fast", isolation=Isolation.VM, factory=nothing, tap_queues=9)]),
        ("engines", [EngineOffer(name="fast", isolation=Isolation.VM, factory=nothing)] * 2),
        ("image_sources", "host"),
        ("image_sources", [ImageSource(name="x", plan=1)]),  # type: ignore[arg-type]
        ("storages", [StorageOffer(name="x", summary="x", backing=None)]),  # type: ignore[arg-type]
        ("storages", [StorageOffer(name="x", summary="x", backing=DirectoryBacking(), least=0)]),
        ("storages", [StorageOffer(name="x", summary="\x1b", backing=DirectoryBacking())]),
        ("networks", [NetworkOffer(name="x", summary="two\nlines")]),
        ("networks", [NetworkOffer(name=3, summary="x")]),  # type: ignore[arg-type]
        ("cli_commands", [CliCommand(name="x", summary="x", main="x")]),  # type: ignore[arg-type]
        ("tui_panels", [TuiPanel(name="x", title="x", columns=(), read=no_rows)]),
        ("tui_panels", [TuiPanel(name="x", title="x", columns=(TuiColumn("a", -1),), read=no_rows)]),
        ("tui_panels", [TuiPanel(name="x", title="a\nb", columns=(TuiColumn("a", 1),), read=no_rows)]),
        ("tui_panels", [TuiPanel(name="x", title="x", columns=(TuiColumn("a", 1),), read=1)]),  # type: ignore[arg-type]
        ("tui_columns", [TuiInstanceColumn(name="x", title="x", width=0, read=no_cells)]),
        ("tui_columns", [TuiInstanceColumn(name="x", title="x", width=21, read=no_cells)]),
        ("tui_columns", [TuiInstanceColumn(name="x", title="\x1b", width=5, read=no_cells)]),
        ("tui_columns", [TuiInstanceColumn(name="x", title="x", width=5, read=1)]),  # type: ignore[arg-type]
        ("configuration_type", int),
        ("configuration_type", {}),
    ],
)
def test_a_declaration_that_makes_no_sense_fails_the_plugin(hook: str, answer: object) -> None:
    bench = Bench(a=make_plugin(**{hook: lambda: answer}))

    state, message = bench.state("a")
    assert state == "failed"
    assert message.startswith(f"{hook}: ")


@pytest.mark.parametrize(
    "hook", ["engines", "image_sources", "storages", "networks", "cli_commands", "configuration_type"]
)
def test_a_declaration_that_raises_fails_the_plugin(hook: str) -> None:
    assert Bench(a=make_plugin(**{hook: raises(SystemExit("bye"))})).state("a") == (
        "failed",
        f"{hook}: SystemExit: bye",
    )


def raises(error: BaseException) -> Callable[[], object]:
    def function() -> object:
        raise error

    return function
