/* Symbolic links on the way of paths that are opened. A path with one takes four more host calls
 * than a plain one, to find its real path. So a thread remembers names of links that it met: such a
 * link the monitor reads itself, and what it leads to is opened as any plain path, which must be
 * without links again.
 *
 * That a name is a link's is a guess: guests may change it at any time. Where the link leads to is
 * asked the host each time, and what is opened is always the very name that was judged. */
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <asm/stat.h>

#include "base/text.h"
#include "calls/judged.h"
#include "process/thread.h"

#define FOLLOWED_MAX 4

/* The length of the directory's name, with its slash. */
static u32 directory_length(const char *name) {
    return (u32)(strrchr(name, '/') - name) + 1;
}

/* Whether the path leads through the link, or with `last` to it. */
static bool leads_through(const char *path, u64 size, const struct known_link *link, bool last) {
    u32 length = link->length;
    return length && length <= size && memcmp(path, link->name, length) == 0 &&
           (path[length] == '/' || (last && !path[length]));
}

static struct known_link *find_link(struct thread *thread, const char *path, bool last) {
    u64 size = strlen(path);
    for (u32 i = 0; i < KNOWN_LINKS; i++)
        if (leads_through(path, size, &thread->links[i], last))
            return &thread->links[i];
    return NULL;
}

/* Writes the path with what the link leads to in its place. */
static bool replace(const struct known_link *link, const char *path, char *to) {
    char target[PATH_MAX];
    long length = host(__NR_readlinkat, AT_FDCWD, link->name, target, PATH_MAX - 1);
    if (length <= 0)
        return false;
    target[length] = 0;
    u32 directory = target[0] == '/' ? 0 : directory_length(link->name);
    return format(to, PATH_MAX, "%.*s%s%s", (int)directory, link->name, target,
                  path + link->length) < PATH_MAX;
}

const char *links_follow(struct thread *thread, const char *path, bool last) {
    char *to[2] = {NULL, NULL};
    for (u32 i = 0; i < FOLLOWED_MAX; i++) {
        struct known_link *link = find_link(thread, path, last);
        if (!link)
            return path;
        char **next = &to[i % 2];
        if (!*next)
            *next = scratch_take(thread, PATH_MAX);
        if (!*next)
            return path;
        if (!replace(link, path, *next)) {
            link->length = 0;
            return path;
        }
        path = *next;
    }
    return path;
}

/* In directories like /tmp Linux lets nobody follow the links of others (fs.protected_symlinks):
 * there the host goes all the way itself. */
static bool is_shared(const char *name) {
    char directory[sizeof((struct known_link *)0)->name];
    struct stat status;
    format(directory, sizeof directory, "%.*s", (int)directory_length(name), name);
    return host(__NR_newfstatat, AT_FDCWD, directory, &status, 0) ||
           (status.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH);
}

/* The end of the component that begins behind this slash. */
static u32 component_end(const char *path, u32 slash) {
    u32 end = slash + 1;
    while (path[end] && path[end] != '/')
        end++;
    return end;
}

/* How many bytes of whole components both begin with: no link is among those. */
static u32 common_length(const char *path, const char *real) {
    u32 common = 0, next = component_end(path, 0);
    while (path[next] && memcmp(path, real, next) == 0 && (!real[next] || real[next] == '/')) {
        common = next;
        next = component_end(path, next);
    }
    return common;
}

void links_learn(struct thread *thread, const char *path, const char *real) {
    struct known_link *link = &thread->links[thread->next_link];
    u32 end = common_length(path, real);
    bool found = false;
    char text[1];
    link->length = 0;
    while (!found && path[end]) {
        end = component_end(path, end);
        if (end >= sizeof link->name)
            return;
        format(link->name, sizeof link->name, "%.*s", (int)end, path);
        found = host(__NR_readlinkat, AT_FDCWD, link->name, text, sizeof text) > 0;
    }
    if (!found || is_shared(link->name))
        return;
    link->length = (u8)end;
    thread->next_link = (thread->next_link + 1) % KNOWN_LINKS;
}
