"""What a tenant has of what it may have. Pure."""

from collections.abc import Iterable

from kwhost.core.model.status import InstanceState, TenantStatus
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.admission import quota_use

__all__ = ["tenant_status"]


def tenant_status(tenant: Tenant, records: Iterable[InstanceRecord], kept: int) -> TenantStatus:
    """Of these instances' records those of the tenant count; `kept`: as in quota_use."""
    of = [record for record in records if record.tenant == tenant.name]
    # As admission counts: what has ended keeps what it was promised, since it may be started again.
    use = quota_use(tenant, [record.definition for record in of], kept)
    return TenantStatus(
        name=tenant.name,
        users=tenant.users,
        isolation=tenant.isolation.value,
        instances=len(of),
        running=sum(record.state is InstanceState.RUNNING for record in of),
        used=use,
        quota={name: getattr(tenant.quota, name) for name in use},
    )
