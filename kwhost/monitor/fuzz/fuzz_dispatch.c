/* link: tests/fake_calls.c calls/dispatch.c calls/translate.c calls/control_data.c calls/messages.c
 * calls/sockets.c calls/addresses.c calls/internet.c calls/ipc.c calls/ioctl.c calls/sys_poll.c
 * calls/sys_select.c calls/sys_epoll.c calls/sys_sleep.c calls/misc.c calls/wait.c
 * calls/descriptors.c base/text.c */
/* A call's whole way through the dispatcher and those handlers that copy and translate, with a host
 * that checks what it is told and answers anything: whatever the registers, the guest's memory and
 * the host's answers are, the host is told of guest memory and of the monitor's copies alone, and
 * of no descriptor of the monitor's. Input: call number, six registers, then the guest's memory;
 * the host answers with its words. Calls whose handlers need a whole process are passed over. */
#include <linux/time_types.h>
#include <linux/uio.h>

#include "fuzz/fake_host.h"

#include "base/own_fd.h"
#include "calls/addresses.h"
#include "calls/interruptible.h"
#include "calls/sockets.h"
#include "calls/stats.h"
#include "fuzz/calls.h"
#include "mm/space.h"
#include "policy/learn.h"
#include "policy/table.h"
#include "process/permit.h"
#include "process/question.h"
#include "process/thread.h"
#include "procfs/procfs.h"

#define OWN_DUPLICATE (FAKE_FD_BASE + 7)

static u64 current;    /* the number of the call that is made */
static u32 answers;    /* how many the host has given */
static u64 stack_here; /* somewhere on the monitor's stack during the call */

/* Structures that a handler copied to its own stack are the monitor's too. */
static bool is_stack(u64 value) {
    return value - (stack_here - (1ul << 20)) < (1ul << 20) + 4096;
}

static bool is_guests(u64 value) {
    return value - WINDOW_BASE < WINDOW_SIZE + WINDOW_GUARD;
}

static void check_pointer(u64 value) {
    MUST(!value || (value & ~7ul) == WILD_POINTER || fake_is_copy(value, 1) || is_stack(value) ||
         is_guests(value));
}

static void check_argument(const struct arg *arg, u64 value) {
    switch (arg->kind) {
    case ARG_FD:
    case ARG_DIRFD:
        MUST((s32)value < FAKE_FD_BASE || value == OWN_DUPLICATE);
        break;
    case ARG_NONE:
    case ARG_INT:
    case ARG_SIGNAL:
    case ARG_FLAGS:
    case ARG_MODE:
    case ARG_PID:
    case ARG_ADDRESS: /* what it is depends on a request, which its handler knows */
        break;
    default:
        check_pointer(value);
        break;
    }
}

/* What the pointers inside a message say, which the kernel follows too (struct user_msghdr). */
static void check_message(u64 at) {
    struct {
        u64 name, name_size, vector, count, control, control_size;
    } message;
    const struct iovec *vector;

    MUST(is_stack(at) || fake_is_copy(at, sizeof(message)));
    __builtin_memcpy(&message, (const void *)at, sizeof(message));
    check_pointer(message.name);
    if (message.control_size)
        check_pointer(message.control);
    check_pointer(message.vector);
    if (!message.vector || message.vector == WILD_POINTER)
        return;
    MUST(fake_is_copy(message.vector, message.count * sizeof(*vector)));
    vector = (const struct iovec *)message.vector;
    for (u64 i = 0; i < message.count; i++)
        MUST(!vector[i].iov_base || vector[i].iov_base == (void *)WILD_POINTER ||
             is_guests((u64)vector[i].iov_base));
}

/* Anything: mostly what the guest's memory says, sometimes a plain success. */
long host6(long nr, long a, long b, long c, long d, long e, long f) {
    const long values[6] = {a, b, c, d, e, f};
    u32 word = answers++ * 8 % FAKE_MEMORY_SIZE;
    if (nr == __NR_clock_gettime && is_stack((u64)b)) { /* the monitor's own look at the clock */
        *(struct __kernel_timespec *)b = (struct __kernel_timespec){answers, 0};
        return 0;
    }
    if ((u64)nr == current)
        for (u32 i = 0; i < 6; i++)
            check_argument(&call_table[nr].arg[i], (u64)values[i]);
    if (nr == __NR_sendmsg || nr == __NR_recvmsg)
        check_message((u64)b);
    return answers > 4096 ? -EINVAL : (s64)(fake_memory[word] - 128) * 32;
}

