"""What each hook may answer. A plugin's answer is not trusted to be what its signature says."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import TypeVar

import msgspec

from kwhost.core.model.decisions import Answer, Scope
from kwhost.core.model.floors import isolation_of, meets
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.image import ImageSettings
from kwhost.core.model.instance import Isolation
from kwhost.core.model.mounts import Mount
from kwhost.core.model.network import Uplink
from kwhost.core.model.rules import EVERY_RULE
from kwhost.core.model.taps import TAP_QUEUES_MAX
from kwhost.core.pluginmgr.faults import PluginFault
from kwhost.hookspecs import (
    CliCommand,
    EngineOffer,
    ImagePlan,
    ImageSource,
    Metric,
    MetricKind,
    NetworkOffer,
    Sample,
    StorageOffer,
    TuiCell,
    TuiColumn,
    TuiInstanceColumn,
    TuiPanel,
    TuiTone,
)

__all__ = ["CHECKS", "SAMPLES_MAX", "check_cells", "check_image_plan", "check_rows", "is_record_type"]

T = TypeVar("T")

# One plugin's contribution to the metrics.
SAMPLES_MAX = 10_000

_REASON_MAX = 300
_OFFERS_MAX = 100
_LABEL_MAX = 200
_TITLE_MAX, _COLUMNS_MAX, _WIDTH_MAX, _ROWS_MAX, _CELL_MAX = 40, 20, 200, 2000, 20
_TABLE_MAX = 20_000
_TABLE_DEPTH = 8
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,127}")
# Not "all" and "default", which mean every interface to the kernel.
_INTERFACE = re.compile(r"(?!(?:all|default|lo)$)[a-zA-Z][a-zA-Z0-9_-]{0,14}")
_BACKING = ("make", "show", "hide", "count_used", "is_busy", "remove")
_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64})?")
_SUBNETS_MAX = 1000
_MTU_MIN, _MTU_MAX = 1280, 65_535  # IPv6 needs the one, no packet is larger than the other
# What networks of their own may have: the private ranges, and shared and unique local addresses.
_OWN_RANGES = (
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),
    IPv6Network("fc00::/7"),
)
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,63}")


def _require(condition: object, text: str) -> None:
    if not condition:
        raise PluginFault(text)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_line(value: object, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest and value.isprintable()


def _sequence(value: object, kind: type[T], most: int) -> tuple[T, ...]:
    _require(isinstance(value, list | tuple), f"the answer is {type(value).__name__}, not a list or tuple")
    assert isinstance(value, Sequence)
    _require(len(value) <= most, f"the answer has {len(value)} entries, {most} are allowed")
    copy = tuple(value)
    for entry in copy:
        _require(isinstance(entry, kind), f"an entry is {type(entry).__name__}, not {kind.__name__}")
    return copy


def _offers(value: object, kind: type[T]) -> tuple[T, ...]:
    """Records with a name of their own each."""
    offers = _sequence(value, kind, _OFFERS_MAX)
    names = [getattr(offer, "name", None) for offer in offers]
    for name in names:
        _require(_matches(_NAME, name), f"{kind.__name__}: {name!r} is no name")
        _require(names.count(name) == 1, f"{kind.__name__}: the name {name!r} comes twice")
    return offers


def _check_engines(value: object) -> object:
    offers = _offers(value, EngineOffer)
    for offer in offers:
        _require(isinstance(offer.isolation, Isolation), f"engine {offer.name}: isolation is no Isolation")
        named = isolation_of(offer.name)
        _require(
            meets(offer.isolation, named),
            f"engine {offer.name}: is to give the isolation {named.value} at least",
        )
        _require(callable(offer.factory), f"engine {offer.name}: factory cannot be called")
        kinds: object = offer.enforces
        known = isinstance(kinds, frozenset) and kinds <= EVERY_RULE
        _require(known, f"engine {offer.name}: enforces is no frozenset of RuleKind")
        queues: object = offer.tap_queues
        counted = queues is None or (type(queues) is int and 1 <= queues <= TAP_QUEUES_MAX)
        _require(counted, f"engine {offer.name}: tap_queues is no number from 1 to {TAP_QUEUES_MAX}")
    return offers


def _check_image_sources(value: object) -> object:
    sources = _offers(value, ImageSource)
    for source in sources:
        _require(callable(source.plan), f"image source {source.name}: plan cannot be called")
    return sources


def _check_storages(value: object) -> object:
    offers = _offers(value, StorageOffer)
    for offer in offers:
        _require(_is_line(offer.summary, _REASON_MAX), f"storage {offer.name}: summary is no short line")
        least: object = offer.least
        _require(
            least is None or (type(least) is int and least > 0), f"storage {offer.name}: least is {least!r}"
        )
        for method in _BACKING:
            callable_ = callable(getattr(offer.backing, method, None))
            _require(callable_, f"storage {offer.name}: its backing has no method {method}")
    return offers


def _check_networks(value: object) -> object:
    networks = _offers(value, NetworkOffer)
    for network in networks:
        _require(_is_line(network.summary, _REASON_MAX), f"network {network.name}: summary is no short line")
        for function in (network.attach, network.detach):
            callable_or_none = function is None or callable(function)
            _require(callable_or_none, f"network {network.name}: attach or detach cannot be called")
    return networks


def _is_own_range(subnet: object) -> bool:
    if isinstance(subnet, IPv4Network):
        return any(isinstance(own, IPv4Network) and subnet.subnet_of(own) for own in _OWN_RANGES)
    if isinstance(subnet, IPv6Network):
        return any(isinstance(own, IPv6Network) and subnet.subnet_of(own) for own in _OWN_RANGES)
    return False


def _check_uplink(uplink: Uplink) -> Uplink:
    name: object = uplink.interface
    _require(_matches(_INTERFACE, name), f"{name!r} is no interface for an uplink")
    mtu: object = uplink.mtu
    valid = isinstance(mtu, int) and _MTU_MIN <= mtu <= _MTU_MAX
    _require(valid, f"uplink {name}: the mtu is {mtu!r}, not {_MTU_MIN} to {_MTU_MAX}")
    subnets = _sequence(uplink.subnets, object, _SUBNETS_MAX)
    _require(subnets, f"uplink {name}: there are no subnets")
    for subnet in subnets:
        _require(_is_own_range(subnet), f"uplink {name}: {subnet} is no network of private addresses")
    return dataclasses.replace(uplink, subnets=tuple(uplink.subnets))


def _check_network_uplinks(value: object) -> object:
    uplinks = tuple(_check_uplink(uplink) for uplink in _sequence(value, Uplink, _OFFERS_MAX))
    names = [uplink.interface for uplink in uplinks]
    _require(len(set(names)) == len(names), "an uplink comes twice")
    return uplinks


def _check_cli_commands(value: object) -> object:
    commands = _offers(value, CliCommand)
    for command in commands:
        _require(_is_line(command.summary, _REASON_MAX), f"command {command.name}: summary is no short line")
        _require(callable(command.main), f"command {command.name}: main cannot be called")
    return commands


def _check_tui_panels(value: object) -> object:
    panels = _offers(value, TuiPanel)
    for panel in panels:
        _require(_is_line(panel.title, _TITLE_MAX), f"panel {panel.name}: title is no short line")
        columns = _sequence(panel.columns, TuiColumn, _COLUMNS_MAX)
        _require(columns, f"panel {panel.name}: there are no columns")
        for column in columns:
            _require(_is_line(column.title, _TITLE_MAX), f"panel {panel.name}: a title is no short line")
            wide = type(column.width) is int and 0 <= column.width <= _WIDTH_MAX
            _require(wide, f"panel {panel.name}: the width {column.width!r} cannot be")
        _require(callable(panel.read), f"panel {panel.name}: read cannot be called")
    return panels


def _check_tui_columns(value: object) -> object:
    columns = _offers(value, TuiInstanceColumn)
    for column in columns:
        _require(_is_line(column.title, _TITLE_MAX), f"column {column.name}: title is no short line")
        wide = type(column.width) is int and 1 <= column.width <= _CELL_MAX
        _require(wide, f"column {column.name}: the width {column.width!r} is not 1 to {_CELL_MAX}")
        _require(callable(column.read), f"column {column.name}: read cannot be called")
    return columns


def check_cells(value: object, known: Iterable[InstanceId]) -> dict[InstanceId, TuiCell]:
    """The answer of a column's `read`: cells of `known` instances, each as long as it can be seen."""
    _require(isinstance(value, Mapping), f"the answer is {type(value).__name__}, not a mapping")
    assert isinstance(value, Mapping)
    found = {id_: value[id_] for id_ in known if id_ in value}
    cells = {id_: _check_cell(TuiCell(cell) if type(cell) is str else cell) for id_, cell in found.items()}
    return {id_: cell._replace(text=cell.text[:_CELL_MAX]) for id_, cell in cells.items()}


