#include "policy/learn.h"

#include <linux/mman.h>
#include <asm/unistd.h>

#include "base/host.h"
#include "base/own_fd.h"
#include "base/text.h"

struct kw_learn *learn_memory;

/* The arguments by which one call does quite different things, as far as the kernel looks at them.
 */
#define TYPE_OF_SOCKET 0xfu /* the rest are SOCK_NONBLOCK and SOCK_CLOEXEC */
static const struct noted {
    u16 nr;
    u8 count;
    u8 argument[KW_LEARN_VALUES_MAX];
    u32 mask[KW_LEARN_VALUES_MAX];
} all_noted[] = {
    {__NR_ioctl, 1, {1}, {~0u}},
    {__NR_fcntl, 1, {1}, {~0u}},
    {__NR_prctl, 1, {0}, {~0u}},
    {__NR_clone, 1, {0}, {~0u}},
    {__NR_socket, 3, {0, 1, 2}, {~0u, TYPE_OF_SOCKET, ~0u}},
    {__NR_socketpair, 3, {0, 1, 2}, {~0u, TYPE_OF_SOCKET, ~0u}},
};

int learn_start(void) {
    long memory = host(__NR_mmap, 0, page_up(sizeof(struct kw_learn)), PROT_READ | PROT_WRITE,
                       MAP_SHARED, own_fd(OWN_LEARN), 0);
    if (memory == -EBADF)
        return 0;
    if (host_failed(memory))
        return (int)memory;
    learn_memory = (struct kw_learn *)memory;
    return 0;
}

void learn_index(struct kw_policy *policy) {
    policy->looks |= KW_POLICY_LOOKS_PATH | KW_POLICY_LOOKS_NETWORK;
    for (u32 nr = 0; nr < KW_CALL_LIMIT; nr++)
        policy->call_looks[nr] |= KW_POLICY_LOOKS_CALL;
}

static const u64 before_content = offsetof(struct kw_learnt, kind);

static u64 hash_of(const struct kw_learnt *note) {
    u64 size = offsetof(struct kw_learnt, text) - before_content + note->length;
    u64 hash = policy_hash(POLICY_HASH_START, (const char *)note + before_content, size);
    return hash ? hash : 1;
}

static void write_record(struct kw_learnt *record, const struct kw_learnt *note) {
    u64 size = offsetof(struct kw_learnt, text) - before_content + note->length;
    memcpy((u8 *)record + before_content, (const u8 *)note + before_content, size);
    __atomic_store_n(&record->ready, 1, __ATOMIC_RELEASE);
}

/* Claims a free record; false where somebody else did, or none may be used any more. */
static bool claim(struct kw_learnt *record, u64 hash) {
    u64 none = 0;
    if (__atomic_load_n(&learn_memory->used, __ATOMIC_RELAXED) >= KW_LEARN_USED_MAX)
        return false;
    if (!__atomic_compare_exchange_n(&record->hash, &none, hash, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return false;
    __atomic_fetch_add(&learn_memory->used, 1, __ATOMIC_RELAXED);
    return true;
}

static void note_once(const struct kw_learnt *note) {
    u64 hash = hash_of(note);
    for (u32 i = 0; i < KW_LEARN_RECORDS; i++) {
        struct kw_learnt *record = &learn_memory->records[(hash + i) & (KW_LEARN_RECORDS - 1)];
        u64 found = __atomic_load_n(&record->hash, __ATOMIC_ACQUIRE);
        if (!found && !claim(record, hash))
            found = __atomic_load_n(&record->hash, __ATOMIC_ACQUIRE);
        else if (!found)
            found = hash;
        if (!found)
            break; /* it is free, and must stay so */
        if (found != hash)
            continue;
        if (!__atomic_load_n(&record->ready, __ATOMIC_ACQUIRE))
            write_record(record, note);
        return;
    }
    __atomic_fetch_add(&learn_memory->lost, 1, __ATOMIC_RELAXED);
}

static void note_values(struct kw_learnt *note, u64 nr, const u64 arg[6]) {
    note->call = (u32)nr;
    for (u32 i = 0; i < array_size(all_noted); i++)
        for (u32 j = 0; all_noted[i].nr == nr && j < all_noted[i].count; j++)
            note->values[j] = arg[all_noted[i].argument[j]] & all_noted[i].mask[j];
}

/* Adds a path, or where it is longer than a rule can be a directory above it. */
static void add_path(struct kw_learnt *note, const char *path, u8 cut) {
    u64 length = strlen(path);
    if (length > KW_LEARN_PATH_MAX) {
        length = KW_LEARN_PATH_MAX;
        while (length > 1 && path[length] != '/')
            length--;
        note->flags |= cut;
    }
    memcpy(note->text + note->length, path, length);
    note->length += (u16)length;
}

void learn_call(u64 nr, const u64 arg[6]) {
    struct kw_learnt note = {.kind = KW_LEARN_CALL};
    note_values(&note, nr, arg);
    note_once(&note);
}

void learn_path(const char *path, u32 access) {
    struct kw_learnt note = {.kind = KW_LEARN_PATH, .access = (u8)access};
    add_path(&note, path, KW_LEARN_CUT);
    note_once(&note);
}

void learn_names(const char *old, const char *new, u32 access) {
    struct kw_learnt note = {.kind = KW_LEARN_NAMES, .access = (u8)access};
    add_path(&note, old, KW_LEARN_CUT);
    note.text[note.length++] = 0;
    add_path(&note, new, KW_LEARN_CUT_OTHER);
    note_once(&note);
}

void learn_directory(const char *path) {
    struct kw_learnt note = {.kind = KW_LEARN_DIRECTORY};
    add_path(&note, path, KW_LEARN_CUT);
    note_once(&note);
}

void learn_made(u64 call, const char *path) {
    struct kw_learnt note = {.kind = KW_LEARN_MADE, .call = (u32)call};
    add_path(&note, path, KW_LEARN_CUT);
    note_once(&note);
}

void learn_address(u64 call, enum kw_policy_direction direction,
                   const struct policy_address *address) {
    struct kw_learnt note = {.kind = KW_LEARN_ADDRESS, .call = (u32)call};
    memcpy(note.values, address->bytes, sizeof address->bytes);
    note.values[2] = address->port | (u64)direction << 16 | (u64)address->protocol << 32;
    note_once(&note);
}

void learn_refused(u64 nr, const u64 arg[6], struct kw_policy_verdict verdict, const char *text) {
    struct kw_learnt note = {.kind = KW_LEARN_REFUSED, .call = (u32)nr, .error = verdict.error};
    if (verdict.action == KW_POLICY_ASK) /* nobody answers in the foreground */
        note.error = EPERM;
    if (*text)
        add_path(&note, text, KW_LEARN_CUT);
    else
        note_values(&note, nr, arg);
    note_once(&note);
}
