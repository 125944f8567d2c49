#include "policy/drain.h"

#include "base/text.h"

/* Copies event number `number`. False when another one is in its place, or on its way there. */
static bool copy(struct kw_policy_event *from, u64 number, struct kw_policy_event *event) {
    if (__atomic_load_n(&from->sequence, __ATOMIC_ACQUIRE) != number + 1)
        return false;
    memcpy(event, from, sizeof *event);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&from->sequence, __ATOMIC_RELAXED) != number + 1)
        return false;
    event->text[sizeof event->text - 1] = 0;
    return event->rule < KW_POLICY_RULES_MAX && event->action >= KW_POLICY_LOG &&
           event->action <= KW_POLICY_KILL;
}

bool drain_take(struct drain *drain, struct kw_policy_event *event) {
    struct kw_policy_shared *shared = drain->shared;
    u64 written = __atomic_load_n(&shared->written, __ATOMIC_ACQUIRE);
    u64 ahead = written - drain->taken;
    if (ahead > KW_POLICY_RING) { /* overtaken, or a number that went back */
        drain->lost += ahead < 1ul << 62 ? ahead - KW_POLICY_RING : 1;
        drain->taken = written - KW_POLICY_RING;
    }
    while (drain->taken != written) {
        u64 number = drain->taken;
        if (copy(&shared->events[number % KW_POLICY_RING], number, event)) {
            drain->taken++;
            return true;
        }
        /* Most likely it is being written, and the bell will ring; by the next time it is lost. */
        if (drain->waited_for != number + 1) {
            drain->waited_for = number + 1;
            return false;
        }
        drain->taken++;
        drain->lost++;
    }
    return false;
}
