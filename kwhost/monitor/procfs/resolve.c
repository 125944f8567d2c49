/* Whether a path leads into procfs (procfs_claims): a path walk in user space that opens nothing.
 * The position is a directory descriptor with a path behind it that holds no symbolic link but a
 * magic one at its front, so that the kernel finds the same object each time it is asked about a
 * longer one. */
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/stat.h>

#include "base/host.h"
#include "base/text.h"
#include "process/exec.h"
#include "procfs/place.h"
#include "procfs/procfs.h"
#include "procfs/standin.h"

#define LINKS_MAX 40 /* as Linux */

struct walk {
    struct thread *thread;
    bool follow; /* a last symbolic link, too */
    u32 links;
    bool in_proc;  /* the position is inside[], else dirfd and prefix[] */
    bool came_out; /* it was in procfs and left it; `way_out` is how */
    int dirfd;
    char *prefix, *inside, *rest, *way_out;
};

/* Appends "/name" (or "name" to an empty text or one that ends with '/'). False when it gets too
 * long. */
static bool append(char *path, const char *name, u64 length) {
    u64 have = strlen(path);
    bool slash = have && path[have - 1] != '/';
    if (have + slash + length >= PATH_MAX)
        return false;
    if (slash)
        path[have++] = '/';
    memcpy(path + have, name, length);
    path[have + length] = 0;
    return true;
}

/* Removes the last part of a path. "/" stays. */
static void drop_last(char *path) {
    char *slash = strrchr(path, '/');
    if (!slash)
        path[0] = 0;
    else
        slash[slash == path ? 1 : 0] = 0;
}

/* Puts `link` before what is left of the path (nothing, or something that begins with a slash).
 * False when that gets too long. */
static bool put_before_rest(struct walk *walk, const char *link, u64 length) {
    u64 left = strlen(walk->rest);
    if (length + left >= PATH_MAX)
        return false;
    memmove(walk->rest + length, walk->rest, left + 1);
    memcpy(walk->rest, link, length);
    return true;
}

/* The position becomes what the magic link `at` (a path in procfs) leads to, outside of it. */
static bool come_out(struct walk *walk, const char *at) {
    const char *rest = walk->rest;
    format(walk->prefix, PATH_MAX, "%s", at);
    format(walk->way_out, PATH_MAX, "%s", at);
    walk->dirfd = own_fd(OWN_PROC);
    walk->in_proc = false;
    walk->came_out = true;
    while (*rest == '/')
        rest++;
    /* "." makes the link an intermediate part: what it leads to is meant, also when nothing
     * follows. */
    return append(walk->way_out, *rest ? rest : ".", *rest ? strlen(rest) : 1);
}

/* The parent of /proc is the root. */
static bool come_out_upwards(struct walk *walk) {
    char at[32];
    format(at, sizeof(at), "%d/root", walk->thread->process->pid);
    return come_out(walk, at);
}

/* Enters procfs at the path a stand-in tells, with the rest still to go. */
static bool enter_at(struct walk *walk, const char *inside) {
    walk->in_proc = true;
    walk->inside[0] = 0;
    return put_before_rest(walk, inside, strlen(inside));
}

/* self, thread-self, mounts and net of the root: what they stand for, "" for any other name. */
static void root_link(const struct walk *walk, const char *name, char target[64]) {
    int pid = walk->thread->process->pid;
    target[0] = 0;
    if (!strcmp(name, "self"))
        format(target, 64, "%d", pid);
    else if (!strcmp(name, "thread-self"))
        format(target, 64, "%d/task/%d", pid, walk->thread->kernel_tid);
    else if (!strcmp(name, "mounts") || !strcmp(name, "net"))
        format(target, 64, "%d/%s", pid, name);
}

enum step { STEP_ON, STEP_STOP, STEP_FAIL };

/* The last part is a magic link, and what it leads to is meant. */
static bool mark_followed(struct walk *walk) {
    u64 length = strlen(walk->inside);
    if (length + 1 >= PATH_MAX)
        return false;
    walk->inside[length] = '/';
    walk->inside[length + 1] = 0;
    return true;
}

/* A magic link of another process leads on: place_find tells the rest as what is beyond it. */
static bool mark_beyond(struct walk *walk) {
    const char *rest = walk->rest;
    while (*rest == '/')
        rest++;
    return *rest ? append(walk->inside, rest, strlen(rest)) : mark_followed(walk);
}

/* Whether the host knows the position, which ".." is about to leave. */
static bool still_there(const struct walk *walk) {
    struct stat status;
    return host(__NR_newfstatat, own_fd(OWN_PROC), walk->inside, &status, AT_SYMLINK_NOFOLLOW) >= 0;
}

/* Something that is no directory is used as one: place_find answers ENOTDIR to "stat/.". */
static bool mark_not_directory(struct walk *walk) {
    return append(walk->inside, ".", 1);
}

/* One step inside procfs. `last`: nothing follows, not even a slash (which would ask for the
 * directory a link leads to). */
static enum step step_inside(struct walk *walk, const char *part, u64 length, bool last) {
    struct place place;
    char target[PATH_MAX];

