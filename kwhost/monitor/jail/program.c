#include "jail/program.h"

#include "base/text.h"
#include "jail/kernel.h"

#define USUAL_PATH "/bin:/usr/bin"
#define X_OK 1
#define SHOWN 200 /* bytes of a name in a message */

/* Opens a file that could be executed. -EISDIR, -EACCES and so on say why not. */
static long open_executable(const char *path) {
    struct statx stat;
    long result = host_stat(AT_FDCWD, path, 0, &stat);
    if (result < 0)
        return result;
    if (S_ISDIR(stat.stx_mode))
        return -EISDIR;
    if (!S_ISREG(stat.stx_mode))
        return -EACCES;
    result = host(__NR_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS);
    if (result < 0)
        return result;
    /* Not to wait, should it have become a pipe meanwhile. */
    return host(__NR_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
}

static const char *search_path(const struct launch *launch) {
    for (char **variable = launch->envp; *variable; variable++)
        if (has_prefix(*variable, "PATH="))
            return *variable + 5;
    return USUAL_PATH;
}

/* Tries each directory of the list; a file that may not be executed is passed over but remembered.
 */
static long search(const char *list, const char *file, char *name) {
    long worst = -ENOENT;
    for (;;) {
        const char *end = strchr(list, ':');
        int length = end ? (int)(end - list) : (int)strlen(list);
        int size = format(name, PATH_MAX, "%.*s%s%s", length, list, length > 0 ? "/" : "", file);
        long result = size < PATH_MAX ? open_executable(name) : -ENAMETOOLONG;
        if (result >= 0)
            return result;
        if (result == -EACCES || result == -EISDIR)
            worst = -EACCES;
        if (!end)
            return worst;
        list = end + 1;
    }
}

int program_open(const struct launch *launch, char *name, struct failure *failure) {
    const char *file = launch->argv[0];
    size_t length = strlen(file);
    long result = -ENOENT;
    bool searched = !strchr(file, '/');
    if (length >= PATH_MAX) {
        result = -ENAMETOOLONG;
    } else if (searched && length > 0) {
        result = search(search_path(launch), file, name);
    } else if (length > 0) {
        memcpy(name, file, length + 1);
        result = open_executable(name);
    }
    if (result >= 0)
        return (int)result;
    if (result == -ENOENT || result == -ENOTDIR || result == -ENAMETOOLONG)
        fail(failure, STATUS_NOT_FOUND, searched ? 0 : result, "%.*s%s", SHOWN, file,
             searched ? ": command not found in the instance" : "");
    else
        fail(failure, STATUS_REFUSED, result, "%.*s: cannot be executed", SHOWN, file);
    return -1;
}
