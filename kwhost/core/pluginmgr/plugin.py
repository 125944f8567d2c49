"""One plugin: where it is from, what it implements, how it is doing."""

from dataclasses import dataclass, field
from enum import Enum

from pluggy import HookImpl

from kwhost.core.model.daemon import PluginStatus

__all__ = ["FAULTS_MAX", "Plugin", "PluginState"]

# So many failures of one hook in a row, and the plugin is disabled.
FAULTS_MAX = 5


class PluginState(Enum):
    """What became of a plugin."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    FAILED = "failed"  # it could not be loaded, or failed too often


@dataclass(slots=True, kw_only=True)
class Plugin:
    """`hooks` are the implementations by the hooks' names; `marked`, what the plugin meant to implement, is
    known of broken ones too: one that decides on admission must not fall silent. `offers` are the answers
    of the declarations, by the declaration's name and then the offer's."""

    name: str
    source: str
    version: str = ""
    built_in: bool = False
    state: PluginState = PluginState.ACTIVE
    message: str = ""
    marked: frozenset[str] = frozenset()
    hooks: dict[str, HookImpl] = field(default_factory=dict)
    offers: dict[str, dict[str, object]] = field(default_factory=dict)
    configuration_type: type[object] | None = None
    configuration: object = None
    failures: int = 0
    _in_a_row: dict[str, int] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether its hooks are called."""
        return self.state is PluginState.ACTIVE

    def fail(self, message: str) -> None:
        """Call none of its hooks from now on."""
        self.state = PluginState.FAILED
        self.message = message

    def count_success(self, hook: str) -> None:
        """The hook did what it should."""
        self._in_a_row.pop(hook, None)

    def count_fault(self, hook: str, text: str) -> str:
        """The hook failed; returns the line to report. Disables the plugin at the last straw."""
        self.failures += 1
        self._in_a_row[hook] = self._in_a_row.get(hook, 0) + 1
        self.message = f"{hook}: {text}"
        if self._in_a_row[hook] >= FAULTS_MAX:
            self.fail(f"disabled: {hook} failed {FAULTS_MAX} times in a row, at last: {text}")
        return f"plugin {self.name}: {self.message}"

    def status(self) -> PluginStatus:
        """For `kwhost plugin ls`."""
        return PluginStatus(
            name=self.name,
            version=self.version,
            hooks=tuple(sorted(self.marked)),
            state=self.state.value,
            message=self.message,
            failures=self.failures,
        )
