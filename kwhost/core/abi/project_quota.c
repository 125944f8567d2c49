/* Project quotas; part of the cffi module. Every function answers 0 or more, or a negative errno. */

#include <linux/quota.h>
#include <stdbool.h>

#define KW_PROJECT_QUOTA 2 /* PRJQUOTA, which the C library's headers do not have */

static int kw_project_quota(int fd, unsigned command, unsigned project, void *data) {
    unsigned operation = command << 8 | KW_PROJECT_QUOTA;
    return syscall(__NR_quotactl_fd, fd, operation, project, data) < 0 ? -errno : 0;
}

/* Gives this thread the right to exceed quotas, or takes it; answers whether it had it. */
static int kw_exceed_quotas(bool may) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    const uint32_t right = 1u << CAP_SYS_RESOURCE;
    if (syscall(__NR_capget, &header, data) < 0)
        return -errno;
    bool had = data[0].effective & right;
    data[0].effective = may ? data[0].effective | right : data[0].effective & ~right;
    return syscall(__NR_capset, &header, data) < 0 ? -errno : had;
}
