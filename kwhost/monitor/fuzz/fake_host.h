/* In the place of base/host.h, for units that are included here: every call to the host goes to
 * host6(), which the fuzz target checks and answers. */
#ifndef KW_BASE_HOST_H
#define KW_BASE_HOST_H

#include <asm/unistd.h>
#include <linux/errno.h>

#include "base/types.h"

long host6(long nr, long a, long b, long c, long d, long e, long f);

#define HOST_PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define host(...)                                                                                  \
    HOST_PICK(__VA_ARGS__, HOST6, HOST5, HOST4, HOST3, HOST2, HOST1, HOST0)(__VA_ARGS__)
#define HOST0(n) host6(n, 0, 0, 0, 0, 0, 0)
#define HOST1(n, a) host6(n, (long)(a), 0, 0, 0, 0, 0)
#define HOST2(n, a, b) host6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define HOST3(n, a, b, c) host6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define HOST4(n, a, b, c, d) host6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define HOST5(n, a, b, c, d, e) host6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define HOST6(n, a, b, c, d, e, f)                                                                 \
    host6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static inline bool host_failed(long result) {
    return (unsigned long)result > -4096ul;
}

#endif
