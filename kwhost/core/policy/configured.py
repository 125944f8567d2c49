"""Configurations with their policies: the rules in `[policies]` are checked with everything else."""

from pathlib import Path

from kwhost.core.config.configuration import Configuration
from kwhost.core.config.load import load_configuration, load_default_configuration
from kwhost.core.policy.library import Library, read_policies

__all__ = ["configured_policies", "load_default_hosting", "load_hosting"]


def load_hosting(path: Path) -> Configuration:
    """As config.load.load_configuration, with the rules of policies checked too."""
    return load_configuration(path, check_policies=read_policies)


def load_default_hosting() -> Configuration:
    """As config.load.load_default_configuration, with the rules of policies checked too."""
    return load_default_configuration(read_policies)


def configured_policies(configuration: Configuration) -> Library:
    """The built-in policies and those of a configuration. Raises ConfigErrors where it was loaded without
    a check."""
    return read_policies(configuration.policy_settings, configuration.policy_place)
