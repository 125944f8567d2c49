#include "jail/grants.h"

#include <linux/landlock.h>
#include <linux/limits.h>

#include "base/text.h"
#include "jail/kernel.h"
#include "jail/landlock.h"
#include "jail/paths.h"

#define FILE_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* A set of rules in the making. */
struct rules {
    int fd;
    u64 handled;
};

/* Programs are read in order to be executed. */
static u64 rights_of(u32 access) {
    return (access & KW_POLICY_READ ? READING : 0) |
           (access & KW_POLICY_EXECUTE ? LANDLOCK_ACCESS_FS_READ_FILE : 0) |
           (access & KW_POLICY_WRITE ? LANDLOCK_CHANGES : 0);
}

static bool may_come_later(long error) {
    return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -EACCES ||
           error == -ENAMETOOLONG;
}

/* The directory that a path is in: "/a" of "/a/b", "/" of "/a". */
static void cut(char *path) {
    char *slash = strrchr(path, '/');
    slash[slash == path] = 0;
}

/* Opens the nearest directory at or above the path. */
static long open_above(char *path, struct statx *found) {
    for (;;) {
        long fd = open_plainly(path);
        if (fd < 0 && (!may_come_later(fd) || !path[1]))
            return fd;
        long result = fd < 0 ? fd : host_stat((int)fd, "", AT_EMPTY_PATH, found);
        if (result >= 0 && (found->stx_mode & S_IFMT) == S_IFDIR)
            return fd;
        if (fd >= 0)
            host(__NR_close, fd);
        if (!path[1])
            return -ENOTDIR;
        cut(path);
    }
}

static long close_after(long fd, long result) {
    host(__NR_close, fd);
    return result;
}

/* Everything at and beneath the nearest directory. */
static long grant_beneath(const struct rules *rules, char *path, u64 rights) {
    struct statx found;
    long fd = open_above(path, &found);
    return fd < 0 ? fd : close_after(fd, landlock_allow(rules->fd, (int)fd, rights));
}

/* The object itself, or what is needed to have it there. */
static long grant_object(const struct rules *rules, char *path, u32 access) {
    struct statx found;
    u64 rights = rights_of(access) & rules->handled;
    long fd = open_plainly(path);
    if (fd < 0)
        return may_come_later(fd) ? grant_beneath(rules, path, rights) : fd;
    long result = host_stat((int)fd, "", AT_EMPTY_PATH, &found);
    u32 type = found.stx_mode & S_IFMT;
    bool made_anew = (type == S_IFREG || type == S_IFLNK) && access & KW_POLICY_WRITE;
    if (result >= 0 && type == S_IFDIR)
        rights &= LANDLOCK_ACCESS_FS_READ_DIR;
    else if (result >= 0)
        rights &= FILE_RIGHTS;
    if (result >= 0 && rights && !made_anew)
        result = landlock_allow(rules->fd, (int)fd, rights);
    host(__NR_close, fd);
    if (result < 0 || !made_anew)
        return result;
    cut(path);
    return grant_beneath(rules, path, rights_of(access) & rules->handled);
}

static long grant(const struct rules *rules, const struct kw_ceiling *ceiling,
                  const struct kw_ceiling_grant *grant) {
    char path[PATH_MAX];
    format(path, sizeof path, "%s", ceiling_path(ceiling, grant));
    if (!grant->access)
        return 0;
    return grant->beneath ? grant_beneath(rules, path, rights_of(grant->access) & rules->handled)
                          : grant_object(rules, path, grant->access);
}

/* What no policy is about: procfs and stand-ins are reached by descriptor, and judged by the names
 * that they stand for; message queues have no paths. */
static long grant_own(const struct rules *rules, const struct grants_own *own) {
    char queues[] = "/dev/mqueue";
    long result = own->procfs < 0 ? 0 : landlock_allow(rules->fd, own->procfs, READING);
    if (result >= 0 && own->standins >= 0)
        result =
            landlock_allow(rules->fd, own->standins, (READING | LANDLOCK_CHANGES) & rules->handled);
    for (int i = 0; i < 3 && result >= 0; i++)
        result = landlock_allow_stream(rules->fd, i, FILE_RIGHTS);
    long fd = result < 0 ? result : open_plainly(queues);
    if (fd < 0)
        return may_come_later(fd) ? 0 : fd;
    return close_after(
        fd, landlock_allow(rules->fd, (int)fd, (READING | LANDLOCK_CHANGES) & rules->handled));
}

static long set_layer(const struct kw_ceiling *ceiling, const struct kw_ceiling_layer *layer,
                      u64 handled, const struct grants_own *own) {
    struct rules rules = {.handled = handled};
    long result = host(__NR_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (result < 0)
        return result;
    rules.fd = (int)result;
    result = grant_own(&rules, own);
    for (u32 i = 0; i < layer->count && result >= 0; i++)
        result = grant(&rules, ceiling, &ceiling->grants[layer->first + i]);
    if (result >= 0)
        result = host(__NR_landlock_restrict_self, rules.fd, 0);
    return close_after(rules.fd, result);
}

long grants_set(const struct kw_ceiling *ceiling, long version, const struct grants_own *own) {
    u64 handled = READING | LANDLOCK_CHANGES;
    if (version < 2)
        handled &= ~LANDLOCK_REFER;
    long result = 0;
    for (u32 i = 0; i < ceiling->layer_count && result >= 0; i++)
        result = set_layer(ceiling, &ceiling->layers[i], handled, own);
    return result;
}
