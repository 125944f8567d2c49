/* link: jail/paths.c base/text.c */
/* Paths in a hostile root: whatever links lie in it, only what is inside is reached or made. */
#include "jail/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

struct place {
    char base[64]; /* holds `root` and, beside it, `outside` */
    int base_fd, root;
};

static struct place new_place(void) {
    struct place place = {.base = "/tmp/kwhost-paths-XXXXXX"};
    CHECK(mkdtemp(place.base) != NULL);
    place.base_fd = open(place.base, O_RDONLY | O_DIRECTORY);
    CHECK_EQUAL(0, mkdirat(place.base_fd, "root", 0755));
    CHECK_EQUAL(0, mkdirat(place.base_fd, "outside", 0755));
    place.root = openat(place.base_fd, "root", O_RDONLY | O_DIRECTORY);
    return place;
}

static void remove_place(struct place *place) {
    char command[128];
    close(place->root);
    close(place->base_fd);
    snprintf(command, sizeof command, "rm -rf %s", place->base);
    CHECK_EQUAL(0, system(command));
}

static int exists(int directory, const char *path) {
    return faccessat(directory, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_makes_what_is_missing(void) {
    struct place place = new_place();
    struct stat stat;
    long fd = inside_make_directory(place.root, "/a/b/c", 01777);
    CHECK(fd >= 0);
    close((int)fd);
    umask(0);
    fd = inside_make_directory(place.root, "/a/d", 01777);
    CHECK(fd >= 0);
    close((int)fd);
    CHECK_EQUAL(0, fstatat(place.root, "a/d", &stat, 0));
    CHECK_EQUAL(01777, stat.st_mode & 07777);
    const char *name = "";
    fd = inside_make_parent(place.root, "/x/y/z", &name);
    CHECK(fd >= 0);
    close((int)fd);
    CHECK_TEXT("z", name);
    CHECK(exists(place.root, "x/y") && !exists(place.root, "x/y/z"));
    fd = inside_make_parent(place.root, "/top", &name);
    CHECK(fd >= 0);
    close((int)fd);
    CHECK_TEXT("top", name);
    remove_place(&place);
}

static void test_links_stay_inside(void) {
    struct place place = new_place();
    char target[96];
    snprintf(target, sizeof target, "%s/outside", place.base);
    const char *links[] = {"../outside", "/../../../../outside", target};
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQUAL(0, symlinkat(links[i], place.root, "link"));
        long fd = inside_make_directory(place.root, "/link/made", 0755);
        if (fd >= 0)
            close((int)fd);
        CHECK(!exists(place.base_fd, "outside/made"));
        fd = inside_open(place.root, "/link/file", O_CREAT | O_WRONLY, 0644);
        if (fd >= 0)
            close((int)fd);
        CHECK(!exists(place.base_fd, "outside/file"));
        CHECK_EQUAL(0, unlinkat(place.root, "link", 0));
    }
    /* One that leads somewhere inside is followed. */
    CHECK_EQUAL(0, mkdirat(place.root, "inner", 0755));
    CHECK_EQUAL(0, symlinkat("/../inner", place.root, "link"));
    long fd = inside_make_directory(place.root, "/link/made", 0755);
    CHECK(fd >= 0);
    close((int)fd);
    CHECK(exists(place.root, "inner/made"));
    remove_place(&place);
}

static void test_what_cannot_be_is_an_error(void) {
    struct place place = new_place();
    CHECK_EQUAL(0, symlinkat("nowhere", place.root, "dangling"));
    CHECK_EQUAL(0, symlinkat("b", place.root, "a"));
    CHECK_EQUAL(0, symlinkat("a", place.root, "b"));
    CHECK_EQUAL(0, symlinkat("/proc/self/root", place.root, "magic"));
    int file = openat(place.root, "file", O_CREAT | O_WRONLY, 0644);
    close(file);
    CHECK_EQUAL(-ENOENT, inside_make_directory(place.root, "/dangling/x", 0755));
    CHECK_EQUAL(-ELOOP, inside_make_directory(place.root, "/a/x", 0755));
    CHECK_EQUAL(-ENOTDIR, inside_make_directory(place.root, "/file/x", 0755));
    CHECK(inside_open(place.root, "/magic/etc", O_RDONLY, 0) < 0);
    CHECK_EQUAL(-ENAMETOOLONG, inside_make_directory(place.root, "relative", 0755));
    remove_place(&place);
}

int main(void) {
    test_makes_what_is_missing();
    test_links_stay_inside();
    test_what_cannot_be_is_an_error();
    return check_done();
}