def check_rows(panel: TuiPanel, value: object) -> list[tuple[TuiCell, ...]]:
    """The answer of a panel's `read`."""
    return [_check_row(panel, row) for row in _sequence(value, object, _ROWS_MAX)]


def _check_row(panel: TuiPanel, row: object) -> tuple[TuiCell, ...]:
    cells = [TuiCell(cell) if type(cell) is str else cell for cell in _sequence(row, object, _COLUMNS_MAX)]
    wanted = len(panel.columns)
    _require(len(cells) == wanted, f"a row has {len(cells)} cells, and there are {wanted} columns")
    return tuple(_check_cell(cell) for cell in cells)


def _check_cell(cell: object) -> TuiCell:
    _require(isinstance(cell, TuiCell), f"a cell is {type(cell).__name__}, neither a text nor TuiCell")
    assert isinstance(cell, TuiCell)
    text: object = cell.text
    tone: object = cell.tone
    _require(isinstance(text, str), f"a cell's text is {type(text).__name__}")
    _require(isinstance(tone, TuiTone), f"a cell's tone is {type(tone).__name__}")
    return cell


def is_record_type(value: object) -> bool:
    """Whether this is a class that a table of the configuration can become."""
    return isinstance(value, type) and (issubclass(value, msgspec.Struct) or dataclasses.is_dataclass(value))


