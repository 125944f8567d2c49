/* The record one monitor leaves for the next (process/exec.h). */
#include <linux/fcntl.h>
#include <linux/memfd.h>

#include "base/accounts.h"
#include "base/host.h"
#include "base/text.h"
#include "mm/space.h"
#include "process/exec.h"

#define LASTING_FLAGS (EXEC_RING0 | EXEC_RING3 | EXEC_PROC_UNSEALED | EXEC_POLICY | EXEC_CHROOTED)

static u32 lasting_flags; /* facts about the host, the same for every monitor of the instance */

u32 exec_flags(void) {
    return __atomic_load_n(&lasting_flags, __ATOMIC_RELAXED);
}

void exec_flags_add(u32 flags) {
    __atomic_fetch_or(&lasting_flags, flags & LASTING_FLAGS, __ATOMIC_RELAXED);
}

int exec_record_take(struct exec_record *record) {
    int fd = own_fd(OWN_RECORD);
    long got = host(__NR_pread64, fd, record, sizeof(*record), 0);
    if (got == -EBADF)
        return -EBADF;
    host(__NR_close, fd);
    if (got != (long)sizeof(*record) || record->magic != EXEC_MAGIC ||
        record->size != sizeof(*record))
        return -EINVAL;
    record->exe_path[sizeof(record->exe_path) - 1] = 0;
    record->exec_name[sizeof(record->exec_name) - 1] = 0;
    record->comm[sizeof(record->comm) - 1] = 0;
    exec_flags_add(record->flags);
    return 0;
}

int exec_record_leave(struct exec_record *record) {
    record->magic = EXEC_MAGIC;
    record->size = sizeof(*record);
    record->flags |= exec_flags();
    record->vdso_before = vdso_layout.before;
    record->vdso_size = vdso_layout.size;
    record->pids_limit = (u32)accounts_limits().tasks;
    record->memory_limit = accounts_limits().memory;
    struct own_fd_limit saved;
    own_fd_limit_raise(&saved);
    int fd = (int)host(__NR_memfd_create, "record", MFD_CLOEXEC);
    int result = fd;
    if (fd >= 0) {
        struct own_file_limit size_limit;
        own_file_limit_raise(&size_limit);
        long put = host(__NR_pwrite64, fd, record, sizeof(*record), 0);
        own_file_limit_restore(&size_limit);
        if (put == (long)sizeof(*record))
            result = own_fd_place(fd, OWN_RECORD);
        else
            result = put < 0 ? (int)put : -ENOSPC;
        host(__NR_close, fd);
    }
    own_fd_limit_restore(&saved);
    return result;
}
