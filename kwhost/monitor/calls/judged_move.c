/* Renames. A directory takes all that is beneath it to other names, and so to other rules: where
 * rules speak of something beneath its old name or its new one it stays where it is.
 *
 * What a name stands for may change until the kernel itself looks at it, by other threads and
 * processes and, on a volume, by other instances. So there it is the kernel that refuses to move a
 * directory: renames are made in a thread whose Landlock rules let it make none, and to move one is
 * to make one (LANDLOCK_ACCESS_FS_MAKE_DIR). The kernel asks them with both directories locked. */
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <linux/stat.h>
#include <asm/stat.h>

#include "calls/changes.h"
#include "process/errand.h"

/* Newer than the headers of the oldest supported system: LANDLOCK_ACCESS_FS_REFER. */
#define MOVE_BETWEEN_DIRECTORIES (1ul << 13)

/* From here on this thread, with a descriptor table of its own, makes and moves no directory. */
static long keep_directories(struct change *change) {
    u64 handled = LANDLOCK_ACCESS_FS_MAKE_DIR | MOVE_BETWEEN_DIRECTORIES;
    struct landlock_path_beneath_attr rule = {.allowed_access = MOVE_BETWEEN_DIRECTORIES};
    long room = change_open(change, AT_FDCWD, "/", 0); /* for the rules */
    long root = change_open(change, AT_FDCWD, "/", 0);
    if (room < 0 || root < 0)
        return room < 0 ? room : root;
    host(__NR_close, room);
    long rules = host(__NR_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (rules < 0)
        return rules;
    rule.parent_fd = (int)root;
    long result = host(__NR_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    return result ? result : host(__NR_landlock_restrict_self, rules, 0);
}

/* Without Landlock nothing is moved. */
static long move_file(void *argument) {
    struct change change = *(const struct change *)argument;
    change.alone = false;
    return keep_directories(&change) ? -EACCES : change_make(&change);
}

static bool is_directory(const struct name *name) {
    struct stat status;
    return host(__NR_newfstatat, name->directory, name->last, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (status.st_mode & S_IFMT) == S_IFDIR;
}

long change_place(struct change *change) {
    static const struct kw_policy_verdict kept = {.action = KW_POLICY_ERRNO, .error = EACCES};
    struct name old, new;
    bool exchange = change->value[4] & RENAME_EXCHANGE;
    long result = change_find_name(change, 0, &old);
    if (!result)
        result = change_find_name(change, 1, &new);
    if (result)
        return result;
    if (change_refuses_pair(change, judge_new_name(old.real, new.real, KW_POLICY_WRITE), old.real,
                            new.real) ||
        (exchange &&
         change_refuses_pair(change, judge_new_name(new.real, old.real, KW_POLICY_WRITE), new.real,
                             old.real)))
        return -EACCES;
    change_set(change, __NR_renameat2, 4,
               (u64[]){(u64)old.directory, (u64)old.last, (u64) new.directory, (u64) new.last});
    if (!judge_speaks_beneath(old.real) && !judge_speaks_beneath(new.real))
        return change_make(change);
    if ((is_directory(&old) && change_refuses(change, kept, old.real)) ||
        (exchange && is_directory(&new) && change_refuses(change, kept, new.real)))
        return -EACCES; /* told, unlike what the kernel refuses */
    return change->alone ? errand_run(move_file, change, false) : move_file(change);
}
