"""Describes the cffi module `kwhost.core.abi._abi` from the headers of the native programs.

Run by CMake through `cffi-gen-src`, which takes the variable `ffi`. The names of the system calls
come from the monitor's table, so that Python shows what C counts.
"""

from pathlib import Path

from cffi import FFI

_BEGIN, _END = "/* cdef: begin */", "/* cdef: end */"
_package = Path(__file__).resolve().parents[2]
_PARTS = [Path(__file__).resolve().parent / name for name in ("unpack_jail.c", "owners.c", "project_quota.c")]
_HEADERS = (
    "monitor/abi/kw_abi.h",
    "monitor/abi/kw_policy.h",
    "monitor/abi/kw_learn.h",
    "net/forward/protocol.h",
)

_SOURCE = r"""
#include "abi/kw_abi.h"
#include "abi/kw_learn.h"
#include "abi/kw_policy.h"
#include "forward/protocol.h"
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#define CALL(nr, name, ...) [nr] = #name,
#define REFUSE(nr, name, ...) [nr] = #name,
static const char *const call_names[KW_CALL_LIMIT] = {
#include "calls/table.def"
};

static const char *kw_call_name(uint32_t number) {
    return number < KW_CALL_LIMIT ? call_names[number] : 0;
}

static long kw_openat2(int directory, const char *path, uint64_t flags, uint64_t mode,
                       uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    long fd = syscall(__NR_openat2, directory, path, &how, sizeof how);
    return fd < 0 ? -errno : fd;
}

static int kw_enter_user_namespace(int pidfd) {
    return setns(pidfd, CLONE_NEWUSER) < 0 ? -errno : 0;
}

static int kw_mount_disk(const char *device, const char *place) {
    /* The file has read as zeros from its beginning: tables of inodes need no writing. */
    const char *options = "errors=remount-ro,noinit_itable";
    return mount(device, place, "ext4", MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
}

static int kw_mount(const char *type, const char *place, const char *options) {
    return mount(type, place, type, MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
}

static int kw_unmount(const char *place) {
    return umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}
"""

ffi = FFI()
for header in _HEADERS:
    text = (_package / header).read_text(encoding="utf-8")
    ffi.cdef(text.split(_BEGIN, 1)[1].split(_END, 1)[0])
ffi.cdef("const char *kw_call_name(uint32_t number);")
# System calls that Python 3.11 does not have: a descriptor or 0, or a negative errno.
ffi.cdef("long kw_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);")
ffi.cdef("int kw_enter_user_namespace(int pidfd);")
for declaration in (
    "long kw_receive(int control, char *message, size_t size, int fds[2])",
    "int kw_own_user_namespace(void)",
    "long kw_mount_of(int directory, int user_namespace)",
    "int kw_own_mounts(void)",
    "int kw_enter_mount(int tree)",
    "int kw_keep_file_capabilities(void)",
    "int kw_filter_unpacking(void)",
    "int kw_end_with_parent(void)",
    "int kw_sync_file_system(int fd)",
    "int kw_mount_disk(const char *device, const char *place)",
    "int kw_mount(const char *type, const char *place, const char *options)",
    "int kw_unmount(const char *place)",
    "int kw_project_quota(int fd, unsigned command, unsigned project, void *data)",
    "int kw_exceed_quotas(bool may)",
    "long kw_map_owners(int directory)",
):
    ffi.cdef(f"{declaration};")
ffi.set_source("kwhost.core.abi._abi", _SOURCE + "".join(part.read_text(encoding="utf-8") for part in _PARTS))
