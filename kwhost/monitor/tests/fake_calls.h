/* A calling thread and guest memory for hosted tests of the call decoder; the table is the real
 * one, without its handlers. */
#ifndef KW_TESTS_FAKE_CALLS_H
#define KW_TESTS_FAKE_CALLS_H

#include "base/types.h"

#define FAKE_MEMORY_AT 0x10000ul
#define FAKE_MEMORY_SIZE 0x10000ul
#define FAKE_FD_BASE 1000

struct thread;
extern u8 fake_memory[FAKE_MEMORY_SIZE];

/* The thread, with its scratch memory empty. */
struct thread *fake_caller(void);

/* Whether [address, address + size) lies in scratch memory or a path buffer. */
bool fake_is_copy(u64 address, u64 size);

#endif
