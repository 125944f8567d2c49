"""The table that policies are compiled into (kw_policy.h)."""

from kwhost.core.abi._abi import ffi

__all__ = ["POLICY_SIZE"]

# Bytes of a struct kw_policy, most of them zeros in any policy.
POLICY_SIZE: int = ffi.sizeof("struct kw_policy")
