/* Users, groups, capabilities: chown, dropping to another user for good, what it may then not do.
 */
#include "check.h"
#include <arpa/inet.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static void ids(const char *when) {
    uid_t r, e, s;
    gid_t gr, ge, gs, groups[16];
    getresuid(&r, &e, &s);
    getresgid(&gr, &ge, &gs);
    int count = getgroups(16, groups);
    printf("%s: uid %u %u %u gid %u %u %u groups", when, r, e, s, gr, ge, gs);
    for (int i = 0; i < count; i++)
        printf(" %u", groups[i]);
    printf("\n");
}
static void capabilities(const char *when) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    MUST(syscall(SYS_capget, &header, data));
    printf("%s: effective %x permitted %x inheritable %x\n", when, data[0].effective,
           data[0].permitted, data[0].inheritable);
}
static int bind_port(uint16_t port) {
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int result = bind(fd, (struct sockaddr *)&name, sizeof name), error = errno;
    close(fd);
    errno = error;
    return result;
}

static void owner(void) {
    title("chown");
    struct stat info;
    write_file("f", "x");
    SHOW(chown("f", 1234, 5678));
    MUST(stat("f", &info));
    printf("owner %u %u\n", info.st_uid, info.st_gid);
    SHOW(chown("f", (uid_t)-1, 7));
    SHOW(chmod("f", 06755));
    SHOW(chown("f", 9, (gid_t)-1));
    MUST(stat("f", &info));
    printf("owner %u %u mode %o\n", info.st_uid, info.st_gid, info.st_mode);
    SHOW(chown("f", 100000, 0));
    SHOW(chown("missing", 0, 0));
    SHOW(fchownat(AT_FDCWD, "", 0, 0, AT_EMPTY_PATH));
    SHOW(fchown(700, 0, 0));
    SHOW(chmod("f", 0600));
    OK(open("f", O_RDWR));
}

static void identities(void) {
    title("changing ids");
    ids("at first");
    capabilities("at first");
    SHOW(setgroups(2, (gid_t[]){30, 20}));
    SHOW(setgroups(-1, NULL));
    SHOW(setgroups(70000, NULL));
    SHOW(setgroups(2, (void *)8));
    SHOW(getgroups(1, (gid_t[1]){0}));
    SHOW(getgroups(0, NULL));
    SHOW(setresgid(1, 2, 3));
    ids("groups");
    SHOW(setegid(1));
    SHOW(setresuid(0, 1000, 0));
    ids("effective");
    capabilities("effective");
    OK(open("f", O_RDWR));
    SHOW(bind_port(81));
    SHOW(setuid(0));
    SHOW(seteuid(0));
    ids("back");
    capabilities("back");
    SHOW(bind_port(81));
    SHOW(setfsuid(77));
    SHOW(setfsuid(0));
    SHOW(setuid(100000));
    SHOW(setuid((uid_t)-1));
    SHOW(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1));
}

static void dropped(void) {
    title("dropped for good");
    MUST(setgroups(0, NULL));
    SHOW(setgid(2000));
    SHOW(setuid(2000));
    ids("dropped");
    capabilities("dropped");
    SHOW(setuid(0));
    SHOW(seteuid(0));
    SHOW(setgid(0));
    SHOW(setgroups(1, (gid_t[]){0}));
    SHOW(open("f", O_RDONLY));
    SHOW(chown("f", 2000, 2000));
    SHOW(chmod("f", 0777));
    SHOW(unlink("f"));
    SHOW(mkdir("x", 0700));
    SHOW(bind_port(82));
    OK(bind_port(8082));
    SHOW(kill(1, 0) == 0 || errno == EPERM);
    SHOW(chroot("/"));
    SHOW(open("/tmp/by-2000", O_CREAT | O_RDWR | O_TRUNC, 0600) >= 0);
    struct stat info;
    MUST(stat("/tmp/by-2000", &info));
    printf("owner %u %u\n", info.st_uid, info.st_gid);
    unlink("/tmp/by-2000");
    char *arguments[] = {"credentials", "after", NULL}, *none[] = {NULL};
    execve("/proc/self/exe", arguments, none);
    printf("exec: %s\n", error_name(errno));
    leave_child(1);
}

static void privileges(void) {
    title("never allowed");
    SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_KEEPCAPS, 1));
    SHOW(prctl(PR_GET_KEEPCAPS));
    SHOW(prctl(PR_SET_KEEPCAPS, 0));
    SHOW(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN));
    SHOW(prctl(PR_CAPBSET_READ, CAP_CHOWN));
    SHOW(prctl(PR_CAPBSET_READ, 1000));
    SHOW(prctl(PR_CAPBSET_DROP, CAP_FSETID));
    SHOW(prctl(PR_CAPBSET_READ, CAP_FSETID));
    SHOW(syscall(SYS_capget, 8, NULL));
    struct __user_cap_header_struct header = {0x1234, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    SHOW(syscall(SYS_capget, &header, data));
    printf("version %x\n", header.version);
    header = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 0};
    data[0].effective = data[0].permitted = 1u << CAP_SYS_TIME;
    SHOW(syscall(SYS_capset, &header, data));
    data[0].effective = data[0].permitted = 1u << CAP_CHOWN;
    SHOW(syscall(SYS_capset, &header, data));
    capabilities("only chown");
    SHOW(chown("f", 5, 5));
    SHOW(setuid(3));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        title(argv[1]);
        ids("after exec");
        capabilities("after exec");
        return 4;
    }
    umask(022);
    enter_directory();
    owner();
    identities();
    pid_t child = fork_flushed();
    if (!child)
        dropped();
    reap("child", child);
    child = fork_flushed();
    if (!child) {
        privileges();
        leave_child(0);
    }
    reap("child", child);
    ids("at last");
    check_leave();
    return 0;
}
