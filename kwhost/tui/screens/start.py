"""A new instance."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import ClassVar

import msgspec
from textual import on, work
from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Static

from kwhost.core.errors import KwhostError
from kwhost.core.model.definition import Restart
from kwhost.core.model.image import ListedImage, StoredImage
from kwhost.core.model.instance import Engine
from kwhost.core.model.status import InstanceStatus
from kwhost.core.model.text import clean
from kwhost.core.model.volume import StoredVolume
from kwhost.tui.draft import FIELDS, Draft, DraftField, hints_of, image_of, places_of, read_draft
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.messages import Started
from kwhost.tui.records import read
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.screens.image import inspect
from kwhost.tui.widgets.form import Form, Line

__all__ = ["StartScreen"]

_POLICIES = ("default", "strict", "web")


class StartScreen(HostScreen):
    """A form; what is wrong stands beside each line while it is written."""

    DEFAULT_CSS = """
    StartScreen #title { height: 1; padding: 0 1; background: $surface; text-style: bold; }
    StartScreen #command {
        height: auto; max-height: 4; padding: 0 1; color: $accent; background: $surface; overflow-y: auto;
    }
    StartScreen #trouble { height: auto; max-height: 3; padding: 0 1; color: $error; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("start")

    def __init__(self, host: Host, tenant: str, image: str) -> None:
        super().__init__(host)
        values = {"tenant": tenant, "image": image}
        self._form = Form([_line(field, host, values.get(field.name, "")) for field in FIELDS])
        self._images: tuple[ListedImage, ...] = ()
        self._volumes: tuple[StoredVolume, ...] = ()
        self._offered = ("", "")
        self._command = Static("", id="command", markup=False)
        self._trouble = Static("", id="trouble", markup=False)
        self._draft: Draft = read_draft({})
        self._asked = False

    def content(self) -> Iterable[Widget]:
        """The form, and the command that does the same."""
        yield Static("A new instance", id="title")
        yield self._form
        yield self._trouble
        yield self._command

    def on_mount(self) -> None:
        """Keys are the form's."""
        super().on_mount()
        self._form.begin()
        self._read()
        self._learn_policies()
        self._learn_files()

    @work
    async def _learn_policies(self) -> None:
        """Only operators may read which there are; others know the built-in ones."""
        try:
            names = read(await self.host.client.request("GET", "/v1/policies"), tuple[str, ...])
        except KwhostError:
            return
        self._form.know("policy", names)

    @work
    async def _learn_files(self) -> None:
        """Images and volumes."""
        ask = self.host.client.request
        try:
            self._images = read(await ask("GET", "/v1/images", {"all": True}), tuple[ListedImage, ...])
            self._volumes = read(await ask("GET", "/v1/volumes", {"all": True}), tuple[StoredVolume, ...])
        except KwhostError:
            pass  # what is not offered can still be written
        self._offered = ("", "")
        self._offer_files()

    def _offer_files(self) -> None:
        """Those of the tenant; and what the image that is chosen says of other lines."""
        values = self._form.values
        tenant, text = offered = values["tenant"].strip(), values["image"].strip()
        if offered == self._offered:
            return
        self._offered = offered
        names = {each.name for each in self._images if each.tenant in (tenant, None)}
        self._form.know("image", sorted(names | _running(self.host)))
        self._offer_more(image_of(text, tenant, self._images), tenant)

    @work(exclusive=True, group="image")
    async def _offer_more(self, listed: ListedImage | None, tenant: str) -> None:
        """What the image says."""
        image: StoredImage | None = None
        if listed:
            with suppress(KwhostError):
                image = await inspect(self.host, listed)
        self._form.hint(hints_of(image))
        volumes = [each.name for each in self._volumes if each.tenant == tenant and each.instance is None]
        self._form.know("volumes", places_of(image, volumes))

    @on(Form.Changed)
    def _read(self) -> None:
        self._offer_files()
        self._draft = read_draft(self._form.values)
        problems = self._draft.problems
        self._form.show_problems(problems)
        self._trouble.update(clean(problems.get("") or problems.get(self._form.current, "")))
        self._command.update(clean(f"$ {self._draft.command}") if self._draft.command else "")

    def action_go(self) -> None:
        """Start it."""
        if self._draft.definition is None:
            count = len(self._draft.problems)
            self.notify(
                f"{count} {'line needs' if count == 1 else 'lines need'} another look", severity="warning"
            )
        elif not self._asked:
            self._start(self._draft)

    @work
    async def _start(self, draft: Draft) -> None:
        self._asked = True
        self._trouble.update("starting ...")
        body = msgspec.to_builtins(draft.definition)
        try:
            answer = await self.host.client.request("POST", "/v1/instances", {"start": True}, body)
            status = read(answer, InstanceStatus)
        except KwhostError as error:
            self._asked = False
            self._trouble.update(clean(str(error)))
            return
        self.dismiss()
        self.post_message(Started(status.id, draft.command))

    def action_back(self) -> None:
        """Start none."""
        self.dismiss()


def _line(field: DraftField, host: Host, value: str) -> Line:
    known: dict[str, Sequence[str]] = {
        "tenant": [each.name for each in host.tenants],
        "policy": _POLICIES,
        "engine": [each.value for each in Engine],
        "network": ("none", "tenant", "host"),
        "restart": [each.value for each in Restart],
    }
    return Line(field.name, field.label, field.hint, value, known.get(field.name, ()))


def _running(host: Host) -> set[str]:
    """The images of what there is. What a line would show otherwise is no name that one wants to write."""
    names = {row.status.image for row in host.fleet.rows()}
    return {name for name in names if clean(name) == name} | {"host"}