def _check_configuration_type(value: object) -> object:
    _require(is_record_type(value), "the answer is neither a msgspec.Struct nor a dataclass")
    return value


def _check_reason(value: object) -> object:
    _require(
        value is None or isinstance(value, str), f"the answer is {type(value).__name__}, not a reason or None"
    )
    if value is None:
        return None
    assert isinstance(value, str)
    text = " ".join("".join(char if char.isprintable() else " " for char in value).split())
    return text[:_REASON_MAX] or "it gives no reason"


def _check_nothing(value: object) -> object:
    _require(value is None, f"the answer is {type(value).__name__}, nothing is expected")
    return None


def _copy_table(value: object, room: list[int], depth: int) -> object:
    """A copy of what TOML could hold; `room` is how many more values there may be."""
    room[0] -= 1
    _require(room[0] >= 0, f"the table has more than {_TABLE_MAX} values")
    _require(depth <= _TABLE_DEPTH, f"the table is nested more than {_TABLE_DEPTH} deep")
    if isinstance(value, Mapping):
        _require(all(isinstance(key, str) for key in value), "a key of the table is no text")
        return {str(key): _copy_table(entry, room, depth + 1) for key, entry in list(value.items())}
    if isinstance(value, list | tuple):
        return [_copy_table(entry, room, depth + 1) for entry in list(value)]
    _require(isinstance(value, str | int | float), f"the table has a {type(value).__name__} in it")
    return value


def _check_policy_layer(value: object) -> object:
    _require(
        value is None or isinstance(value, Mapping), f"the answer is {type(value).__name__}, not a table"
    )
    return None if value is None else _copy_table(value, [_TABLE_MAX], 0)


def _check_answer(value: object) -> object:
    if value is None:
        return None
    _require(isinstance(value, Answer), f"the answer is {type(value).__name__}, not Answer or None")
    assert isinstance(value, Answer)
    given: tuple[object, object] = value.allow, value.scope
    allow, scope = given
    _require(isinstance(allow, bool), "allow is neither True nor False")
    _require(isinstance(scope, Scope), "scope is no Scope")
    return Answer(allow=value.allow, scope=value.scope)


