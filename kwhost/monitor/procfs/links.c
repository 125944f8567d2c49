/* Reading symbolic links of procfs, and naming what descriptors and directories stand for. */
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "base/host.h"
#include "mm/window.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/ask.h"
#include "procfs/procfs.h"
#include "procfs/serve.h"
#include "procfs/standin.h"
#include "procfs/table.h"

/* "/proc" or "/proc/inside" */
static long proc_path(const char *inside, char *text, u64 size) {
    int length = format(text, size, "/proc%s%s", inside[0] ? "/" : "", inside);
    return (long)min_u64((u64)length, size - 1);
}

static bool in_real_procfs(const struct stat *status) {
    struct stat root;
    return host(__NR_fstat, own_fd(OWN_PROC), &root) >= 0 && root.st_dev == status->st_dev;
}

long guest_link_text(const char *path, char *text, u64 size) {
    char inside[PATH_MAX];
    struct stat status;
    long length = host(__NR_readlinkat, own_fd(OWN_PROC), path, text, size);
    if (length <= 0 || text[0] != '/')
        return length; /* "pipe:[5]": nothing with a place in a tree */
    if (host(__NR_newfstatat, own_fd(OWN_PROC), path, &status, 0) < 0)
        return length;
    if (standin_is(status.st_dev) && standin_parse(text, (u64)length, inside))
        return proc_path(inside, text, size);
    if (in_real_procfs(&status) && (u64)length + sizeof("/proc") < size) {
        /* The kernel tells the path within the detached procfs. */
        memmove(text + sizeof("/proc") - 1, text, (u64)length);
        memcpy(text, "/proc", sizeof("/proc") - 1);
        length += (long)sizeof("/proc") - 1;
    }
    return length;
}

long their_target(const struct place *place, char path[JUMP_PATH]) {
    char link[PATH_MAX];
    struct place itself;
    u64 beyond = strlen(place->beyond);
    u64 length = strlen(place->inside) - beyond - 1; /* and the slash */
    if (length >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(link, place->inside, length);
    link[length] = 0;
    long result = place_find(place->thread, link, &itself);
    if (!result)
        result = place_may_read(&itself);
    if (!result)
        result = ask_link(&itself, path, PATH_MAX - 1);
    if (result < 0)
        return result;
    path[result] = 0;
    if (path[0] != '/')
        return -EACCES; /* a pipe: nothing that could be opened by name */
    if ((u64)result + beyond + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    format(path + result, beyond + 2, "%s%s", beyond ? "/" : "", place->beyond);
    return 0;
}

static long exe_text(const struct place *place, char *text) {
    long result = place_may_read(place);
    if (result)
        return result;
    if (place->own)
        return format(text, PATH_MAX, "%s", place->thread->process->exe_path);
    struct table_entry *entry = scratch_take(place->thread, sizeof(*entry));
    if (!entry || !table_read(place->pid, entry))
        return -ENOENT; /* as of a process without memory of its own */
    memcpy(text, entry->exe, entry->exe_length);
    return entry->exe_length;
}

static long link_text(const struct place *place, char *text) {
    long result = place_exists(place);
    if (result)
        return result;
    switch ((enum place_kind)place->entry->kind) {
    case PLACE_LINK:
        if (!strcmp(place->inside, "self"))
            return format(text, PATH_MAX, "%d", place->thread->process->pid);
        if (!strcmp(place->inside, "thread-self"))
            return format(text, PATH_MAX, "%d/task/%d", place->thread->process->pid,
                          place->thread->kernel_tid);
        return format(text, PATH_MAX, "self/%s", place->inside);
    case PLACE_PROGRAM:
        return exe_text(place, text);
    case PLACE_JUMP:
        if (place->own)
            return guest_link_text(place->inside, text, PATH_MAX);
        result = place_may_read(place);
        return result ? result : ask_link(place, text, PATH_MAX);
    case PLACE_DIRECTORY:
    case PLACE_REAL:
    case PLACE_TEXT:
    case PLACE_COMM:
    case PLACE_MEMORY:
    default:
        return -EINVAL;
    }
}

long serve_readlink(const struct place *place, gva_t buffer, u64 size) {
    char text[PATH_MAX];
    if ((s32)size <= 0)
        return -EINVAL;
    long length = link_text(place, text);
    if (length < 0)
        return length;
    length = (long)min_u64((u64)length, size);
    return copy_to_guest(buffer, text, (u64)length) ? -EFAULT : length;
}

long procfs_getcwd(struct thread *thread, gva_t buffer, u64 size) {
    char inside[PATH_MAX], text[PATH_MAX];
    (void)thread;
    if (!standin_path(AT_FDCWD, inside))
        return -ENOTTY;
    long length = proc_path(inside, text, sizeof(text)) + 1;
    if ((u64)length > size)
        return -ERANGE;
    return copy_to_guest(buffer, text, (u64)length) ? -EFAULT : length;
}

void procfs_cwd_changed(struct thread *thread) {
    char inside[PATH_MAX];
    thread->process->cwd_in_proc = standin_path(AT_FDCWD, inside);
}
