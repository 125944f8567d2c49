#include "broker/confine.h"

#include <linux/prctl.h>

#include "base/host.h"
#include "jail/filter.h"
#include "jail/identity.h"

#define IN_NAMESPACES (KEPT_CAPABILITIES | 1u << CAP_SYS_PTRACE)

long confine(bool bare) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{.effective = 0}};
    long result = host(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (result >= 0)
        result = host(__NR_capget, &header, data);
    data[0].permitted &= bare ? 1u << CAP_KILL : IN_NAMESPACES;
    data[0].effective = data[0].permitted;
    data[0].inheritable = 0;
    data[1] = (struct __user_cap_data_struct){.effective = 0};
    if (result >= 0)
        result = host(__NR_capset, &header, data);
    return result < 0 ? result : filter_set(FILTER_BROKER, 0, 0);
}
