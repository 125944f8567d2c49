#include "jail/overlay.h"

#include <asm/signal.h>
#include <linux/mman.h>
#include <linux/sched.h>

#include "base/text.h"
#include "jail/filesystem.h"
#include "jail/kernel.h"

/* Of the list of all layers, with the byte that ends it: fsconfig(2) takes no longer value. */
#define LAYERS_TEXT 256

/* What a layer is called in the list: a byte, so that as many as images may have are in it.
 * Programs read it in /proc/mounts, as text: it is a letter or digit while there are any. */
static char layer_name(u32 number) {
    static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    u32 count = sizeof plain - 1;
    return number < count ? plain[number] : (char)(0x80 + number - count);
}

/* Attaches the layers to directories in the working directory (a layer must be attached before an
 * overlay takes it, up to Linux 6.14), and writes the list of them. */
static bool attach_layers(const struct overlay_plan *plan, struct text *list,
                          struct failure *failure) {
    for (u32 i = 0; i < plan->count; i++) {
        char name[] = {layer_name(i), 0};
        long result = host(__NR_mkdirat, AT_FDCWD, name, 0700);
        if (result >= 0)
            result =
                host(__NR_move_mount, plan->layers[i], "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH);
        if (result < 0)
            return fail(failure, STATUS_OWN, result, "attaching layer %u of the overlay", i + 1);
        text_add(list, "%s%s", i ? ":" : "", name);
    }
    return !list->overflow || fail(failure, STATUS_OWN, 0, "too many layers");
}

/* The directory for changes looks like the uppermost layer's: its mode is the overlay's own. */
static long make_upper(const struct overlay_plan *plan) {
    struct statx stat;
    long result = host_stat(plan->layers[0], "", AT_EMPTY_PATH, &stat);
    if (result >= 0)
        result = host(__NR_mkdirat, AT_FDCWD, "changes", stat.stx_mode & 07777);
    if (result >= 0)
        result = host(__NR_fchownat, AT_FDCWD, "changes", plan->uid, plan->gid, 0);
    if (result >= 0)
        result = host(__NR_mkdirat, AT_FDCWD, "work", 0700);
    return result;
}

static long mount_overlay(const char *list, bool trusted, char log[FILESYSTEM_LOG]) {
    log[0] = 0;
    long context = filesystem_open("overlay");
    if (context < 0)
        return context;
    const char *options[][2] = {{"source", "overlay"},
                                {"lowerdir", list},
                                {"upperdir", "changes"},
                                {"workdir", "work"},
                                {"userxattr", NULL}};
    for (u32 i = 0; i < array_size(options) - (trusted ? 1 : 0); i++) {
        long result = filesystem_option((int)context, options[i][0], options[i][1]);
        if (result < 0) {
            host(__NR_close, context);
            return result;
        }
    }
    return filesystem_mount((int)context, FILESYSTEM_SAFE, log);
}

/* Where the changes go: a detached mount. */
static long make_base(const struct overlay_plan *plan, struct failure *failure) {
    char log[FILESYSTEM_LOG];
    if (plan->upper >= 0)
        return plan->upper;
    long base = filesystem_new("tmpfs", plan->data, FILESYSTEM_SAFE, log);
    if (base < 0)
        fail(failure, STATUS_OWN, base, "the writable layer (%s)%s", plan->data ? plan->data : "",
             log);
    return base;
}

int overlay_make(const struct overlay_plan *plan, struct failure *failure) {
    char names[LAYERS_TEXT], log[FILESYSTEM_LOG];
    struct text list = {.data = names, .size = sizeof names};
    long base = make_base(plan, failure);
    if (base < 0)
        return -1;
    long result = host(__NR_move_mount, base, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
    if (result >= 0)
        result = host(__NR_fchdir, base);
    if (result >= 0)
        result = make_upper(plan);
    if (result < 0) {
        fail(failure, STATUS_OWN, result, "preparing the writable layer");
        return -1;
    }
    if (!attach_layers(plan, &list, failure))
        return -1;
    long overlay = mount_overlay(names, plan->trusted, log);
    if (overlay < 0) {
        fail(failure, STATUS_OWN, overlay,
             "the image cannot be a layer of an overlay%s: keep it on a local file system", log);
        return -1;
    }
    /* The overlay holds private copies of what it is made of. */
    host(__NR_umount2, ".", MNT_DETACH);
    host(__NR_close, base);
    host(__NR_chdir, "/");
    return (int)overlay;
}

struct outside { /* shared with the helper process */
    int fd;
    struct failure failure;
};

/* The helper: has a mount namespace of its own, but shares descriptors with its parent. */
static _Noreturn void make_for_parent(const struct overlay_plan *plan, struct outside *outside) {
    struct mount_attr private = {.propagation = MS_PRIVATE};
    long result = host(__NR_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private);
    host(__NR_umask, 0);
    if (result < 0)
        fail(&outside->failure, STATUS_OWN, result, "making the mounts private");
    else
        outside->fd = overlay_make(plan, &outside->failure);
    for (;;)
        host(__NR_exit_group, 0);
}

int overlay_make_outside(const struct overlay_plan *plan, struct failure *failure) {
    struct clone_args args = {.flags = CLONE_NEWNS | CLONE_FILES, .exit_signal = SIGCHLD};
    long memory =
        host(__NR_mmap, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory)) {
        fail(failure, STATUS_OWN, memory, "memory for an overlay");
        return -1;
    }
    struct outside *outside = (struct outside *)memory;
    outside->fd = -1;
    fail(&outside->failure, STATUS_OWN, 0, "the overlay's helper was killed");
    long pid = host(__NR_clone3, &args, sizeof args);
    if (pid == 0)
        make_for_parent(plan, outside);
    long result = pid;
    if (pid > 0)
        do
            result = host(__NR_wait4, pid, 0, 0, 0);
        while (result == -EINTR);
    if (result < 0)
        fail(failure, STATUS_OWN, result, "making an overlay");
    else if (outside->fd < 0)
        *failure = outside->failure;
    int fd = result < 0 ? -1 : outside->fd;
    host(__NR_munmap, memory, PAGE_SIZE);
    return fd;
}

bool overlay_works_inside(void) {
    long file = host(__NR_memfd_create, "kwhost-probe", MFD_CLOEXEC);
    long result = file < 0 ? file : host(__NR_fsetxattr, file, "user.kwhost", "y", 1, 0);
    if (file >= 0)
        host(__NR_close, file);
    return result != -EOPNOTSUPP;
}