long interruptible_call(const volatile u32 *signal_pending, const volatile u32 *work, long nr,
                        const u64 arg[6]) {
    (void)signal_pending, (void)work;
    return host6(nr, (long)arg[0], (long)arg[1], (long)arg[2], (long)arg[3], (long)arg[4],
                 (long)arg[5]);
}

/* What the linked handlers need of the rest of the monitor. */
const struct kw_policy_table *policy_table;
struct kw_learn *learn_memory;
u32 own_fd_base(void) {
    return FAKE_FD_BASE;
}
int own_fd_borrow(int fd) {
    return fd >= 0 && fd < FAKE_FD_BASE ? OWN_DUPLICATE : -EBADF;
}
long copy_to_guest(gva_t to, const void *from, u64 size) {
    if (to < FAKE_MEMORY_AT || size > FAKE_MEMORY_SIZE ||
        to - FAKE_MEMORY_AT > FAKE_MEMORY_SIZE - size)
        return -EFAULT;
    __builtin_memcpy(fake_memory + (to - FAKE_MEMORY_AT), from, size);
    return 0;
}
long space_map(gva_t hint, u64 size, int prot, int flags, int fd, u64 offset,
               enum mapping_kind kind) {
    (void)hint, (void)size, (void)prot, (void)flags, (void)fd, (void)offset, (void)kind;
    return -ENOMEM;
}
long space_unmap(gva_t start, u64 size) {
    (void)start, (void)size;
    return 0;
}
struct kw_policy_verdict judge_network(enum kw_policy_direction direction,
                                       const struct policy_address *address) {
    (void)direction, (void)address;
    return (struct kw_policy_verdict){0};
}
void learn_address(u64 nr, enum kw_policy_direction direction,
                   const struct policy_address *address) {
    (void)nr, (void)direction, (void)address;
}
/* There is no policy here, so nothing is judged. */
bool local_is_judged(u64 address, u64 size) {
    (void)address, (void)size;
    return false;
}
long judged_change(struct call *call, const struct host_args *args) {
    (void)call, (void)args;
    __builtin_trap();
}
long judged_connect(struct call *call, int fd, const void *address, u64 size) {
    (void)call, (void)fd, (void)address, (void)size;
    __builtin_trap();
}
long judged_send(struct call *call, int fd, const struct message *message, u32 flags) {
    (void)call, (void)fd, (void)message, (void)flags;
    __builtin_trap();
}
long judged_bind(struct call *call, int fd, const void *address, u64 size) {
    (void)call, (void)fd, (void)size;
    MUST(fake_is_copy((u64)address, size));
    return 0;
}
long permit(struct thread *thread, struct kw_policy_verdict verdict, const char *text) {
    (void)thread, (void)verdict, (void)text;
    return 0;
}
long permit_call(struct thread *thread, u64 nr, const u64 arg[6]) {
    (void)thread, (void)nr, (void)arg;
    return 0;
}
long procfs_memory_call(struct call *call, long result) {
    (void)call;
    return result;
}
void lock_take(struct lock *lock) {
    (void)lock;
}
void lock_release(struct lock *lock) {
    (void)lock;
}
void process_park(struct thread *thread) {
    (void)thread;
}
void process_unpark(struct thread *thread) {
    (void)thread;
}
void signal_update_kept(struct thread *thread) {
    (void)thread;
}
bool question_ask(struct thread *thread, long *result) {
    (void)thread;
    *result = -EPERM;
    return false;
}
void question_forget(struct thread *thread, long result) {
    (void)thread, (void)result;
}
void stats_begin(u64 nr) {
    (void)nr;
}
void stats_end(u64 nr, u64 began, long result, bool refused) {
    (void)nr, (void)began, (void)result, (void)refused;
}
void stats_refused(u64 nr) {
    (void)nr;
}

static bool is_served_here(u64 nr) {
    const struct call_entry *entry = nr < CALL_LIMIT ? &call_table[nr] : NULL;
    return !entry || entry->class == CALL_REFUSED || entry->class == CALL_UNKNOWN || entry->handler;
}

int LLVMFuzzerTestOneInput(const u8 *data, u64 size);
int LLVMFuzzerTestOneInput(const u8 *data, u64 size) {
    static struct process process;
    struct call call = {.thread = fake_caller()};

    if (take_call(&call, data, size) < 0)
        return 0;
    call.nr = current = call.nr % (CALL_LIMIT + 16);
    call.thread->process = &process;
    if (call.nr >= CALL_LIMIT)
        current = 0; /* never made */
    answers = 0;
    stack_here = (u64)__builtin_frame_address(0);
    if (is_served_here(call.nr))
        call_dispatch(&call);
    return 0;
}
