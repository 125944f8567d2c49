"""What instances need for a network: root's daemon makes it itself, an ordinary user's has pasta do it."""

import os
from importlib import import_module

from kwhost.core.hostcheck.report import Finding, Verdict

__all__ = ["check_network"]

# Loaded by their names: the core knows no network tools.
_PASTA, _TRIAL = "kwhost.net.pasta", "kwhost.net.trial"
_BRIDGE_SETTINGS = "net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0"


def check_network() -> list[Finding]:
    """By trying, in network namespaces that are gone afterwards."""
    return _check_networks_of_tenants() if os.geteuid() == 0 else [_check_pasta()]


def _check_pasta() -> Finding:
    missing: str = import_module(_PASTA).missing_pasta()
    return Finding(
        name="network",
        verdict=Verdict.WEAKER if missing else Verdict.OK,
        seen="an instance's own loopback only" if missing else "by pasta, for each instance its own",
        advice=missing,
    )


def _check_networks_of_tenants() -> list[Finding]:
    trial = import_module(_TRIAL)
    missing: str = trial.lacking_network()
    if missing:
        return [_weaker("network", "instances have their own loopback, or that of the host", missing)]
    findings = [Finding("network", Verdict.OK, "networks of tenants, with rules and rates")]
    if settings := trial.lacking_forwarding():
        advice = f"run sysctl {' '.join(settings)} where instances are to call others, or to be called"
        findings.append(_weaker("forwarding", "instances reach their tenant's network only", advice))
    if trial.filters_bridged():
        advice = f"run sysctl {_BRIDGE_SETTINGS} where a tenant has an upload rate and nobody else needs this"
        seen = "filtered as routed ones too (br_netfilter): slower, and no upload rates of tenants"
        findings.append(_weaker("bridged packets", seen, advice))
    return findings


def _weaker(name: str, seen: str, advice: str) -> Finding:
    return Finding(name=name, verdict=Verdict.WEAKER, seen=seen, advice=advice)
