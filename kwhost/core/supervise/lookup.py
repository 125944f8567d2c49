"""Which instance a reference means. Pure."""

from collections.abc import Container, Iterable

from kwhost.core.errors import Ambiguous, NotFound
from kwhost.core.model.ids import TenantName
from kwhost.core.store.records import InstanceRecord

__all__ = ["find_record"]

_PREFIX_LEAST = 4


def find_record(
    records: Iterable[InstanceRecord], reference: str, tenants: Container[TenantName] | None
) -> InstanceRecord:
    """By id, the beginning of an id, TENANT/NAME or NAME; see hosting.Hosting.find."""
    visible = [record for record in records if tenants is None or record.tenant in tenants]
    for record in visible:
        if reference in (record.id, f"{record.tenant}/{record.name}"):
            return record
    if named := [record for record in visible if record.name == reference]:
        return _only(named, reference)
    begun = [record for record in visible if record.id.startswith(reference)]
    if len(reference) >= _PREFIX_LEAST and begun:
        return _only(begun, reference)
    raise NotFound(f"there is no instance {reference!r}; kwhost ps shows all")


def _only(found: list[InstanceRecord], reference: str) -> InstanceRecord:
    if len(found) > 1:
        names = ", ".join(sorted(f"{record.tenant}/{record.name} ({record.id})" for record in found))
        raise Ambiguous(f"{reference!r} means several instances: {names}; write TENANT/NAME or the id")
    return found[0]
