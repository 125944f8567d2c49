/* Questions between the monitors of an instance (procfs/ask.h). Both sides treat what the other one
 * wrote as hostile: the question is a path like any a guest passes, the answer a text. */
#include <asm/siginfo.h>
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "base/host.h"
#include "process/exec.h"
#include "process/signal.h"
#include "process/thread.h"
#include "procfs/ask.h"
#include "procfs/content.h"
#include "procfs/list.h"
#include "procfs/procfs.h"
#include "procfs/scan.h"
#include "procfs/serve.h"
#include "procfs/table.h"

#define PATIENCE_NS 100000000ul
#define SLICE_NS 10000000ul
#define ANSWER_LIMIT (16ul << 20)

/* A question's text is its number, a blank and the path: an answer that comes too late must not be
 * taken for the one to the next question. */
static void question_name(char name[32], int asker) {
    format(name, 32, "question.%d", asker);
}

static void answer_name(char name[64], int asker, u64 number) {
    format(name, 64, "answer.%d.%lu", asker, number);
}

/* Makes a file of this user that only this user can read. A left-over of a killed thread gives way.
 */
static long make_file(const char *name, const void *data, u64 size) {
    int root = own_fd(OWN_STANDINS);
    host(__NR_unlinkat, root, name, 0);
    long fd =
        host(__NR_openat, root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fd;
    long result = host(__NR_fchmod, fd, 0600); /* whatever the guest's umask */
    const u8 *from = data;
    while (result >= 0 && size) {
        result = host(__NR_write, fd, from, size);
        if (result > 0) {
            from += result;
            size -= (u64)result;
        }
    }
    host(__NR_close, fd);
    return result < 0 ? result : 0;
}

/* Reads a file of the stand-ins' tmpfs and tells whose it is. */
static long take_file(const char *name, char *text, u64 size, struct stat *status) {
    long fd = host(__NR_openat, own_fd(OWN_STANDINS), name,
                   O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    long length = host(__NR_fstat, fd, status);
    if (length >= 0)
        length = host(__NR_read, fd, text, size - 1);
    host(__NR_close, fd);
    if (length >= 0)
        text[length] = 0;
    return length;
}

/* Linux's rule for looking into a process: all its ids are the asker's. */
static bool may_ask(const struct stat *question) {
    u32 real, effective, saved;
    if (host(__NR_getresuid, &real, &effective, &saved) < 0 || real != question->st_uid ||
        effective != question->st_uid || saved != question->st_uid)
        return false;
    return host(__NR_getresgid, &real, &effective, &saved) >= 0 && real == question->st_gid &&
           effective == question->st_gid && saved == question->st_gid;
}

/* Text, link or directory, as ask() describes it. Only what belongs to this process. */
static long make_answer(const struct place *place, struct text *text) {
    char *link;
    long length;
    if (!place->own || !(place->entry->flags & PLACE_OWN) || place->followed)
        return -EACCES;
    switch ((enum place_kind)place->entry->kind) {
    case PLACE_TEXT:
        return place->entry->make(place, text);
    case PLACE_DIRECTORY:
        return list_names(place, text);
    case PLACE_JUMP:
        link = scratch_take(place->thread, PATH_MAX);
        length = link ? guest_link_text(place->inside, link, PATH_MAX) : -ENOMEM;
        if (length > 0)
            text_put(text, link, (u64)length);
        return length < 0 ? length : 0;
    case PLACE_REAL:
    case PLACE_COMM:
    case PLACE_LINK:
    case PLACE_PROGRAM:
    case PLACE_MEMORY:
    default:
        return -EACCES;
    }
}

/* The answer appears under its name at once and whole. */
static void send_answer(const struct thread *thread, int asker, u64 number,
                        const struct text *text) {
    char draft[32], question[32], name[64];
    int root = own_fd(OWN_STANDINS);
    format(draft, sizeof(draft), "draft.%d", thread->kernel_tid);
    answer_name(name, asker, number);
    if (!make_file(draft, text->data, text->length))
        host(__NR_renameat, root, draft, root, name);
    question_name(question, asker);
    if (host(__NR_faccessat, root, question, 0) < 0) /* it was given up: nobody would clean up */
        host(__NR_unlinkat, root, name, 0);
    host(__NR_unlinkat, root, draft, 0);
    table_wake();
}

void procfs_answer(struct thread *thread) {
    struct place place;
    struct stat status;
    struct text text;
    char name[32];
    int asker = (int)__atomic_exchange_n(&thread->asker, 0, __ATOMIC_RELAXED);
    u64 scratch_used = thread->scratch_used;
    char *question = scratch_take(thread, PATH_MAX), *path = NULL;
    question_name(name, asker);
    if (asker > 0 && question && take_file(name, question, PATH_MAX, &status) > 0)
        path = strchr(question, ' ');
    if (path && may_ask(&status) && !place_find(thread, path + 1, &place)) {
        long result = content_from(&place, make_answer, &text);
        if (!result) {
            send_answer(thread, asker, scan_number(question, 10), &text);
            content_free(&text);
        }
    }
    thread->scratch_used = scratch_used;
}

static u64 now_ns(void) {
    struct {
        s64 seconds, nanoseconds;
    } now = {0, 0};
    host(__NR_clock_gettime, 1 /* CLOCK_MONOTONIC */, &now);
    return (u64)now.seconds * 1000000000ul + (u64)now.nanoseconds;
}

static long kick_process(struct thread *thread, int pid) {
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGNAL_KICK;
    info.si_code = KICK_CODE;
    info.si_ptr = (void *)(((u64)(u32)thread->kernel_tid << 32) | KICK_ANSWER);
    return host(__NR_rt_sigqueueinfo, pid, SIGNAL_KICK, &info);
}

/* Waits for the answer. Two processes that ask each other must not wait for each other; and a
 * process that several ask at once may have heard only the last of them, so that it is kicked
 * again. */
static long await_answer(const struct place *place, const char *name, struct host_text *answer) {
    struct thread *thread = place->thread;
    u64 end = now_ns() + PATIENCE_NS, next_kick = 0;
    for (;;) {
        u32 seen = table_wakes();
        long result = host_text_read_from(own_fd(OWN_STANDINS), name, ANSWER_LIMIT, answer);
        if (result != -ENOENT)
            return result;
        u64 now = now_ns();
        if (now >= next_kick) {
            next_kick = now + SLICE_NS;
            result = kick_process(thread, place->pid);
        }
        if (now >= end || result == -EPERM || result == -ESRCH)
            return -EACCES;
        if (__atomic_load_n(&thread->asker, __ATOMIC_RELAXED))
            procfs_answer(thread);
        else
            table_wait(seen, SLICE_NS);
    }
}

long ask(const struct place *place, struct host_text *answer) {
    char name[32], answered[64];
    struct thread *thread = place->thread;
    u64 scratch_used = thread->scratch_used, number = now_ns();
    char *question = scratch_take(thread, PATH_MAX);
    *answer = (struct host_text){NULL, 0, 0};
    /* Nobody else has a handler for the kick: a process without an entry is no monitor (yet). */
    if (!question || !table_has(place->pid))
        return -EACCES;
    question_name(name, thread->kernel_tid);
    answer_name(answered, thread->kernel_tid, number);
    u64 length = (u64)format(question, PATH_MAX, "%lu %s", number, place->inside);
    long result = length < PATH_MAX ? make_file(name, question, length) : -ENAMETOOLONG;
    if (!result)
        result = await_answer(place, answered, answer);
    host(__NR_unlinkat, own_fd(OWN_STANDINS), name, 0);
    host(__NR_unlinkat, own_fd(OWN_STANDINS), answered, 0);
    thread->scratch_used = scratch_used;
    return result;
}

long ask_link(const struct place *place, char *text, u64 size) {
    struct host_text answer;
    long result = ask(place, &answer);
    if (!result && !answer.length)
        result = -ENOENT;
    if (!result) {
        result = (long)min_u64(answer.length, size);
        memcpy(text, answer.data, (u64)result);
    }
    host_text_free(&answer);
    return result;
}
