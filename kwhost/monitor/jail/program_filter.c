#include "jail/program_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

#include "calls/call.h"
#include "jail/kernel.h"

#define X32_CALLS 0x40000000u /* numbers of the x32 architecture begin here */
#define ENOSYS_NUMBER 38
#define OFFSET(field) offsetof(struct seccomp_data, field)

struct writer {
    struct sock_filter *code;
    u32 length;
};

static void emit(struct writer *writer, u16 code, u32 value, u32 yes, u32 no) {
    if (writer->length < PROGRAM_FILTER_MAX)
        writer->code[writer->length] = (struct sock_filter){code, (u8)yes, (u8)no, value};
    writer->length++;
}

static void emit_return(struct writer *writer, u32 value) {
    emit(writer, BPF_RET | BPF_K, value, 0, 0);
}

static void emit_load(struct writer *writer, u32 offset) {
    emit(writer, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static const struct kw_policy *policy_of(const struct program_filter *filter) {
    const u8 *slots = (const u8 *)filter->table + KW_POLICY_SLOTS;
    return filter->table ? (const struct kw_policy *)(slots + (filter->table->generation & 1) *
                                                                  KW_POLICY_SLOT_SIZE)
                         : NULL;
}

/* What becomes of a call by its number alone. */
static u32 decide(const struct program_filter *filter, u32 nr) {
    const struct kw_policy *policy = policy_of(filter);
    const struct call_entry *entry = &call_table[nr];
    if (nr == __NR_rt_sigreturn || nr == __NR_exit_group || nr == __NR_restart_syscall)
        return SECCOMP_RET_ALLOW;
    if (policy && policy->call_looks[nr])
        return SECCOMP_RET_USER_NOTIF;
    if (!entry->name || nr == __NR_clone3)
        return SECCOMP_RET_ERRNO | ENOSYS_NUMBER;
    if (entry->class == CALL_REFUSED)
        return SECCOMP_RET_ERRNO | entry->refusal;
    return filter->learn ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
}

/* On the way to the program supervise is told. */
static void exempt(struct writer *writer, u32 nr, int channel) {
    emit(writer, BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4);
    emit_load(writer, OFFSET(args[0]));
    emit(writer, BPF_JMP | BPF_JEQ | BPF_K, (u32)channel, 0, 1);
    emit_return(writer, SECCOMP_RET_ALLOW);
    emit_load(writer, OFFSET(nr));
}

u32 program_filter_make(const struct program_filter *filter,
                        struct sock_filter code[PROGRAM_FILTER_MAX]) {
    struct writer writer = {.code = code};
    emit_load(&writer, OFFSET(arch));
    emit(&writer, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    emit_return(&writer, SECCOMP_RET_KILL_PROCESS);
    emit_load(&writer, OFFSET(nr));
    emit(&writer, BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1);
    emit_return(&writer, SECCOMP_RET_KILL_PROCESS);
    emit(&writer, BPF_JMP | BPF_JGE | BPF_K, CALL_LIMIT, 0, 1);
    emit_return(&writer, SECCOMP_RET_ERRNO | ENOSYS_NUMBER);
    exempt(&writer, __NR_sendmsg, filter->channel);
    exempt(&writer, __NR_write, filter->channel);
    for (u32 nr = 0; nr < CALL_LIMIT; nr++) {
        u32 action = decide(filter, nr);
        if (action == (SECCOMP_RET_ERRNO | ENOSYS_NUMBER))
            continue;
        emit(&writer, BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1);
        emit_return(&writer, action);
    }
    emit_return(&writer, SECCOMP_RET_ERRNO | ENOSYS_NUMBER);
    return writer.length;
}

long program_filter_set(const struct program_filter *filter) {
    struct sock_filter code[PROGRAM_FILTER_MAX];
    struct sock_fprog program = {.len = (u16)program_filter_make(filter, code), .filter = code};
    u32 flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    return host(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}
