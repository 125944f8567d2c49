"""Which instances need which: every name exists, and nobody waits for himself."""

from graphlib import CycleError, TopologicalSorter

from kwhost.core.config.build import DeclaredTenant
from kwhost.core.config.tables import nearest

__all__ = ["check_dependencies"]


def check_dependencies(declared: DeclaredTenant) -> None:
    """Report names that nobody has, and each circle as a chain."""
    owners = {name: instance.definition.name for instance in declared.instances for name in instance.names()}
    owners |= {instance.definition.name: instance.definition.name for instance in declared.instances}
    needs: dict[str, list[str]] = {}
    for instance in declared.instances:
        own = instance.definition.name
        needs[own] = []
        for index, name in enumerate(instance.definition.depends_on):
            if name in owners:
                needs[own].append(owners[name])
            else:
                hint = nearest(name, list(owners), "there are")
                instance.place.below("depends_on", index).report(f"the tenant has no instance {name}{hint}")
    _report_circles(declared, needs)


def _report_circles(declared: DeclaredTenant, needs: dict[str, list[str]]) -> None:
    order = list(needs)
    while circle := _find_circle(needs):
        first = min(range(len(circle)), key=lambda index: order.index(circle[index]))
        circle = circle[first:] + circle[:first]
        chain = " -> ".join([*circle, circle[0]])
        declared.place.below("instances", circle[0], "depends_on").report(f"goes in a circle: {chain}")
        needs[circle[-1]].remove(circle[0])  # and look for the next one


def _find_circle(needs: dict[str, list[str]]) -> list[str]:
    """Instances each of which needs the next, and the last the first; empty where there is no circle."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle[:0:-1]  # it lists who is needed first, and the first again at the end
    return []
