/* The working directory, reading directories, and calls on descriptors that may stand for something
 * in procfs (procfs/standin.h). */
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "base/text.h"
#include "calls/call.h"
#include "calls/dispatch.h"
#include "calls/handlers.h"
#include "calls/judged.h"
#include "process/thread.h"
#include "procfs/procfs.h"

long sys_chdir(struct call *call) {
    long result = call_brokered(call);
    if (result == 0)
        procfs_cwd_changed(call->thread);
    return result;
}

/* Where rules speak of paths the root stays what it is: the kernel tells them relative to it. */
long sys_chroot(struct call *call) {
    static const struct kw_policy_verdict kept = {.action = KW_POLICY_ERRNO, .error = EPERM};
    long result = paths_are_judged() ? permit(call->thread, kept, "") : 0;
    if (result == 0)
        result = call_brokered(call);
    if (result)
        return result;
    if (policy_table)
        exec_flags_add(EXEC_CHROOTED);
    procfs_cwd_changed(call->thread);
    return 0;
}

/* Changes what a descriptor stands for, however it was opened. */
long descriptor_change(struct call *call) {
    struct host_args args;
    if (likely(!paths_are_judged()))
        return call_forward(call);
    long failed = translate_args(call, &call_table[call->nr], &args);
    return failed ? failed : judged_change(call, &args);
}

long descriptor_forward(struct call *call) {
    long result = -ENOTTY;
    if (guest_fd_ok(call->arg[0]) && (s32)call->arg[0] >= 0)
        result = procfs_fd_call(call, (s32)call->arg[0]);
    return result == -ENOTTY ? call_forward(call) : result;
}

long sys_fchdir(struct call *call) {
    long result = descriptor_forward(call);
    if (result == 0)
        procfs_cwd_changed(call->thread);
    return result;
}

long sys_getcwd(struct call *call) {
    struct thread *thread = call->thread;
    long result = -ENOTTY;
    if (thread->process->cwd_in_proc)
        result = procfs_getcwd(thread, call->arg[0], call->arg[1]);
    return result == -ENOTTY ? call_forward(call) : result;
}

long sys_getdents64(struct call *call) {
    const struct call_entry *entry = &call_table[__NR_getdents64];
    struct host_args args;
    long result = translate_args(call, entry, &args);

    if (result)
        return result;
    result = procfs_getdents(call->thread, (int)args.value[0], call->arg[1], (u32)call->arg[2]);
    return result == -ENOTTY ? make_host_call(call, entry, &args) : result;
}

/* Records of getdents and getdents64 differ in where the type stands: in front of the name, or in
 * the last byte. Their lengths are the same. */
struct dirent64 {
    u64 inode;
    s64 offset;
    u16 length;
    u8 type;
    char name[];
} __attribute__((packed));

/* Rewrites `size` bytes of getdents64 records in guest memory as getdents records. */
static long make_old_records(gva_t buffer, u64 size) {
    u8 record[sizeof(struct dirent64) + NAME_MAX + 1 + sizeof(u64)];
    struct dirent64 *entry = (struct dirent64 *)record;
    u64 done = 0;

    while (done < size) {
        u64 name;
        u8 type;
        if (copy_from_guest(record, buffer + done, sizeof(*entry)))
            return -EFAULT;
        if (entry->length <= sizeof(*entry) || entry->length > sizeof(record) ||
            entry->length > size - done)
            return -EINVAL; /* another guest thread wrote there */
        name = entry->length - sizeof(*entry);
        if (copy_from_guest(entry->name, buffer + done + sizeof(*entry), name))
            return -EFAULT;
        type = entry->type;
        memmove(&entry->type, entry->name, name);
        record[entry->length - 1] = type;
        if (copy_to_guest(buffer + done, record, entry->length))
            return -EFAULT;
        done += entry->length;
    }
    return (long)size;
}

long sys_getdents(struct call *call) {
    const struct call_entry *entry = &call_table[__NR_getdents];
    struct host_args args;
    long result = translate_args(call, entry, &args);

    if (result)
        return result;
    result = procfs_getdents(call->thread, (int)args.value[0], call->arg[1], (u32)call->arg[2]);
    if (result == -ENOTTY)
        return make_host_call(call, entry, &args);
    return result > 0 ? make_old_records(call->arg[1], (u64)result) : result;
}
