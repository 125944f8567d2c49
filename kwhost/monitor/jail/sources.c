#include "jail/sources.h"

#include <linux/openat2.h>

#include "base/text.h"
#include "jail/filesystem.h"
#include "jail/kernel.h"
#include "jail/network.h"
#include "jail/overlay.h"
#include "jail/secrets.h"

size_t layer_length(const char *list) {
    const char *colon = strchr(list, ':');
    return colon ? (size_t)(colon - list) : strlen(list);
}

/* The devices an instance may have: null, zero, full, random, urandom and its own terminal. */
static bool is_harmless_device(int fd) {
    struct statx stat;
    if (host_stat(fd, "", AT_EMPTY_PATH, &stat) < 0 || !S_ISCHR(stat.stx_mode))
        return false;
    u32 minor = stat.stx_rdev_minor;
    if (stat.stx_rdev_major == 5)
        return minor == 0;
    return stat.stx_rdev_major == 1 && (minor == 3 || minor == 5 || (minor >= 7 && minor <= 9));
}

static u64 attributes_of(const struct launch_mount *mount) {
    u64 attributes = MOUNT_ATTR_NOSUID;
    attributes |= mount->flags & KW_MOUNT_DEVICE ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_NODEV;
    attributes |= mount->flags & KW_MOUNT_NO_EXEC ? MOUNT_ATTR_NOEXEC : 0;
    bool read_only = mount->flags & KW_MOUNT_READ_ONLY || mount->kind == KW_MOUNT_OVERLAY;
    return attributes | (read_only ? MOUNT_ATTR_RDONLY : 0);
}

/* Sets the attributes, with the owners mapped where the file system can. */
static long change(struct sources *sources, const struct launch_mount *mount, int fd, int ids,
                   bool recursive) {
    u64 attributes = attributes_of(mount);
    if (ids >= 0 && mount->flags & KW_MOUNT_ID_MAPPED) {
        if (mount_change(fd, attributes, ids, recursive) >= 0)
            return 0;
        /* One file system below it may be what cannot: map at least the uppermost. */
        bool mapped = recursive && mount_change(fd, 0, ids, false) >= 0;
        if (!mapped && !(mount->flags & KW_MOUNT_READ_ONLY))
            sources->unmapped = mount->target;
    }
    return mount_change(fd, attributes, -1, recursive);
}

static bool is_directory(int fd) {
    struct statx stat;
    return host_stat(fd, "", AT_EMPTY_PATH, &stat) >= 0 && S_ISDIR(stat.stx_mode);
}

/* What the caller checked is what is used: whoever owns a directory on the way cannot lead it
 * elsewhere in between. */
static long open_tree_at(const struct launch_mount *mount, const char *path, u32 flags) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    if (!(mount->flags & KW_MOUNT_NO_LINKS))
        return host(__NR_open_tree, AT_FDCWD, path, flags);
    long place = host(__NR_openat2, AT_FDCWD, path, &how, sizeof how);
    if (place < 0)
        return place;
    long tree = host(__NR_open_tree, place, "", flags | AT_EMPTY_PATH);
    host(__NR_close, place);
    return tree;
}

/* A detached copy of the mount that holds `path`, from there on. */
static bool open_tree(struct sources *sources, const struct launch_mount *mount, const char *path,
                      int ids, struct failure *failure) {
    /* In a mount namespace copied into a new user namespace, mounts and those below them can only
     * be copied together. */
    bool recursive = ids < 0 || mount->flags & KW_MOUNT_RECURSIVE;
    u32 flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT;
    long fd = open_tree_at(mount, path, flags | (recursive ? AT_RECURSIVE : 0));
    if (fd == -ENOENT && mount->flags & KW_MOUNT_OPTIONAL) {
        sources->fds[sources->count++] = -1;
        return true;
    }
    if (fd < 0)
        return fail(failure, STATUS_OWN, fd, "%s (for %s in the instance)", path, mount->target);
    if (mount->flags & KW_MOUNT_DEVICE && !is_harmless_device((int)fd))
        return fail(failure, STATUS_OWN, 0, "%s is not a device that an instance may have", path);
    if (mount->kind == KW_MOUNT_OVERLAY && !is_directory((int)fd))
        return fail(failure, STATUS_OWN, -ENOTDIR, "%s (for %s in the instance)", path,
                    mount->target);
    long result = change(sources, mount, (int)fd, ids, recursive);
    if (result < 0)
        return fail(failure, STATUS_OWN, result, "protecting the mount of %s", path);
    sources->fds[sources->count++] = (int)fd;
    return true;
}

