#include "broker/paths.h"

#include <asm/statfs.h>
#include <linux/magic.h>
#include <linux/openat2.h>

#include "base/text.h"
#include "jail/kernel.h"

#define LINKS_MAX 40 /* as Linux */
#define PROC_ROOT 1  /* the number of its inode */

/* A walk that has come to a directory, with what is left of the path. */
struct walk {
    const struct caller *caller;
    int at;
    u32 links;
    bool plainly; /* the kernel cannot go to the last directory at once */
    char rest[PATH_MAX];
};

static long open_path(int directory, const char *path, u64 flags, u64 resolve) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags, .resolve = resolve};
    return host(__NR_openat2, directory, path, &how, sizeof how);
}

static void close_one(int *fd) {
    if (*fd >= 0)
        host(__NR_close, *fd);
    *fd = -1;
}

void path_close(struct target *target) {
    if (target->directory != target->object)
        close_one(&target->directory);
    close_one(&target->object);
    target->directory = -1;
}

void path_held(int fd, char name[HELD_SIZE]) {
    format(name, HELD_SIZE, "self/fd/%d", fd);
}

long path_real(int fd, char *real) {
    char name[HELD_SIZE];
    path_held(fd, name);
    long length = host(__NR_readlinkat, AT_FDCWD, name, real, PATH_MAX);
    if (length >= PATH_MAX)
        return -ENAMETOOLONG;
    if (length >= 0)
        real[length] = 0;
    return length < 0 ? length : 0;
}

/* Without the slashes at its end. */
static u64 name_length(const char *name) {
    u64 length = strlen(name);
    while (length > 1 && name[length - 1] == '/')
        length--;
    return length;
}

