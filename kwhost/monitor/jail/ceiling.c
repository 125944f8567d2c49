#include "jail/ceiling.h"

#include <linux/limits.h>
#include <linux/mman.h>

#include "base/text.h"
#include "jail/kernel.h"

#define FULL_ACCESS (KW_POLICY_READ | KW_POLICY_WRITE | KW_POLICY_EXECUTE)
#define LEAST_SIZE offsetof(struct kw_ceiling, texts)

static const char *check_header(const struct kw_ceiling *ceiling, u64 size) {
    if (size < LEAST_SIZE || ceiling->magic != KW_CEILING_MAGIC ||
        ceiling->version != KW_POLICY_VERSION)
        return "it is none, or of another version";
    if (ceiling->layer_count > KW_POLICY_LAYERS_MAX ||
        ceiling->grant_count > KW_CEILING_GRANTS_MAX || ceiling->text_size > KW_CEILING_TEXTS_MAX)
        return "there is too much of something";
    if (ceiling->size != size || size != LEAST_SIZE + ceiling->text_size)
        return "its size";
    return ceiling->reserved[0] || ceiling->reserved[1] ? "unknown fields" : NULL;
}

static bool good_grant(const struct kw_ceiling *ceiling, const struct kw_ceiling_grant *grant) {
    if (grant->length >= PATH_MAX || grant->text >= ceiling->text_size ||
        grant->length >= ceiling->text_size - grant->text || grant->access > FULL_ACCESS ||
        grant->beneath > 1)
        return false;
    const char *path = ceiling_path(ceiling, grant);
    return memchr(path, 0, grant->length + 1u) == path + grant->length && is_plain_path(path);
}

const char *ceiling_check(const struct kw_ceiling *ceiling, u64 size) {
    const char *problem = check_header(ceiling, size);
    if (problem)
        return problem;
    for (u32 i = 0; i < ceiling->layer_count; i++) {
        const struct kw_ceiling_layer *layer = &ceiling->layers[i];
        if (layer->first > ceiling->grant_count ||
            layer->count > ceiling->grant_count - layer->first)
            return "a layer";
    }
    for (u32 i = 0; i < ceiling->grant_count; i++)
        if (!good_grant(ceiling, &ceiling->grants[i]))
            return "a grant";
    return NULL;
}

/* A private copy of the file's first bytes, as many as a ceiling may have at most. */
static long copy(int fd, u64 *size) {
    struct statx stat;
    long result = host_stat(fd, "", AT_EMPTY_PATH, &stat);
    if (result < 0)
        return result;
    *size = stat.stx_size;
    if (*size < LEAST_SIZE || *size > sizeof(struct kw_ceiling))
        return -EINVAL;
    long memory = host(__NR_mmap, 0, page_up(*size), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(memory))
        return memory;
    for (u64 done = 0; done < *size; done += (u64)result) {
        result = host(__NR_pread64, fd, memory + (long)done, *size - done, done);
        if (result <= 0)
            return result < 0 ? result : -EINVAL;
    }
    return memory;
}

bool ceiling_read(int fd, const struct kw_ceiling **ceiling, struct failure *failure) {
    u64 size;
    *ceiling = NULL;
    if (fd < 0)
        return true;
    long memory = copy(fd, &size);
    if (host_failed(memory))
        return fail(failure, STATUS_OWN, memory, "reading the policy's ceiling");
    host(__NR_close, fd);
    const char *problem = ceiling_check((const struct kw_ceiling *)memory, size);
    if (problem)
        return fail(failure, STATUS_OWN, 0, "the policy's ceiling is not valid: %s", problem);
    *ceiling = (const struct kw_ceiling *)memory;
    return true;
}
