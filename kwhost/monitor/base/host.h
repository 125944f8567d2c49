/* System calls to the host with as many arguments as they have. The monitor links no C library
 * (docs/adr/0001): results are the kernel's own, a value or a negative errno; there is no errno
 * variable and no thread-local state. */
#ifndef KW_BASE_HOST_H
#define KW_BASE_HOST_H

#include <asm/unistd.h>
#include <linux/errno.h>

#include "base/host6.h"
#include "base/types.h"

/* host(nr, ...): a host system call with up to six arguments, each converted to long. */
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

/* True for the results the kernel uses for errors (-1 to -4095), also of calls returning pointers.
 */
static inline bool host_failed(long result) {
    return (unsigned long)result > -4096ul;
}

#endif
