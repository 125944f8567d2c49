/* The monitor's beginning: which role this process has, and the ordered steps to the first guest
 * instruction. */
#include <linux/auxvec.h>
#include <linux/mman.h>
#include <linux/prctl.h>

#include "base/accounts.h"
#include "base/clock.h"
#include "base/error_text.h"
#include "base/host.h"
#include "base/report.h"
#include "base/text.h"
#include "jail/init.h"
#include "jail/keeper.h"
#include "jail/probe.h"
#include "jail/supervise.h"
#include "jail/sweep.h"
#include "machine/machine.h"
#include "mm/space.h"
#include "policy/questions.h"
#include "policy/table.h"
#include "process/exec.h"
#include "process/load.h"
#include "process/permit.h"
#include "process/question.h"
#include "process/signal.h"
#include "process/stack.h"
#include "process/thread.h"
#include "procfs/procfs.h"
#include "procfs/table.h"

static struct process process;
static struct exec_record record;

_Noreturn void monitor_start(u64 *stack);

static u64 auxiliary(const u64 *auxv, u64 type) {
    for (; auxv[0] != AT_NULL; auxv += 2)
        if (auxv[0] == type)
            return auxv[1];
    return 0;
}

static void map_stats(void) {
    long page = host(__NR_mmap, 0, page_up(sizeof(struct kw_stats)), PROT_READ | PROT_WRITE,
                     MAP_SHARED, own_fd(OWN_STATS), 0);
    if (!host_failed(page))
        stats_page = (struct kw_stats *)page;
}

static struct thread *start_process(void) {
    process.pid = (int)host(__NR_getpid);
    process.is_first = process.pid == 1;
    process.dumpable = record.dumpable;
    process.cwd_in_proc = (record.flags & EXEC_CWD_IN_PROC) != 0;
    for (u32 i = 0; i < RLIM_NLIMITS; i++)
        process.rlimits[i] = (struct rlimit64){record.rlimits[i][0], record.rlimits[i][1]};
    struct thread *thread = thread_new(&process);
    if (!thread)
        monitor_fail(125, "no memory for the monitor's first thread");
    thread->kernel_tid = process.pid;
    thread->tid = process.pid;
    thread->guest_mask = record.guest_mask;
    thread_set_current(thread);
    thread_link(thread);
    return thread;
}

static void start_machine(struct thread *thread) {
    const char *what = "reserving the window";
    int error = space_start();
    enum syscall_landing landing = record.flags & EXEC_RING0   ? LANDING_RING0
                                   : record.flags & EXEC_RING3 ? LANDING_RING3
                                                               : LANDING_UNKNOWN;
    if (!error)
        error = machine_create(own_fd(OWN_KVM), landing, &what);
    if (error)
        monitor_fail(125, "cannot make the virtual machine: %s: %s", what, error_text(error));
    if (landing == LANDING_UNKNOWN)
        landing = machine_self_test();
    else if ((error = vcpu_make_batch(1)))
        monitor_fail(125, "cannot make a virtual CPU: %s", error_text(error));
    if (landing == LANDING_UNKNOWN)
        monitor_fail(125, "KVM's self-test failed: SYSCALL did not arrive; see `kwhost doctor`");
    exec_flags_add(landing == LANDING_RING0 ? EXEC_RING0 : EXEC_RING3);
    stats_page->syscall_ring = landing == LANDING_RING0 ? 1 : 4;
    thread->vcpu = vcpu_take();
    space_set_stack_size(min_u64(process.rlimits[RLIMIT_STACK].rlim_cur, 64ul << 20));
    vdso_place(own_fd(OWN_PROC), &record.vdso_before, &record.vdso_size);
    vdso_layout.before = record.vdso_before;
    vdso_layout.size = record.vdso_size;
}

static void start_accounts(void) {
    struct account_limits limits = {.tasks = record.pids_limit, .memory = record.memory_limit};
    long account = accounts_start(table_accounts(), &limits, (u32)process.pid);
    if (account < 0)
        monitor_fail(125, "the instance's limit of %u processes and threads is reached",
                     record.pids_limit);
    process.account = (u32)account;
}