long path_real_name(const struct target *target, char *real) {
    long result = path_real(target->directory, real);
    u64 size = result ? 0 : strlen(real), rest = name_length(target->name);
    if (result)
        return result;
    if (real[0] != '/')
        return -EACCES;
    if (size + rest + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    format(real + size, PATH_MAX - size, "%s%.*s", real[1] ? "/" : "", (int)rest, target->name);
    return 0;
}

bool path_is_special(const char *path) {
    u64 length = name_length(path);
    const char *last = path + length;
    while (last > path && last[-1] != '/')
        last--;
    length -= (u64)(last - path);
    return length == 0 || (length == 1 && (*last == '.' || *last == '/')) ||
           (length == 2 && last[0] == '.' && last[1] == '.');
}

long path_start(const struct caller *caller, int dirfd) {
    char link[24];
    if (dirfd == AT_FDCWD)
        return caller_link(caller, "cwd");
    if (dirfd < 0)
        return -EBADF;
    format(link, sizeof link, "fd/%d", dirfd);
    long fd = caller_link(caller, link);
    return fd == -ENOENT ? -EBADF : fd;
}

static long open_root(void) {
    return open_path(AT_FDCWD, "/", O_DIRECTORY, 0);
}

/* The end of the first name of the rest, and the beginning of the last. */
static u64 first_end(const char *rest) {
    u64 end = 0;
    while (rest[end] && rest[end] != '/')
        end++;
    return end;
}

static u64 last_start(const char *rest) {
    u64 start = name_length(rest);
    while (start > 0 && rest[start - 1] != '/')
        start--;
    return start;
}

/* Goes to the last directory at once, where the kernel needs to follow nothing of /proc for that.
 */
static long skip_directories(struct walk *walk) {
    u64 start = last_start(walk->rest);
    char kept = walk->rest[start];
    walk->rest[start] = 0;
    long fd = open_path(walk->at, walk->rest, O_DIRECTORY, RESOLVE_NO_MAGICLINKS);
    walk->rest[start] = kept;
    if (fd == -ENOENT || fd == -ELOOP || fd == -EACCES) {
        walk->plainly = true;
        return 0;
    }
    if (fd < 0)
        return fd;
    host(__NR_close, walk->at);
    walk->at = (int)fd;
    memmove(walk->rest, walk->rest + start, strlen(walk->rest + start) + 1);
    return 0;
}

/* Puts the text of a link before what is left of the path behind it. */
static long insert(struct walk *walk, const char *text, u64 name) {
    u64 length = strlen(text), left = strlen(walk->rest + name);
    if (!length)
        return -ENOENT;
    if (length + left >= sizeof walk->rest)
        return -ENAMETOOLONG;
    memmove(walk->rest + length, walk->rest + name, left + 1);
    memcpy(walk->rest, text, length);
    if (text[0] == '/') {
        long root = open_root();
        if (root < 0)
            return root;
        host(__NR_close, walk->at);
        walk->at = (int)root;
    }
    walk->plainly = false;
    return 0;
}

bool path_is_proc(int fd) {
    struct statfs system;
    return host(__NR_fstatfs, fd, &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

static void go_to(struct walk *walk, int fd, u64 name) {
    host(__NR_close, walk->at);
    walk->at = fd;
    memmove(walk->rest, walk->rest + name, strlen(walk->rest + name) + 1);
}

const char *path_own(const struct caller *caller, const char *real) {
    char own[32], thread[32];
    u64 length = (u64)format(own, sizeof own, "/proc/%u/", caller->pid);
    u64 size = (u64)format(thread, sizeof thread, "task/%u/", caller->tid);
    if (!has_prefix(real, own))
        return NULL;
    return real + length + (has_prefix(real + length, thread) ? size : 0);
}

/* A thread always reaches what its own process has. */
static long open_own(const struct walk *walk, const char *name) {
    char real[PATH_MAX];
    long result = path_real(walk->at, real);
    if (result < 0)
        return result;
    u64 size = strlen(real);
    if (size + strlen(name) + 2 > sizeof real)
        return -ENAMETOOLONG;
    format(real + size, sizeof real - size, "/%s", name);
    const char *own = path_own(walk->caller, real);
    return own ? caller_link(walk->caller, own) : -EACCES;
}

/* Its descriptors have names that nobody else may look up, once it has given up its ids. */
static long step_to_own(struct walk *walk, const char *name) {
    long fd = path_is_proc(walk->at) ? open_own(walk, name) : -EACCES;
    if (fd >= 0)
        go_to(walk, (int)fd, strlen(name));
    return fd < 0 ? fd : 0;
}

/* Follows a link in a procfs: to `found`, or by a text that is to be gone on with. */
static long follow_proc(struct walk *walk, const char *name, char *text, int *found) {
    struct statx directory;
    long result = host_stat(walk->at, "", AT_EMPTY_PATH, &directory);
    if (result < 0)
        return result;
    if (directory.stx_ino != PROC_ROOT) {
        result = open_path(walk->at, name, 0, 0);
        if (result == -EACCES || result == -EPERM)
            result = open_own(walk, name);
        *found = (int)result;
        return result < 0 ? result : 0;
    }
    if (!strcmp(name, "self"))
        format(text, PATH_MAX, "%u", walk->caller->pid);
    else if (!strcmp(name, "thread-self"))
        format(text, PATH_MAX, "%u/task/%u", walk->caller->pid, walk->caller->tid);
    return 0;
}

/* In directories like /tmp Linux may let nobody follow the links of others
 * (fs.protected_symlinks). */
static bool is_protected(const struct walk *walk, const char *name) {
    struct statx directory;
    if (host_stat(walk->at, "", AT_EMPTY_PATH, &directory) < 0)
        return true;
    if ((directory.stx_mode & (S_ISVTX | S_IWOTH)) != (S_ISVTX | S_IWOTH))
        return false;
    long fd = open_path(walk->at, name, 0, 0);
    if (fd >= 0)
        host(__NR_close, fd);
    return fd == -EACCES;
}

/* Follows a link that is held, the first name of the rest: to `found`, or its text takes the name's
 * target. */
static long follow(struct walk *walk, int link, const char *name, int *found) {
    char text[PATH_MAX] = "";
    long result = 0;
    *found = -1;
    if (++walk->links > LINKS_MAX)
        return -ELOOP;
    bool of_proc = path_is_proc(link);
    if (!of_proc && is_protected(walk, name))
        return -EACCES;
    long length = host(__NR_readlinkat, link, "", text, sizeof text - 1);
    text[length < 0 ? 0 : length] = 0;
    if (of_proc)
        result = follow_proc(walk, name, text, found);
    if (result < 0 || *found >= 0)
        return result;
    return insert(walk, text, strlen(name));
}

static bool is_link(int fd) {
    struct statx found;
    return host_stat(fd, "", AT_EMPTY_PATH, &found) == 0 && (found.stx_mode & S_IFMT) == S_IFLNK;
}

static bool is_directory(int fd) {
    struct statx found;
    return host_stat(fd, "", AT_EMPTY_PATH, &found) == 0 && (found.stx_mode & S_IFMT) == S_IFDIR;
}

/* The walk has come to its end: `object` is what the last name is, -1: nothing. */
static long finish(struct walk *walk, int object, struct target *target) {
    u64 length = strlen(walk->rest);
    bool slash = length && walk->rest[length - 1] == '/';
    target->directory = walk->at;
    target->object = object;
    memcpy(target->name, walk->rest, length + 1);
    walk->at = -1;
    return slash && object >= 0 && !is_directory(object) ? -ENOTDIR : 0;
}

/* Goes one name further. Returns 1 at the end. */
static long step(struct walk *walk, enum path_end end, struct target *target) {
    char name[PATH_MAX];
    u64 size = first_end(walk->rest), all = strlen(walk->rest);
    bool last = name_length(walk->rest) == size;
    int found;
    memcpy(name, walk->rest, size);
    name[size] = 0;
    if (last && end == END_NAME) {
        finish(walk, -1, target);
        return 1;
    }
    long fd = open_path(walk->at, name, O_NOFOLLOW, 0);
    if (fd == -ENOENT && last) {
        finish(walk, -1, target);
        return 1;
    }
    if (fd == -EACCES && (!last || end == END_FOLLOWED))
        return step_to_own(walk, name);
    if (fd < 0)
        return fd;
    if (is_link((int)fd) && (!last || end == END_FOLLOWED || size < all)) {
        long result = follow(walk, (int)fd, name, &found);
        host(__NR_close, fd);
        if (result == 0 && found >= 0)
            go_to(walk, found, size);
        return result;
    }
    if (!last) {
        go_to(walk, (int)fd, size);
        return 0;
    }
    long result = finish(walk, (int)fd, target);
    return result ? result : 1;
}

static long walk_on(struct walk *walk, enum path_end end, struct target *target) {
    for (;;) {
        u64 slashes = 0;
        while (walk->rest[slashes] == '/')
            slashes++;
        if (slashes && !is_directory(walk->at))
            return -ENOTDIR;
        memmove(walk->rest, walk->rest + slashes, strlen(walk->rest + slashes) + 1);
        if (!walk->rest[0]) {
            target->object = walk->at;
            walk->at = -1;
            return 0;
        }
        long result = 0;
        if (!walk->plainly && last_start(walk->rest))
            result = skip_directories(walk);
        else
            result = step(walk, end, target);
        if (result)
            return result < 0 ? result : 0;
    }
}

static void begin(struct target *target) {
    target->object = target->directory = -1;
    target->name[0] = 0;
}

long path_find(const struct caller *caller, int dirfd, const char *path, enum path_end end,
               struct target *target) {
    static struct walk walk;
    u64 size = strlen(path);
    begin(target);
    if (!size)
        return -ENOENT;
    walk.caller = caller;
    walk.links = 0;
    walk.plainly = false;
    memcpy(walk.rest, path, size + 1);
    long at = path[0] == '/' ? open_root() : path_start(caller, dirfd);
    if (at < 0)
        return at;
    walk.at = (int)at;
    long result = is_directory(walk.at) ? walk_on(&walk, end, target) : -ENOTDIR;
    close_one(&walk.at);
    if (result < 0)
        path_close(target);
    return result;
}

long path_find_within(const struct caller *caller, int dirfd, const char *path, enum path_end end,
                      u64 resolve, struct target *target) {
    begin(target);
    long at =
        path[0] == '/' && !(resolve & RESOLVE_IN_ROOT) ? open_root() : path_start(caller, dirfd);
    if (at < 0)
        return at;
    long fd = open_path((int)at, path, end == END_FOLLOWED ? 0 : O_NOFOLLOW,
                        resolve | RESOLVE_NO_MAGICLINKS);
    host(__NR_close, at);
    target->object = (int)fd;
    return fd < 0 ? fd : 0;
}
