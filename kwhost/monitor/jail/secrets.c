#include "jail/secrets.h"

#include "base/text.h"
#include "jail/filesystem.h"
#include "jail/kernel.h"

/* Copies the head, so that what is checked is what is used. */
static bool read_head(int fd, struct kw_secrets *head, struct failure *failure) {
    u64 size = 0;
    bool good = host(__NR_pread64, fd, head, sizeof *head, 0) == sizeof *head &&
                head->magic == KW_SECRETS_MAGIC && head->count <= KW_SECRETS_MAX;
    for (u32 i = 0; good && i < head->count; i++) {
        const char *name = head->entries[i].name;
        good = memchr(name, 0, sizeof head->entries[i].name) && name[0] && name[0] != '.' &&
               !strchr(name, '/');
        size += head->entries[i].size;
    }
    if (good && size <= KW_SECRETS_SIZE_MAX)
        return true;
    return fail(failure, STATUS_OWN, 0, "the secrets are not valid");
}

/* An empty file system for them. */
static long make_filesystem(const struct kw_launch *record, bool outside,
                            char log[FILESYSTEM_LOG]) {
    u64 attributes = FILESYSTEM_SAFE | MOUNT_ATTR_NOEXEC;
    char options[96];
    /* A page more than its content for each file, and as many files and the directory. */
    format(options, sizeof options, "mode=755,size=%uk,nr_inodes=%u,uid=%u,gid=%u,noswap",
           KW_SECRETS_SIZE_MAX / 1024 + KW_SECRETS_MAX * 4, KW_SECRETS_MAX + 1,
           outside ? record->host_uid_base : 0, outside ? record->host_gid_base : 0);
    long fd = filesystem_new("tmpfs", options, attributes, log);
    if (fd >= 0)
        return fd;
    *strstr(options, ",noswap") = 0; /* before Linux 6.4, and in a user namespace, there is none */
    return filesystem_new("tmpfs", options, attributes, log);
}

/* Copies the content without reading it. */
static long write_secret(int directory, int from, const struct kw_secret *secret, u64 *offset,
                         u32 uid, u32 gid) {
    long file = host(__NR_openat, directory, secret->name,
                     O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0400);
    long result = file;
    for (u64 left = secret->size; result >= 0 && left > 0; left -= (u64)result) {
        result = host(__NR_sendfile, file, from, offset, left);
        if (result == 0)
            result = -ENODATA;
    }
    if (result >= 0)
        result = host(__NR_fchown, file, uid, gid);
    if (file >= 0)
        host(__NR_close, file);
    return result;
}

int secrets_make(const struct launch *launch, bool outside, struct failure *failure) {
    const struct kw_launch *record = launch->record;
    u32 uid = record->uid + (outside ? record->host_uid_base : 0);
    u32 gid = record->gid + (outside ? record->host_gid_base : 0);
    u64 offset = sizeof(struct kw_secrets);
    char log[FILESYSTEM_LOG];
    struct kw_secrets head;
    if (!read_head(record->secrets_fd, &head, failure))
        return -1;
    long fd = make_filesystem(record, outside, log);
    if (fd < 0) {
        fail(failure, STATUS_OWN, fd, "making the tmpfs for the secrets%s", log);
        return -1;
    }
    long result = 0;
    for (u32 i = 0; i < head.count && result >= 0; i++)
        result = write_secret((int)fd, record->secrets_fd, &head.entries[i], &offset, uid, gid);
    if (result >= 0)
        result = mount_change((int)fd, MOUNT_ATTR_RDONLY, -1, false);
    if (result >= 0)
        return (int)fd;
    fail(failure, STATUS_OWN, result, "writing the secrets");
    host(__NR_close, fd);
    return -1;
}

void secrets_forget(const struct launch *launch) {
    if (launch->record->secrets_fd != KW_NO_FD)
        host(__NR_close, launch->record->secrets_fd);
}