static bool may_begin(struct thread *thread) {
    long result;
    do
        result = permit(thread, judge_path(record.exe_path, KW_POLICY_EXECUTE), record.exe_path);
    while (question_settle(thread, &result));
    thread->answer_count = 0;
    return !result;
}

/* Without its policy nothing of the instance runs. The program that it begins with is judged here;
 * those that come later, by execve. */
static void start_policy(struct thread *thread) {
    const char *what;
    if (!(record.flags & EXEC_POLICY))
        return;
    int error = policy_start(&what);
    if (error)
        monitor_fail(125, "cannot use the policy: %s: %s", what, error_text(error));
    questions_forget((u32)process.pid);
    thread->call_nr = __NR_execve; /* by which all this began */
    if ((record.flags & EXEC_FIRST) && !may_begin(thread))
        monitor_fail(126, "%s: the policy does not let it be executed", record.exec_name);
}

static void start_program(struct thread *thread, char **argv, char **envp) {
    struct program_image *image = &program_image;
    int error = program_start(thread, &record, argv, envp, image);
    if (error && (record.flags & EXEC_FIRST))
        monitor_fail(error == -ENOENT ? 127 : 126, "%s: %s", record.exec_name, image->reason);
    if (error) /* the old program is gone: the end is what Linux makes of that */
        process_die(thread, SIGSEGV);
    struct kvm_regs *regs = vcpu_regs(thread->vcpu);
    regs->rip = image->entry;
    regs->rsp = image->stack_pointer;
}

static _Noreturn void run_monitor(char **argv, char **envp) {
    host(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (host(__NR_getpid) == 1) /* an exec that changed ids forgets it */
        host(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    map_stats();
    bool first = (record.flags & EXEC_FIRST) && !(record.flags & EXEC_JOINED);
    if (first)
        stats_page->launched_ns = monotonic_ns();
    if (record.flags & EXEC_FIRST) {
        stats_count(processes, 1);
        stats_count(threads, 1);
    }
    struct thread *thread = start_process();
    start_policy(thread);
    start_machine(thread);
    signal_start(thread);
    table_start();
    start_accounts();
    procfs_start();
    start_program(thread, argv, envp);
    table_publish_exec(&process);
    if (first)
        stats_page->first_run_ns = monotonic_ns();
    thread_loop(thread);
}

_Noreturn void monitor_start(u64 *stack) {
    u64 argc = stack[0];
    char **argv = (char **)(stack + 1), **envp = argv + argc + 1;
    char **end = envp;
    while (*end)
        end++;
    const u64 *auxv = (u64 *)(end + 1);
    host_vdso = auxiliary(auxv, AT_SYSINFO_EHDR);
    start_ids = (struct start_ids){
        .uid = (u32)auxiliary(auxv, AT_UID),
        .euid = (u32)auxiliary(auxv, AT_EUID),
        .gid = (u32)auxiliary(auxv, AT_GID),
        .egid = (u32)auxiliary(auxv, AT_EGID),
    };
    /* The role is decided by what only the jail or another monitor can have put there, never by the
     * arguments, which are the guest's. */
    int taken = exec_record_take(&record);
    if (taken == 0)
        run_monitor(argv, envp);
    u64 fd, self;
    if (taken == -EBADF && argc == 3 && !strcmp(argv[1], "supervise") &&
        parse_decimal(argv[2], 1 << 20, &fd))
        supervise_main((int)fd, -1);
    if (taken == -EBADF && argc == 4 && !strcmp(argv[1], "supervise") &&
        parse_decimal(argv[2], 1 << 20, &fd) && parse_decimal(argv[3], 1 << 20, &self))
        supervise_main((int)fd, (int)self);
    if (taken == -EBADF && argc == 3 && !strcmp(argv[1], "init") &&
        parse_decimal(argv[2], 1 << 22, &fd))
        init_main((int)fd);
    if (taken == -EBADF && argc == 2 + KEEPER_ARGUMENTS && !strcmp(argv[1], "keeper"))
        keeper_main(argv + 2);
    if (taken == -EBADF && argc == 2 && !strcmp(argv[1], "probe"))
        probe_main();
    if (taken == -EBADF && argc == 4 && !strcmp(argv[1], "sweep"))
        sweep_main(argv[2], argv[3]);
    monitor_fail(125, "kwhost-monitor is started by kwhost; see `kwhost run --help`");
}