def _check_sample(metric: str, sample: Sample) -> Sample:
    labels: object = sample.labels
    _require(isinstance(labels, Mapping), f"metric {metric}: labels are no dictionary")
    assert isinstance(labels, Mapping)
    for name, value in labels.items():
        _require(_matches(_LABEL_NAME, name), f"metric {metric}: {name!r} is no name of a label")
        _require(isinstance(value, str), f"metric {metric}: the label {name} is no text")
    number: object = sample.value
    valid = isinstance(number, int | float) and not isinstance(number, bool) and not math.isnan(number)
    _require(valid, f"metric {metric}: {number!r} is no number")
    copy = {name: value[:_LABEL_MAX] for name, value in labels.items()}
    return Sample(value=float(sample.value), labels=copy)


def _check_metric(metric: Metric) -> Metric:
    name = metric.name
    _require(_matches(_METRIC_NAME, name), f"{name!r} is no name of a metric")
    _require(_is_line(metric.help, _REASON_MAX), f"metric {name}: help is no short line")
    _require(isinstance(metric.kind, MetricKind), f"metric {name}: kind is no MetricKind")
    counter = metric.kind is MetricKind.COUNTER
    _require(counter == name.endswith("_total"), f"metric {name}: counters end in _total, and they alone")
    samples = _sequence(metric.samples, Sample, SAMPLES_MAX)
    checked = tuple(_check_sample(name, sample) for sample in samples)
    return dataclasses.replace(metric, samples=checked)


def _check_metrics(value: object) -> object:
    metrics = tuple(_check_metric(metric) for metric in _sequence(value, Metric, SAMPLES_MAX))
    count = sum(len(metric.samples) for metric in metrics)
    _require(count <= SAMPLES_MAX, f"{count} samples, {SAMPLES_MAX} are allowed")
    names = [metric.name for metric in metrics]
    _require(len(set(names)) == len(names), "a metric comes twice")
    return metrics


def check_image_plan(value: object) -> ImagePlan:
    """The answer of an image source's `plan`."""
    _require(isinstance(value, ImagePlan), f"the plan is {type(value).__name__}, not ImagePlan")
    assert isinstance(value, ImagePlan)
    root: object = value.accounts_root
    valid = isinstance(root, str) and root.startswith("/") and "\0" not in root
    _require(valid, "accounts_root is no absolute path")
    _require(_matches(_DIGEST, value.digest), "digest is neither empty nor sha256: and 64 hexadecimal digits")
    pin: object = value.pin
    _require(type(pin) is int and (pin == -1 or pin > 2), f"the pin {pin!r} is no descriptor")
    settings = None if value.settings is None else _check_settings(value.settings)
    return dataclasses.replace(value, mounts=_sequence(value.mounts, Mount, 10_000), settings=settings)


def _check_settings(value: object) -> ImageSettings:
    """A copy whose fields have the types that they are to have."""
    _require(isinstance(value, ImageSettings), f"settings is {type(value).__name__}, not ImageSettings")
    try:
        return msgspec.convert(msgspec.to_builtins(value), ImageSettings)
    except (msgspec.ValidationError, TypeError) as error:
        raise PluginFault(f"settings: {error}") from error


# Each takes an answer and returns it, copied where it could change; raises PluginFault.
CHECKS: Mapping[str, Callable[[object], object]] = MappingProxyType(
    {
        "configuration_type": _check_configuration_type,
        "engines": _check_engines,
        "image_sources": _check_image_sources,
        "storages": _check_storages,
        "networks": _check_networks,
        "network_uplinks": _check_network_uplinks,
        "cli_commands": _check_cli_commands,
        "tui_panels": _check_tui_panels,
        "tui_columns": _check_tui_columns,
        "admit_instance": _check_reason,
        "policy_layer": _check_policy_layer,
        "answer_question": _check_answer,
        "policy_decision": _check_nothing,
        "instance_event": _check_nothing,
        "metrics": _check_metrics,
        "serve": _check_nothing,
    }
)