static bool open_layers(struct sources *sources, const struct launch_mount *mount, int ids,
                        struct failure *failure) {
    char path[PATH_MAX];
    bool upper = mount->flags & KW_MOUNT_UPPER;
    for (const char *list = mount->source; *list; upper = false) {
        struct launch_mount layer = *mount;
        layer.kind = upper ? KW_MOUNT_BIND : mount->kind; /* this one is written to */
        size_t length = layer_length(list);
        if (length == 0 || length >= sizeof path || sources->count == SOURCE_LIMIT)
            return fail(failure, STATUS_OWN, 0, "the layers of %s: %s", mount->target,
                        sources->count == SOURCE_LIMIT ? "too many" : "not a list of directories");
        memcpy(path, list, length);
        path[length] = 0;
        if (!open_tree(sources, &layer, path, ids, failure))
            return false;
        list += length + (list[length] ? 1 : 0);
    }
    return true;
}

/* Puts the overlay itself in the place of its layers, which begin at `first`. */
static bool make_overlay(const struct launch *launch, const struct launch_mount *mount,
                         struct sources *sources, u32 first, struct failure *failure) {
    struct overlay_plan plan = {.layers = &sources->fds[first],
                                .count = sources->count - first,
                                .upper = -1,
                                .data = mount->data,
                                .uid = launch->record->host_uid_base,
                                .gid = launch->record->host_gid_base,
                                .trusted = true};
    if (mount->flags & KW_MOUNT_UPPER)
        return fail(failure, STATUS_OWN, 0, "changes on a disk need Linux 6.6 or newer");
    if (plan.count == 0)
        return fail(failure, STATUS_OWN, 0, "an overlay without layers");
    int overlay = overlay_make_outside(&plan, failure);
    for (u32 i = first; i < sources->count; i++)
        host(__NR_close, sources->fds[i]);
    sources->fds[first] = overlay;
    sources->count = first + 1;
    return overlay >= 0;
}

/* An empty directory that nobody in the instance can search: its owner has no number there, so that
 * no capability of the instance's root reaches it. */
static bool make_sealed(struct sources *sources, int ids, struct failure *failure) {
    char log[FILESYSTEM_LOG];
    long fd = -1;
    if (ids >= 0) {
        u64 attributes = FILESYSTEM_SAFE | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
        fd = filesystem_new("tmpfs", "mode=0,size=4k,nr_inodes=2,uid=0,gid=0", attributes, log);
        if (fd < 0)
            return fail(failure, STATUS_OWN, fd, "making the sealed /proc%s", log);
    }
    sources->fds[sources->count++] = (int)fd;
    return true;
}

/* Of a network namespace that was given, the instance may make no sysfs itself. */
static bool make_sysfs(const struct launch *launch, const struct launch_mount *mount,
                       struct sources *sources, struct failure *failure) {
    char log[FILESYSTEM_LOG];
    int home, given = launch->record->netns_fd;
    long fd = -1;
    if (given != KW_NO_FD) {
        if (!network_visit(given, &home, failure))
            return false;
        fd = filesystem_new("sysfs", NULL, attributes_of(mount), log);
        if (!network_return(home, failure))
            return false;
        if (fd < 0)
            return fail(failure, STATUS_OWN, fd, "making /sys of the instance's network%s", log);
    }
    sources->fds[sources->count++] = (int)fd;
    return true;
}

static bool make_secrets(const struct launch *launch, bool outside, struct sources *sources,
                         struct failure *failure) {
    int fd = secrets_make(launch, outside, failure);
    sources->fds[sources->count++] = fd;
    return fd >= 0;
}

bool sources_open(const struct launch *launch, int ids, struct sources *sources,
                  struct failure *failure) {
    bool probed = false;
    *sources = (struct sources){.count = 0};
    for (u32 i = 0; i < launch->record->mount_count; i++) {
        const struct launch_mount *mount = &launch->mounts[i];
        bool good = true;
        if (sources->count == SOURCE_LIMIT)
            return fail(failure, STATUS_OWN, 0, "more than %u mounts", SOURCE_LIMIT);
        if (mount->kind == KW_MOUNT_BIND)
            good = open_tree(sources, mount, mount->source, ids, failure);
        else if (mount->kind == KW_MOUNT_OVERLAY) {
            u32 first = sources->count;
            if (!probed && ids >= 0)
                sources->overlays_made = !overlay_works_inside();
            probed = true;
            good =
                open_layers(sources, mount, ids, failure) &&
                (!sources->overlays_made || make_overlay(launch, mount, sources, first, failure));
        } else if (mount->kind == KW_MOUNT_PROC)
            good = make_sealed(sources, ids, failure);
        else if (mount->kind == KW_MOUNT_SYSFS)
            good = make_sysfs(launch, mount, sources, failure);
        else if (mount->kind == KW_MOUNT_SECRETS)
            good = make_secrets(launch, ids >= 0, sources, failure);
        if (!good)
            return false;
    }
    return true;
}