    if (length == 2 && part[0] == '.' && part[1] == '.') {
        if (!walk->inside[0])
            return come_out_upwards(walk) ? STEP_ON : STEP_FAIL;
        if (!still_there(walk))
            return STEP_STOP;
        drop_last(walk->inside);
        return STEP_ON;
    }
    bool at_root = !walk->inside[0];
    if (!append(walk->inside, part, length))
        return STEP_FAIL;
    if (last && !walk->follow)
        return STEP_STOP;
    if (at_root) {
        root_link(walk, walk->inside, target);
        if (target[0]) {
            format(walk->inside, PATH_MAX, "%s", target);
            return STEP_ON;
        }
    }
    if (place_find(walk->thread, walk->inside, &place))
        return last ? STEP_ON : STEP_STOP; /* place_find will say why not, again */
    u8 kind = place.entry->kind;
    if (kind == PLACE_DIRECTORY)
        return STEP_ON;
    if (kind != PLACE_JUMP && (kind != PLACE_PROGRAM || !last))
        return last || mark_not_directory(walk) ? STEP_STOP : STEP_FAIL;
    if (++walk->links > LINKS_MAX)
        return STEP_FAIL;
    if (place.own && kind == PLACE_JUMP &&
        standin_path(place.is_cwd ? AT_FDCWD : place.number, target))
        return enter_at(walk, target) ? STEP_ON : STEP_FAIL;
    if (last)
        return mark_followed(walk) ? STEP_STOP : STEP_FAIL;
    if (!place.own)
        return mark_beyond(walk) ? STEP_STOP : STEP_FAIL;
    return come_out(walk, walk->inside) ? STEP_ON : STEP_FAIL;
}

/* The position is a symbolic link: goes on with its text instead. */
static enum step follow_link(struct walk *walk) {
    char target[PATH_MAX];
    long length = host(__NR_readlinkat, walk->dirfd, walk->prefix, target, sizeof(target) - 1);
    if (length <= 0 || ++walk->links > LINKS_MAX)
        return STEP_STOP;
    if (!put_before_rest(walk, target, (u64)length))
        return STEP_STOP;
    if (target[0] == '/') {
        walk->dirfd = AT_FDCWD;
        walk->prefix[0] = '/';
        walk->prefix[1] = 0;
    } else {
        drop_last(walk->prefix);
    }
    return STEP_ON;
}

/* One step elsewhere. Stops where the host's answer to the whole path stands. */
static enum step step_outside(struct walk *walk, const char *part, u64 length, bool last) {
    struct stat status;

    if (!append(walk->prefix, part, length))
        return STEP_STOP;
    if (host(__NR_newfstatat, walk->dirfd, walk->prefix, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return STEP_STOP;
    if ((status.st_mode & S_IFMT) == S_IFLNK)
        return last && !walk->follow ? STEP_STOP : follow_link(walk);
    if ((status.st_mode & S_IFMT) != S_IFDIR)
        return STEP_STOP;
    if (standin_is_sealed(status.st_dev, status.st_ino)) {
        walk->in_proc = true;
        walk->inside[0] = 0;
    } else if (standin_is(status.st_dev)) {
        return STEP_STOP; /* nothing is reachable in there */
    }
    return STEP_ON;
}

/* Walks over walk->rest until its end or until nothing further can matter. */
static enum step walk_on(struct walk *walk) {
    char name[NAME_MAX + 1];
    for (;;) {
        char *part = walk->rest, *end;
        while (*part == '/')
            part++;
        for (end = part; *end && *end != '/';)
            end++;
        u64 length = (u64)(end - part);
        if (!length)
            return STEP_STOP;
        if (length > NAME_MAX && !walk->in_proc)
            return STEP_STOP;
        length = min_u64(length, NAME_MAX); /* in procfs no name is as long as that: ENOENT */
        memcpy(name, part, length);
        name[length] = 0;
        memmove(walk->rest, end, strlen(end) + 1);
        if (length == 1 && name[0] == '.')
            continue;
        bool last = !walk->rest[0];
        enum step step = walk->in_proc ? step_inside(walk, name, length, last)
                                       : step_outside(walk, name, length, last);
        if (step != STEP_ON)
            return step;
    }
}

/* Where the walk begins: in procfs when the directory or the working directory stands for it. */
static bool begin(struct walk *walk, int dirfd, const char *path) {
    char start[PATH_MAX];
    u64 length = strnlen(path, PATH_MAX);
    bool slash = length && path[0] != '/'; /* what is left of a path always begins with one */
    if (length + slash >= PATH_MAX)
        return false;
    walk->rest[0] = '/';
    memcpy(walk->rest + slash, path, length + 1);
    walk->prefix[0] = walk->inside[0] = walk->way_out[0] = 0;
    walk->dirfd = dirfd;
    if (path[0] == '/') {
        walk->dirfd = AT_FDCWD;
        walk->prefix[0] = '/';
        walk->prefix[1] = 0;
    } else if (standin_path(dirfd, start)) {
        return enter_at(walk, start);
    }
    return true;
}

bool procfs_claims(struct thread *thread, int dirfd, const char *path, bool follow, char *inside) {
    struct walk walk = {.thread = thread, .follow = follow};
    u64 scratch_used = thread->scratch_used;
    char *buffers = path ? scratch_take(thread, 3 * PATH_MAX) : NULL;
    bool claimed = false;

    if (buffers) {
        walk.inside = inside;
        walk.prefix = buffers;
        walk.rest = buffers + PATH_MAX;
        walk.way_out = buffers + 2 * PATH_MAX;
        claimed = begin(&walk, dirfd, path) && walk_on(&walk) != STEP_FAIL &&
                  (walk.in_proc || walk.came_out);
        if (claimed && !walk.in_proc)
            format(inside, PATH_MAX, "%s", walk.way_out);
    }
    thread->scratch_used = scratch_used;
    return claimed;
}

bool procfs_may_start_in(struct thread *thread, int dirfd, const char *path) {
    if (!path || path[0] == '/')
        return false;
    if (dirfd == AT_FDCWD)
        return thread->process->cwd_in_proc;
    return procfs_holds(dirfd);
}
