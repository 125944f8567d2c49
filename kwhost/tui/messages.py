"""What workers tell the application: facts, in one word each."""

from collections.abc import Sequence

from textual.message import Message

from kwhost.core.api.types import InstanceUse
from kwhost.core.model.daemon import DaemonInfo
from kwhost.core.model.decisions import Question
from kwhost.core.model.events import Event
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.status import InstanceStatus, TenantStatus
from kwhost.tui.fleet import Row

__all__ = [
    "Answered",
    "ChooseCall",
    "Connected",
    "Control",
    "FromDaemon",
    "Happened",
    "Listed",
    "Lost",
    "Measured",
    "OpenConsole",
    "OpenHost",
    "OpenInstance",
    "OpenLogs",
    "OpenRule",
    "OpenStart",
    "Started",
]


class FromDaemon(Message):
    """What a daemon told; `host` is the name of its host."""

    host = ""

    def is_about_the_same(self, message: Message) -> bool:
        """Whether `message` has the same kind and host: then the newest counts."""
        return isinstance(message, type(self)) and message.host == self.host


class Connected(FromDaemon):
    """The daemon answers."""

    def __init__(self, info: DaemonInfo) -> None:
        super().__init__()
        self.info = info


class Lost(FromDaemon):
    """It does not, or no more; `reason` is one line."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class Listed(FromDaemon):
    """All instances, tenants and questions there are; what is newer replaces it unread."""

    def __init__(
        self,
        statuses: Sequence[InstanceStatus],
        tenants: Sequence[TenantStatus],
        questions: Sequence[Question],
    ) -> None:
        super().__init__()
        self.statuses = statuses
        self.tenants = tenants
        self.questions = questions

    def can_replace(self, message: Message) -> bool:
        """The newest counts."""
        return self.is_about_the_same(message)


class Measured(FromDaemon):
    """What the running instances use at `time`, in seconds of a clock that never goes back."""

    def __init__(self, uses: Sequence[InstanceUse], time: float) -> None:
        super().__init__()
        self.uses = uses
        self.time = time

    def can_replace(self, message: Message) -> bool:
        """The newest counts."""
        return self.is_about_the_same(message)


class Happened(FromDaemon):
    """Entries of the journal; `left_out` were dropped before these could be read."""

    def __init__(self, events: Sequence[Event], left_out: int) -> None:
        super().__init__()
        self.events = events
        self.left_out = left_out


class Control(Message):
    """The operator wants something done with instances, of another `host` than the one that is shown
    perhaps."""

    def __init__(self, action: str, targets: Sequence[Row], host: str = "") -> None:
        super().__init__()
        self.host = host
        self.action = action
        self.targets = targets


class OpenConsole(Message):
    """The operator wants a terminal in an instance: of `command` or else a shell ("exec"), or of its program
    ("attach")."""

    def __init__(self, kind: str, name: str, command: Sequence[str] = ()) -> None:
        super().__init__()
        self.kind = kind
        self.name = name
        self.command = command


class OpenInstance(Message):
    """The operator wants to see one, at a tab."""

    def __init__(self, id_: InstanceId, tab: str) -> None:
        super().__init__()
        self.id = id_
        self.tab = tab


class OpenRule(Message):
    """The operator wants to see a rule of the instance: `text` in the layer `layer`."""

    def __init__(self, layer: str, text: str) -> None:
        super().__init__()
        self.layer = layer
        self.text = text


class ChooseCall(Message):
    """The operator wants a call of an instance to be decided otherwise: "allow", "deny" or "as-before"."""

    def __init__(self, row: Row, call: str, action: str) -> None:
        super().__init__()
        self.row = row
        self.call = call
        self.action = action


class OpenLogs(Message):
    """The operator wants to see several instances' logs in one."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self.rows = rows


class OpenHost(Message):
    """The operator wants to see another host, perhaps an instance of it."""

    def __init__(self, name: str, instance: InstanceId | None = None) -> None:
        super().__init__()
        self.name = name
        self.instance = instance


class OpenStart(Message):
    """The operator wants to start another instance, perhaps one of `tenant` and of an image."""

    def __init__(self, tenant: str, image: str = "host") -> None:
        super().__init__()
        self.tenant = tenant
        self.image = image


class Bring(Message):
    """The operator wants an image to be brought by the command of these words, behind `kwhost`."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__()
        self.words = words


class Started(Message):
    """An instance was made and started; `command` does the same."""

    def __init__(self, id_: InstanceId, command: str) -> None:
        super().__init__()
        self.id = id_
        self.command = command


class Answered(Message):
    """The daemon was told something, and has more to tell."""
