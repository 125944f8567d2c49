"""Opening the KVM device, with advice where that fails."""

import errno
import fcntl
import grp
import os

from kwhost.core.errors import KvmError

__all__ = ["KVM_DEVICE", "lacking_kvm", "open_kvm"]

KVM_DEVICE = "/dev/kvm"

_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01
_API_VERSION = 12


def _group_advice(device: str) -> str:
    """How an ordinary user gets at the device."""
    try:
        info = os.stat(device)
        group = grp.getgrgid(info.st_gid).gr_name
    except (OSError, KeyError):
        return "run as root, or give your user access to it"
    if info.st_mode & 0o060 == 0o060 and group != "root":
        return f"add your user to its group (usermod -aG {group} USER, then log in again)"
    return f"run as root, or let a group use it (chgrp kvm {device}; chmod 660 {device})"


def open_kvm(device: str = KVM_DEVICE) -> int:
    """A descriptor of the device; KvmError says what to do where there is none to be had."""
    try:
        fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KvmError(
            f"{device} does not exist: load KVM (modprobe kvm_intel or kvm_amd), after enabling "
            "virtualization in the firmware or, in a virtual machine, nested virtualization"
        ) from None
    except PermissionError:
        raise KvmError(f"no permission to open {device}: {_group_advice(device)}") from None
    except OSError as error:
        advice = "; the KVM module is not loaded" if error.errno in (errno.ENODEV, errno.ENXIO) else ""
        raise KvmError(f"cannot open {device}: {error.strerror}{advice}") from error
    try:
        version = fcntl.ioctl(fd, _KVM_GET_API_VERSION, 0)
    except OSError as error:
        os.close(fd)
        raise KvmError(f"{device} is no KVM device: {error.strerror}") from error
    if version != _API_VERSION:
        os.close(fd)
        raise KvmError(f"{device} speaks version {version} of the KVM interface, kwhost needs {_API_VERSION}")
    return fd


def lacking_kvm(device: str = KVM_DEVICE) -> str:
    """Why no virtual machine can be made here; "" where one can."""
    try:
        kvm = open_kvm(device)
    except KvmError as error:
        return str(error)
    try:
        os.close(fcntl.ioctl(kvm, _KVM_CREATE_VM, 0))
    except OSError as error:
        return f"{device} makes no virtual machine: {error.strerror}"
    finally:
        os.close(kvm)
    return ""
