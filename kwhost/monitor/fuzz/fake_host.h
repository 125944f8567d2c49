/* In the place of base/host6.h, for units that are included here: every call to the host goes to
 * host6(), which the fuzz target checks and answers. */
#ifndef KW_BASE_HOST6_H
#define KW_BASE_HOST6_H

long host6(long nr, long a, long b, long c, long d, long e, long f);

#endif
