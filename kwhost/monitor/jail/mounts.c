#include "jail/mounts.h"

#include <asm/statfs.h>
#include <linux/magic.h>

#include "base/text.h"
#include "jail/cover.h"
#include "jail/filesystem.h"
#include "jail/kernel.h"
#include "jail/overlay.h"
#include "jail/paths.h"
#include "jail/proc.h"

struct builder {
    const struct launch *launch;
    const struct sources *sources;
    u32 next_source;
    int proc;
    struct root *root;
    struct failure *failure;
};

static bool problem(struct builder *builder, const struct launch_mount *mount, long error,
                    const char *what) {
    return fail(builder->failure, STATUS_OWN, error, "%s %s in the instance", what, mount->target);
}

/* What the kernel says there about processes the jail itself goes by. */
static bool is_procfs(int fd) {
    struct statfs system;
    return host(__NR_fstatfs, fd, &system) < 0 || system.f_type == PROC_SUPER_MAGIC;
}

/* Opens the place where `source` is to be attached, made when it is missing. */
static long open_place(int root, const char *target, int source) {
    struct statx stat;
    long result = host_stat(source, "", AT_EMPTY_PATH, &stat);
    if (result < 0)
        return result;
    if (S_ISDIR(stat.stx_mode)) {
        result = inside_make_directory(root, target, 0755);
        if (result < 0 || !is_procfs((int)result))
            return result;
        host(__NR_close, result);
        return -EPERM;
    }
    result = inside_open(root, target, O_PATH, 0);
    if (result != -ENOENT)
        return result;
    const char *name;
    long parent = inside_make_parent(root, target, &name);
    if (parent < 0)
        return parent;
    result = host(__NR_openat, parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    host(__NR_close, parent);
    if (result < 0)
        return result == -EEXIST ? -ENOENT : result; /* a symbolic link that leads nowhere */
    host(__NR_close, result);
    return inside_open(root, target, O_PATH, 0);
}

/* Attaches a detached mount at the target; the first one of "/" becomes the root. */
static bool attach(struct builder *builder, const struct launch_mount *mount, int source) {
    if (!mount->target[1]) {
        long result = host(__NR_move_mount, source, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
        builder->root->fd = source;
        return result >= 0 || problem(builder, mount, result, "mounting the root");
    }
    long place = open_place(builder->root->fd, mount->target, source);
    if (place < 0)
        return problem(builder, mount, place, "making the mount point");
    long result = mount_attach(source, (int)place);
    host(__NR_close, place);
    return result >= 0 || problem(builder, mount, result, "mounting");
}

static bool make_filesystem(struct builder *builder, const struct launch_mount *mount,
                            const char *type, const char *options, u64 attributes) {
    char log[FILESYSTEM_LOG];
    attributes |= MOUNT_ATTR_NOSUID;
    attributes |= mount->flags & KW_MOUNT_READ_ONLY ? MOUNT_ATTR_RDONLY : 0;
    attributes |= mount->flags & KW_MOUNT_NO_EXEC ? MOUNT_ATTR_NOEXEC : 0;
    long fd = filesystem_new(type, options, attributes, log);
    if (fd < 0 && mount->flags & KW_MOUNT_OPTIONAL)
        return true;
    if (fd < 0)
        return fail(builder->failure, STATUS_OWN, fd, "making the %s for %s%s%s%s", type,
                    mount->target, options ? " with " : "", options ? options : "", log);
    if (!attach(builder, mount, (int)fd))
        return false;
    if (mount->kind == KW_MOUNT_DEVPTS)
        builder->root->devpts = (int)fd;
    else if (fd != builder->root->fd)
        host(__NR_close, fd);
    return true;
}

static bool make_devpts(struct builder *builder, const struct launch_mount *mount) {
    const char *options = mount->data;
    if (!options) /* group 5 is "tty" everywhere */
        options = builder->launch->record->id_count > 5 ? "ptmxmode=0666,max=256,mode=0620,gid=5"
                                                        : "ptmxmode=0666,max=256,mode=0600";
    /* Its device nodes are its own instance's terminals. */
    return make_filesystem(builder, mount, "devpts", options, MOUNT_ATTR_NOEXEC);
}

static int take_source(struct builder *builder) {
    return builder->next_source < builder->sources->count
               ? builder->sources->fds[builder->next_source++]
               : -1;
}

/* The overlay's layers, from the sources. */
static bool plan_overlay(struct builder *builder, const struct launch_mount *mount,
                         struct overlay_plan *plan) {
    const char *list = mount->source;
    *plan = (struct overlay_plan){
        .layers = &builder->sources->fds[builder->next_source], .upper = -1, .data = mount->data};
    while (*list) {
        size_t length = layer_length(list);
        list += length + (list[length] ? 1 : 0);
        plan->count++;
    }
    if (plan->count == 0 || plan->count > builder->sources->count - builder->next_source)
        return problem(builder, mount, 0, "no layers for");
    builder->next_source += plan->count;
    if (mount->flags & KW_MOUNT_UPPER) {
        plan->upper = *plan->layers++;
        plan->count--;
    }
    return plan->count > 0 || problem(builder, mount, 0, "no layers for");
}

static bool make_overlay(struct builder *builder, const struct launch_mount *mount) {
    struct overlay_plan plan;
    int fd;
    if (builder->sources->overlays_made) {
        fd = take_source(builder);
    } else {
        if (!plan_overlay(builder, mount, &plan))
            return false;
        fd = overlay_make(&plan, builder->failure);
        if (fd < 0)
            return false;
    }
    u64 attributes = mount->flags & KW_MOUNT_READ_ONLY ? MOUNT_ATTR_RDONLY : 0;
    attributes |= mount->flags & KW_MOUNT_NO_EXEC ? MOUNT_ATTR_NOEXEC : 0;
    long result = attributes ? mount_change(fd, attributes, -1, false) : 0;
    if (result < 0)
        return problem(builder, mount, result, "protecting");
    return attach(builder, mount, fd);
}

static bool make_symlink(struct builder *builder, const struct launch_mount *mount) {
    const char *name;
    long parent = inside_make_parent(builder->root->fd, mount->target, &name);
    if (parent < 0)
        return problem(builder, mount, parent, "making the directory of");
    long result = host(__NR_symlinkat, mount->source, parent, name);
    if (result == -EEXIST) { /* the image's own gives way, unless it is a directory */
        host(__NR_unlinkat, parent, name, 0);
        result = host(__NR_symlinkat, mount->source, parent, name);
    }
    host(__NR_close, parent);
    return result >= 0 || problem(builder, mount, result, "making the symbolic link");
}

/* Writes a new file; a symbolic link or file of the image in its place goes. */
static bool make_file(struct builder *builder, const struct launch_mount *mount) {
    const char *name, *content = mount->source;
    long parent = inside_make_parent(builder->root->fd, mount->target, &name);
    if (parent < 0)
        return problem(builder, mount, parent, "making the directory of");
    host(__NR_unlinkat, parent, name, 0);
    long file = host(__NR_openat, parent, name,
                     O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mount->mode);
    host(__NR_close, parent);
    if (file < 0)
        return problem(builder, mount, file, "making the file");
    for (size_t left = strlen(content); left > 0;) {
        long result = host(__NR_write, file, content, left);
        if (result <= 0)
            return problem(builder, mount, result, "writing the file");
        content += result;
        left -= (size_t)result;
    }
    host(__NR_close, file);
    return true;
}

static bool make_directory(struct builder *builder, const struct launch_mount *mount) {
    u32 mode = mount->mode ? mount->mode : 0755;
    long fd = inside_make_directory(builder->root->fd, mount->target, mode);
    if (fd < 0)
        return problem(builder, mount, fd, "making the directory");
    host(__NR_close, fd);
    return true;
}

static bool hide(struct builder *builder, const struct launch_mount *mount) {
    long result = cover(builder->root->fd, mount->target);
    return result >= 0 || problem(builder, mount, result, "hiding");
}

static bool make_proc(struct builder *builder, const struct launch_mount *mount) {
    u64 attributes = FILESYSTEM_SAFE | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
    int sealed = take_source(builder);
    if (launch_is_process(builder->launch))
        return attach(builder, mount, builder->proc) &&
               proc_protect(builder->root->fd, builder->failure);
    builder->root->sealed = sealed >= 0;
    if (sealed < 0)
        return make_filesystem(builder, mount, "tmpfs", "mode=0,size=4k,nr_inodes=2", attributes);
    return attach(builder, mount, sealed);
}

static bool make_sysfs(struct builder *builder, const struct launch_mount *mount) {
    int made = take_source(builder);
    if (made < 0)
        return make_filesystem(builder, mount, "sysfs", NULL, FILESYSTEM_SAFE | MOUNT_ATTR_NOEXEC);
    return attach(builder, mount, made);
}

static bool make_mount(struct builder *builder, const struct launch_mount *mount) {
    int source;
    switch (mount->kind) {
    case KW_MOUNT_TMPFS:
        return make_filesystem(builder, mount, "tmpfs", mount->data, MOUNT_ATTR_NODEV);
    case KW_MOUNT_BIND:
    case KW_MOUNT_SECRETS:
        source = take_source(builder);
        return source < 0 || attach(builder, mount, source);
    case KW_MOUNT_OVERLAY:
        return make_overlay(builder, mount);
    case KW_MOUNT_PROC:
        return make_proc(builder, mount);
    case KW_MOUNT_SYSFS:
        return make_sysfs(builder, mount);
    case KW_MOUNT_DEVPTS:
        return make_devpts(builder, mount);
    case KW_MOUNT_MQUEUE:
        return make_filesystem(builder, mount, "mqueue", NULL, FILESYSTEM_SAFE | MOUNT_ATTR_NOEXEC);
    case KW_MOUNT_DIRECTORY:
        return make_directory(builder, mount);
    case KW_MOUNT_SYMLINK:
        return make_symlink(builder, mount);
    case KW_MOUNT_FILE:
        return make_file(builder, mount);
    case KW_MOUNT_HIDE:
        return hide(builder, mount);
    default:
        return problem(builder, mount, -EINVAL, "an unknown kind of mount for");
    }
}

bool mounts_apply(const struct launch *launch, const struct sources *sources, int proc,
                  struct root *root, struct failure *failure) {
    static const struct launch_mount plain_root = {
        .kind = KW_MOUNT_TMPFS, .target = "/", .data = "mode=0755"};
    struct builder builder = {
        .launch = launch, .sources = sources, .proc = proc, .root = root, .failure = failure};
    u32 count = launch->record->mount_count;
    *root = (struct root){.fd = -1, .devpts = -1};
    bool has_root = count > 0 && !launch->mounts[0].target[1];
    if (!has_root && !make_mount(&builder, &plain_root))
        return false;
    for (u32 i = 0; i < count; i++) {
        if (!make_mount(&builder, &launch->mounts[i]))
            return false;
        if (root->fd < 0)
            return fail(failure, STATUS_OWN, 0, "%s: there is no such root",
                        launch->mounts[i].source);
    }
    return true;
}

/* A read-only root takes the overlays in it along: to the instance they are one image. */
static bool protect_root(const struct launch *launch, const struct root *root,
                         struct failure *failure) {
    long result = mount_change(root->fd, MOUNT_ATTR_RDONLY, -1, false);
    for (u32 i = 0; result >= 0 && i < launch->record->mount_count; i++) {
        const struct launch_mount *mount = &launch->mounts[i];
        if (mount->kind != KW_MOUNT_OVERLAY || !mount->target[1])
            continue;
        long place = result = inside_open(root->fd, mount->target, O_PATH, 0);
        if (place >= 0) {
            result = mount_change((int)place, MOUNT_ATTR_RDONLY, -1, false);
            host(__NR_close, place);
        }
    }
    return result >= 0 || fail(failure, STATUS_OWN, result, "making the root read-only");
}

bool mounts_enter(const struct launch *launch, const struct root *root, struct failure *failure) {
    if (launch_is(launch, KW_LAUNCH_READ_ONLY) && !protect_root(launch, root, failure))
        return false;
    /* The old root is put over the new one for a moment, and detached with all that hangs on it. */
    long result = host(__NR_fchdir, root->fd);
    if (result >= 0)
        result = host(__NR_pivot_root, ".", ".");
    if (result >= 0)
        result = host(__NR_umount2, ".", MNT_DETACH);
    if (result >= 0)
        result = host(__NR_chdir, "/");
    return result >= 0 || fail(failure, STATUS_OWN, result, "entering the root");
}
