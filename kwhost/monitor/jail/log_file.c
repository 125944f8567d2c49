#include "jail/log_file.h"

#include "base/text.h"
#include "jail/kernel.h"

#define FILE_MODE 0600
#define NAME_SIZE 16

static void file_name(u32 index, char name[NAME_SIZE]) {
    if (index == 0)
        format(name, NAME_SIZE, "log");
    else
        format(name, NAME_SIZE, "log.%u", index);
}

static void lose(struct log_file *file, u64 bytes, long error) {
    file->lost += bytes;
    file->lost_ever += bytes;
    file->error = error;
}

/* A line that an earlier end cut off stays by itself. */
static void end_last_line(struct log_file *file) {
    char last = '\n';
    if (file->size > 0)
        host(__NR_pread64, file->fd, &last, 1, file->size - 1);
    if (last != '\n' && host(__NR_write, file->fd, "\n", 1) == 1)
        file->size++;
}

/* Returns 0 or a negative errno. */
static long open_file(struct log_file *file) {
    struct statx stat;
    long fd = host(__NR_openat, file->directory, "log",
                   O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
    if (fd < 0)
        return fd;
    file->fd = (int)fd;
    file->size = host_stat(file->fd, "", AT_EMPTY_PATH, &stat) < 0 ? 0 : stat.stx_size;
    end_last_line(file);
    return 0;
}

void log_file_open(struct log_file *file, int directory, u64 size_limit, u32 files) {
    file->directory = directory;
    file->fd = -1;
    file->size_limit = size_limit;
    file->files = files;
    if (directory >= 0)
        open_file(file);
}

/* Writes whole lines. Returns how many bytes of them were written, which is less when the disk is
 * full, and sets *error then. */
static u64 write_lines(struct log_file *file, const void *data, u64 size, long *error) {
    *error = file->fd < 0 ? open_file(file) : 0;
    if (*error < 0)
        return 0;
    u64 done = 0;
    while (done < size && *error >= 0) {
        *error = host(__NR_write, file->fd, (const u8 *)data + done, size - done);
        if (*error > 0)
            done += (u64)*error;
        else if (*error == -EINTR)
            *error = 0;
        else if (*error == 0)
            *error = -EIO;
    }
    u64 whole = done;
    while (whole > 0 && ((const u8 *)data)[whole - 1] != '\n')
        whole--;
    file->size += whole;
    if (whole < done)
        host(__NR_ftruncate, file->fd, file->size);
    file->written += whole > 0;
    return whole;
}

static bool tell_loss(struct log_file *file) {
    char line[CLOCK_TEXT_SIZE + 64];
    long error;
    u64 size = (u64)format(line, sizeof line, "%s stderr F kwhost: %lu bytes of log were lost\n",
                           file->time, (unsigned long)file->lost);
    if (write_lines(file, line, size, &error) < size)
        return false;
    file->lost = 0;
    return true;
}

void log_file_flush(struct log_file *file) {
    long error = file->error;
    if (file->held == 0)
        return;
    u64 done = 0;
    if (file->lost == 0 || tell_loss(file))
        done = write_lines(file, file->data, file->held, &error);
    if (done < file->held)
        lose(file, file->held - done, error);
    file->held = 0;
}

/* Makes room by moving every file one on; the oldest goes. */
static void rotate(struct log_file *file) {
    char from[NAME_SIZE], to[NAME_SIZE];
    if (file->files == 1 && file->fd >= 0 && host(__NR_ftruncate, file->fd, 0) == 0)
        file->size = 0;
    if (file->files == 1)
        return;
    for (u32 i = file->files - 1; i >= 1; i--) {
        file_name(i - 1, from);
        file_name(i, to);
        host(__NR_renameat, file->directory, from, file->directory, to);
    }
    host(__NR_close, file->fd);
    file->fd = -1;
    file->size = 0;
    file->error = open_file(file);
}

void log_file_add(struct log_file *file, const char *head, u32 head_size, const u8 *text,
                  u32 size) {
    u32 whole = head_size + size + 1;
    if (file->held + whole > LOG_BATCH)
        log_file_flush(file);
    if (file->size + file->held + whole > file->size_limit) {
        log_file_flush(file);
        rotate(file);
    }
    if (file->size + file->held + whole > file->size_limit) {
        lose(file, whole, -EFBIG);
        return;
    }
    u8 *to = file->data + file->held;
    memcpy(to, head, head_size);
    memcpy(to + head_size, text, size);
    to[head_size + size] = '\n';
    file->held += whole;
}
