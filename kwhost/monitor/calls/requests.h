/* Where the names in ioctls.def come from. */
#ifndef KW_CALLS_REQUESTS_H
#define KW_CALLS_REQUESTS_H

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/random.h>
#include <linux/sockios.h>

#include "base/types.h"

#define TIMERFD_SET_TICKS _IOW('T', 0, u64) /* its header needs a C library's */

#endif
