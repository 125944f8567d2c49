"""The policy of a sealed instance."""

from collections.abc import Mapping

from kwhost_seal.configuration import Rule

__all__ = ["ALWAYS_WRITABLE", "seal_table"]

# Nothing that is written there stays.
ALWAYS_WRITABLE = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty")


def seal_table(rule: Rule) -> Mapping[str, object]:
    """A policy table that allows everything but what the rule takes away. Of the rules on a path the one
    with the longest literal beginning decides, so that writable places stand out of "/**"."""
    files = [{"path": "/**", "access": "rx"}]
    files += [{"path": path, "access": "rw"} for path in ALWAYS_WRITABLE]
    files += [{"path": path, "access": "rwx"} for path in rule.writable if path not in ALWAYS_WRITABLE]
    denied = [] if rule.exec else ["execve", "execveat"]
    table: dict[str, object] = {"default": "allow"}
    if not rule.listen:
        # The call is refused whatever the socket's family; the network rule adds ports that are bound.
        denied.append("listen")
        table["network"] = [{"listen": [], "action": "deny"}]
    if "/**" not in rule.writable:
        table["files"] = files
    return table | {"syscalls": {"deny": denied}}
