/* The files of an instance's log: `log`, and its predecessors `log.1`, `log.2`, ... */
#ifndef KW_JAIL_LOG_FILE_H
#define KW_JAIL_LOG_FILE_H

#include "jail/clock.h"

#define LOG_BATCH (64u << 10)

struct log_file {
    int directory;  /* -1: there is no log */
    int fd;         /* -1: it could not be opened */
    u64 size;       /* bytes in the present file */
    u64 size_limit; /* of each file */
    u32 files;      /* at most */
    u64 written;    /* how often something was written */
    u64 lost; /* bytes of records that could not be written, and that the log does not tell of */
    u64 lost_ever;
    long error; /* negative errno of the latest loss */
    char time[CLOCK_TEXT_SIZE];
    u32 held; /* bytes of whole records that wait for being written */
    u8 data[LOG_BATCH];
};

/* Opens or makes the file; what fails here is tried again later. */
void log_file_open(struct log_file *file, int directory, u64 size_limit, u32 files);

/* Adds a record and its newline; it never is in two files. file->time is when it was. */
void log_file_add(struct log_file *file, const char *head, u32 head_size, const u8 *text, u32 size);

/* Writes what is held. What cannot be written is counted and given up: nothing waits for a disk to
 * have room again. */
void log_file_flush(struct log_file *file);

#endif
