#include "broker/confine.h"

#include <linux/prctl.h>

#include "base/host.h"
#include "jail/filter.h"
#include "jail/identity.h"

#define CAPABILITIES (KEPT_CAPABILITIES | 1u << CAP_SYS_PTRACE)

long confine(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {
        {.effective = CAPABILITIES, .permitted = CAPABILITIES}};
    long result = host(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (result >= 0)
        result = host(__NR_capset, &header, data);
    return result < 0 ? result : filter_set(FILTER_BROKER, 0, 0);
}
