#include "base/error_text.h"

#include <linux/errno.h>

#include "base/text.h"

static const struct {
    int number;
    const char *text;
} texts[] = {
    {EPERM, "not permitted"},
    {ENOENT, "no such file or directory"},
    {EINTR, "interrupted"},
    {EIO, "input/output error"},
    {ENXIO, "no such device or address"},
    {E2BIG, "argument list too long"},
    {ENOEXEC, "not in an executable format"},
    {EBADF, "bad file descriptor"},
    {ECHILD, "no child process"},
    {EAGAIN, "temporarily unavailable"},
    {ENOMEM, "out of memory"},
    {EACCES, "permission denied"},
    {EFAULT, "bad address"},
    {ENOTBLK, "not a block device"},
    {EBUSY, "busy"},
    {EEXIST, "already there"},
    {EXDEV, "on another file system"},
    {ENODEV, "not supported by this kernel"},
    {ENOTDIR, "not a directory"},
    {EISDIR, "is a directory"},
    {EINVAL, "invalid argument"},
    {ENFILE, "too many open files in the system"},
    {EMFILE, "too many open files"},
    {ENOTTY, "not a terminal"},
    {ETXTBSY, "busy: open for writing"},
    {EFBIG, "file too large"},
    {ENOSPC, "no space left on device, or a limit was reached"},
    {ESPIPE, "cannot seek"},
    {EROFS, "read-only file system"},
    {EMLINK, "too many links"},
    {EPIPE, "broken pipe"},
    {ERANGE, "out of range"},
    {ENAMETOOLONG, "name too long"},
    {ENOSYS, "not offered by this kernel"},
    {ENOTEMPTY, "not empty"},
    {ELOOP, "too many symbolic links"},
    {EOVERFLOW, "value too large, or an owner without a number here"},
    {EUSERS, "too many nested namespaces"},
    {EOPNOTSUPP, "not supported here"},
    {ESTALE, "stale file handle"},
    {EDQUOT, "quota exceeded"},
    {ETIMEDOUT, "timed out"},
};

const char *error_text(long error) {
    static char unnamed[24];
    for (u32 i = 0; i < array_size(texts); i++)
        if (texts[i].number == -error)
            return texts[i].text;
    format(unnamed, sizeof unnamed, "error %d", (int)-error);
    return unnamed;
}
