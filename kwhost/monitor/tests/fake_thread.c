#include "fake_thread.h"

#include "mm/space.h"
#include "procfs/procfs.h"
#include "process/thread.h"

struct vdso_layout vdso_layout;
static struct process process;
static char paths[2][PATH_MAX];
static struct thread thread = {.process = &process, .path = {paths[0], paths[1]}};

struct thread *fake_thread(void) {
    return &thread;
}
const char *fake_exe_path(void) {
    return process.exe_path;
}
void fake_stack_limit(u64 size) {
    process.rlimits[RLIMIT_STACK].rlim_cur = size;
}

bool procfs_claims(struct thread *asking, int dirfd, const char *path, bool follow, char *inside) {
    (void)asking, (void)dirfd, (void)path, (void)follow, (void)inside;
    return false;
}
bool procfs_may_start_in(struct thread *asking, int dirfd, const char *path) {
    (void)asking, (void)dirfd, (void)path;
    return false;
}
long procfs_open_program(struct thread *asking, const char *inside) {
    (void)asking, (void)inside;
    return -EACCES;
}
