/* Extended attributes. What the file system offers differs between kernels, not between here and
 * there. */
#include "check.h"
#include <sys/xattr.h>

int main(void) {
    enter_directory();
    write_file("f", "x");
    MUST(symlink("f", "l"));
    int fd = MUST(open("f", O_RDWR));
    char text[64] = {0};
    SHOW(setxattr("f", "user.one", "value", 5, 0));
    SHOW(getxattr("f", "user.one", text, sizeof text));
    printf("%.5s\n", text);
    SHOW(getxattr("f", "user.one", text, 0));
    SHOW(getxattr("f", "user.one", text, 2));
    SHOW(getxattr("f", "user.missing", text, sizeof text));
    SHOW(getxattr("missing", "user.one", text, sizeof text));
    SHOW(setxattr("f", "user.one", "v", 1, XATTR_CREATE));
    SHOW(setxattr("f", "user.two", "v", 1, XATTR_REPLACE));
    SHOW(setxattr("f", "user.one", "v", 1, 99));
    SHOW(setxattr("f", "user.", "v", 1, 0));
    SHOW(setxattr("f", "", "v", 1, 0));
    SHOW(setxattr("f", "none.x", "v", 1, 0));
    char name[300];
    memset(name, 'a', sizeof name);
    memcpy(name, "user.", 5);
    name[299] = 0;
    SHOW(setxattr("f", name, "v", 1, 0));
    static char big[70000];
    SHOW(setxattr("f", "user.big", big, sizeof big, 0));
    SHOW(setxattr("f", "user.null", NULL, 5, 0));
    SHOW(syscall(SYS_setxattr, "f", 8, "v", 1, 0));
    SHOW(lsetxattr("l", "user.one", "v", 1, 0));
    SHOW(lgetxattr("l", "user.one", text, sizeof text));
    SHOW(fsetxattr(fd, "user.three", "abc", 3, 0));
    SHOW(fgetxattr(fd, "user.three", text, sizeof text));
    SHOW(fgetxattr(900, "user.three", text, sizeof text));
    SHOW(listxattr("f", NULL, 0) >= 0);
    SHOW(listxattr("missing", text, sizeof text));
    SHOW(flistxattr(fd, text, sizeof text) >= 0);
    SHOW(removexattr("f", "user.one"));
    SHOW(removexattr("f", "user.one"));
    SHOW(fremovexattr(fd, "user.three"));
    SHOW(setxattr("f", "trusted.x", "v", 1, 0));
    SHOW(setxattr("f", "security.capability", "v", 1, 0));
    check_leave();
    return 0;
}
