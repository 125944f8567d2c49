/* Reading directories of procfs: the real ones, out of the guest's reach, less what guests do not
 * see. The position of the listing is the file position of the descriptor that stands for the
 * directory, in the real directory's own terms. */
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "base/host.h"
#include "mm/window.h"
#include "process/exec.h"
#include "process/thread.h"
#include "procfs/ask.h"
#include "procfs/list.h"
#include "procfs/place.h"
#include "procfs/private.h"
#include "procfs/procfs.h"
#include "procfs/scan.h"
#include "procfs/standin.h"

#define BATCH (16ul << 10)
#define WORKER_FLAG 0x4000u /* PF_USER_WORKER: kernel threads in a process, as KVM's */

struct record {
    u64 inode;
    s64 offset;
    u16 length;
    u8 type;
    char name[];
} __attribute__((packed));

struct listing {
    const struct place *place;
    long position;
    u64 room; /* the guest's */
    u8 *batch, *result;
    u64 done;
    bool too_small; /* the guest's room, for the first record already */
};

static bool is_fd_directory(const struct place *place) {
    return has_prefix(place->entry->name, "fd");
}

/* Whether a thread of another process is the kernel's. Runs inside the errand. */
static bool is_worker(const struct place *place, const char *name) {
    char path[64], text[512];
    u64 flags = 0;
    format(path, sizeof(path), "%s/%s/stat", place->inside, name);
    long fd = host(__NR_openat, own_fd(OWN_PROC), path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    long length = host(__NR_read, fd, text, sizeof(text) - 1);
    host(__NR_close, fd);
    text[length > 0 ? length : 0] = 0;
    char *rest = strrchr(text, ')');
    /* state, parent, group, session, terminal, its group, flags */
    for (int i = 0; rest && i < 8; i++) {
        char *part = next_part(&rest, ' ');
        flags = part && i == 7 ? scan_number(part, 10) : 0;
    }
    return flags & WORKER_FLAG;
}

static bool shows(const struct listing *listing, const char *name, int directory) {
    const struct place *place = listing->place;
    u64 number;
    /* The directory being read is not the guest's, unless it was opened in a table of its own. */
    if (is_fd_directory(place) && parse_decimal(name, (u64)directory, &number) &&
        number == (u64)directory && host(__NR_gettid) == place->thread->kernel_tid)
        return false;
    if (!place_shows(place, name))
        return false;
    bool other_task = !place->own && !strcmp(place->entry->name, "task") && name[0] != '.';
    return !other_task || !is_worker(place, name);
}

/* Copies what is shown of a batch to the result. False when the guest's room is used up. */
static bool take_batch(struct listing *listing, u64 size, int directory) {
    for (u64 at = 0; at < size;) {
        const struct record *record = (const struct record *)(listing->batch + at);
        if (shows(listing, record->name, directory)) {
            if (listing->done + record->length > listing->room) {
                listing->too_small = !listing->done;
                return false;
            }
            memcpy(listing->result + listing->done, record, record->length);
            listing->done += record->length;
        }
        listing->position = record->offset;
        at += record->length;
    }
    return true;
}

static long read_directory(void *argument) {
    struct listing *listing = argument;
    const char *path = listing->place->inside[0] ? listing->place->inside : ".";
    long directory =
        host(__NR_openat, own_fd(OWN_PROC), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (directory < 0)
        return directory;
    long result = host(__NR_lseek, directory, listing->position, 0);
    listing->done = 0;
    while (result >= 0) {
        result = host(__NR_getdents64, directory, listing->batch, BATCH);
        if (result <= 0 || !take_batch(listing, (u64)result, (int)directory))
            break;
        if (listing->done) /* enough for one call; the rest comes with the next */
            break;
    }
    host(__NR_close, directory);
    return result < 0 ? result : 0;
}

static long start_listing(const struct place *place, u64 room, struct listing *listing) {
    *listing = (struct listing){.place = place, .room = min_u64(room, BATCH)};
    listing->batch = scratch_take(place->thread, BATCH);
    listing->result = scratch_take(place->thread, BATCH);
    return listing->batch && listing->result ? 0 : -ENOMEM;
}

long list_names(const struct place *place, struct text *text) {
    struct listing listing;
    long result = start_listing(place, BATCH, &listing);
    if (result)
        return result;
    for (;;) {
        result = in_private(place->thread, read_directory, &listing);
        if (result || !listing.done)
            return result;
        for (u64 at = 0; at < listing.done;) {
            const struct record *record = (const struct record *)(listing.result + at);
            if (record->name[0] != '.')
                text_add(text, "%s\n", record->name);
            at += record->length;
        }
    }
}

static bool add_record(struct listing *listing, const char *name, s64 offset, u8 type) {
    u64 length = (sizeof(struct record) + strlen(name) + 1 + 7) & ~7ul;
    if (listing->done + length > listing->room) {
        listing->too_small = !listing->done;
        return false;
    }
    struct record *record = (struct record *)(listing->result + listing->done);
    memset(record, 0, length);
    *record = (struct record){.inode = (u64)offset, .offset = offset, .type = type};
    record->length = (u16)length;
    memcpy(record->name, name, strlen(name) + 1);
    listing->done += length;
    listing->position = offset;
    return true;
}

/* The descriptors of another process, as its monitor tells them. A position is the number of
 * entries before it. */
static long list_theirs(const struct place *place, struct listing *listing) {
    struct host_text answer;
    u64 number;
    s64 at = 0;
    u8 type = place->entry->name[2] ? 8 /* DT_REG: fdinfo */ : 10 /* DT_LNK */;
    long result = ask(place, &answer);
    char *rest = answer.data, *name;
    bool room = !result;
    for (int i = 0; i < 2 && room; i++)
        if (at++ >= listing->position)
            room = add_record(listing, i ? ".." : ".", at, 4 /* DT_DIR */);
    while (room && answer.length && (name = next_line(&rest)))
        if (at++ >= listing->position && parse_decimal(name, own_fd_base(), &number))
            room = add_record(listing, name, at, type);
    host_text_free(&answer);
    return result;
}

/* A removed process's directory still reads, as an empty one. */
static long list(struct thread *thread, int fd, const struct place *place, gva_t buffer, u64 size) {
    struct listing listing;
    long result = start_listing(place, size, &listing);
    if (result)
        return result;
    listing.position = host(__NR_lseek, fd, 0, 1);
    if (listing.position < 0)
        return listing.position;
    if (!place->own && is_fd_directory(place))
        result = list_theirs(place, &listing);
    else
        result = in_private(thread, read_directory, &listing);
    if (result)
        return result;
    if (!listing.done)
        return listing.too_small ? -EINVAL : 0;
    if (copy_to_guest(buffer, listing.result, listing.done))
        return -EFAULT;
    host(__NR_lseek, fd, listing.position, 0);
    return (long)listing.done;
}

long procfs_getdents(struct thread *thread, int fd, gva_t buffer, u64 size) {
    struct place place;
    char inside[PATH_MAX];
    if (!standin_path(fd, inside))
        return -ENOTTY;
    long result = place_find(thread, inside, &place);
    if (result)
        return result;
    if (place.entry->kind != PLACE_DIRECTORY)
        return -ENOTDIR;
    result = place_may_read(&place);
    return result ? result : list(thread, fd, &place, buffer, size);
}
