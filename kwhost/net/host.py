"""The network of this host as one owner sees it: read it, compare it, change it. Blocking."""

from dataclasses import replace
from functools import partial

from kwhost.core.errors import Conflict, NetworkError
from kwhost.net.addresses import Used
from kwhost.net.applying import apply_steps
from kwhost.net.fitting import fit
from kwhost.net.layout import lay_out, port_of
from kwhost.net.listing import read_tables
from kwhost.net.names import LinkName, Owner
from kwhost.net.namespaces import run_inside
from kwhost.net.nft import Nft
from kwhost.net.plan import plan
from kwhost.net.reading import filters_bridged, read_state
from kwhost.net.state import State, TapOptions
from kwhost.net.steps import ChangeTables, Step
from kwhost.net.tap import open_tap
from kwhost.net.wishes import Attachment, Namespace, TapEnd, Wishes

__all__ = ["HostNetwork"]


class HostNetwork:
    """`namespace` is the network namespace of the bridges; None: this process's. One call at a time."""

    def __init__(self, owner: Owner, namespace: Namespace | None = None) -> None:
        self.owner = owner
        self.namespace = namespace
        # What was applied last, where all of it succeeded: as good as reading the host's state, at no cost.
        self._believed: State | None = None
        # From a listing of tables that we loaded to the text that they were made of. A new process knows
        # none, and loads its rules once: they may be newer.
        self._known_rules: dict[str, str] = {}
        self._nft: Nft | None = None

    def steps(self, wishes: Wishes) -> tuple[Step, ...]:
        """What has to be done, by what there is. Raises Conflict and NetworkError."""
        actual = self._read(lay_out(wishes))
        fitting, _ = fit(wishes, actual)
        return plan(lay_out(fitting), actual)

    def used(self) -> frozenset[Used]:
        """The addresses that others on this host have. Raises NetworkError."""
        return self._read(lay_out(Wishes(owner=self.owner))).used

    def reconcile(self, wishes: Wishes) -> dict[LinkName, NetworkError]:
        """Make what there is what shall be, whatever has happened to it.

        The answer says which links could not be set up. Raises Conflict and NetworkError for what concerns
        all; Conflict before anything is changed.
        """
        actual = self._read(lay_out(wishes))
        fitting, failures = fit(wishes, actual)
        desired = lay_out(fitting)
        return self._apply(desired, actual, plan(desired, actual)) | failures

    def change(self, wishes: Wishes) -> dict[LinkName, NetworkError]:
        """The same without looking, by what was applied last: for what changes often.

        Who ends an instance's namespace after it was detached need not wait until the kernel has removed the
        link: where the namespace lives on, `reconcile` removes it.
        """
        if self._believed is None:
            return self.reconcile(wishes)
        filtered = run_inside(
            self.namespace, filters_bridged
        )  # whether an upload rate can be had hangs on it
        actual = replace(self._believed, filters_bridged=filtered)
        fitting, failures = fit(wishes, actual)
        desired = lay_out(fitting)
        try:
            steps = plan(desired, actual, retiring=True)
        except (Conflict, NetworkError):  # the host may have changed since
            return self.reconcile(wishes)
        return self._apply(desired, actual, steps) | failures

    def open_tap(self, one: Attachment, queues: int) -> list[int]:
        """A descriptor for each queue of an attached instance's tap, for its engine; see kwhost.net.tap. It
        may be called beside others."""
        if not isinstance(one.end, TapEnd):
            raise NetworkError(f"instance {one.tenant}/{one.name} is not attached by a tap")
        options = TapOptions(one.end.uid, one.end.multi_queue)
        return run_inside(self.namespace, partial(open_tap, port_of(one), options, queues))

    def _read(self, desired: State) -> State:
        return run_inside(self.namespace, lambda: read_state(self._tables(), desired, self._known_rules))

    def _tables(self) -> Nft:
        """To be called in the namespace."""
        if self._nft is None:
            self._nft = Nft()
        return self._nft

    def _apply(self, desired: State, actual: State, steps: tuple[Step, ...]) -> dict[LinkName, NetworkError]:
        self._believed = None
        failures = run_inside(self.namespace, partial(self._run, desired, steps))
        if not failures:
            self._believed = replace(
                desired,
                strangers=actual.strangers,
                used=actual.used,
                filters_bridged=actual.filters_bridged,
                not_forwarding=actual.not_forwarding,
            )
        return failures

    def _run(self, desired: State, steps: tuple[Step, ...]) -> dict[LinkName, NetworkError]:
        failures = apply_steps(self._tables(), self.owner, steps)
        changed = any(isinstance(step, ChangeTables) for step in steps)
        if changed and desired.tables.rules not in self._known_rules.values():
            listing = read_tables(self._tables(), self.owner)
            if listing.rules is not None and desired.tables.rules is not None:
                self._known_rules = {listing.rules: desired.tables.rules}
        return failures
