"""What a name, an id or the beginning of one means."""

import re

import pytest

from kwhost.core.errors import Ambiguous, NotFound
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.status import InstanceState
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.lookup import find_record
from tests.unit.fake_hosting import ACME, RIVAL, make_definition


def record(id: str, tenant: TenantName, name: str) -> InstanceRecord:  # noqa: A002
    definition = make_definition(tenant, name)
    return InstanceRecord(
        id=InstanceId(id),
        tenant=tenant,
        name=definition.name,
        definition=definition,
        desired="running",
        state=InstanceState.RUNNING,
        created=1.0,
    )


WEB = record("0123456789ab", ACME, "web")
OTHER_WEB = record("0123ffffffff", RIVAL, "web")
WORKER = record("aaaaaaaaaaaa", ACME, "worker")
HEX = record("bbbbbbbbbbbb", ACME, "0123")
ALL = (WEB, OTHER_WEB, WORKER)


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("0123456789ab", WEB),
        ("01234", WEB),
        ("aaaa", WORKER),
        ("acme/web", WEB),
        ("rival/web", OTHER_WEB),
        ("worker", WORKER),
    ],
)
def test_an_instance_is_found(reference: str, meant: InstanceRecord) -> None:
    assert find_record(ALL, reference, None) is meant


@pytest.mark.parametrize("reference", ["web", "0123"])
def test_what_means_several_is_refused_with_their_names(reference: str) -> None:
    with pytest.raises(Ambiguous, match=re.escape("acme/web (0123456789ab), rival/web (0123ffffffff)")):
        find_record(ALL, reference, None)


@pytest.mark.parametrize("reference", ["aaa", "", "acme/", "acme/nobody", "/web", "WEB", "123456", "a" * 13])
def test_what_means_nobody_is_not_found(reference: str) -> None:
    with pytest.raises(NotFound, match=re.escape(repr(reference))):
        find_record(ALL, reference, None)


def test_a_name_goes_before_the_beginning_of_an_id() -> None:
    assert find_record((*ALL, HEX), "0123", None) is HEX


def test_others_instances_are_as_if_they_were_not() -> None:
    own = {RIVAL}

    assert find_record(ALL, "web", own) is OTHER_WEB
    assert find_record(ALL, "0123", own) is OTHER_WEB
    for reference in ("worker", "acme/web", WEB.id):
        with pytest.raises(NotFound):
            find_record(ALL, reference, own)
