/* The ceiling of an instance's policies (struct kw_ceiling), from which its jail is made. */
#ifndef KW_JAIL_CEILING_H
#define KW_JAIL_CEILING_H

#include "abi/kw_policy.h"
#include "jail/errors.h"

/* What is wrong with a ceiling of `size` bytes that nobody else can change; NULL: nothing. */
const char *ceiling_check(const struct kw_ceiling *ceiling, u64 size);

/* Copies the ceiling out of `fd` and checks it; the copy lives as long as the process. Without a
 * descriptor *ceiling is NULL: nothing is narrowed. */
bool ceiling_read(int fd, const struct kw_ceiling **ceiling, struct failure *failure);

/* The calls that may ever be made, as filter_make takes them. */
static inline const u64 *ceiling_calls(const struct kw_ceiling *ceiling) {
    return ceiling ? ceiling->calls : NULL;
}

/* The path of a grant. */
static inline const char *ceiling_path(const struct kw_ceiling *ceiling,
                                       const struct kw_ceiling_grant *grant) {
    return ceiling->texts + grant->text;
}

#endif
