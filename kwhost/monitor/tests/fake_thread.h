/* A thread for hosted tests. Apart from fake_space.h, because struct thread needs kernel headers
 * that the C library's do not go with. */
#ifndef KW_TESTS_FAKE_THREAD_H
#define KW_TESTS_FAKE_THREAD_H

#include "base/types.h"

struct thread *fake_thread(void);
const char *fake_exe_path(void);
void fake_stack_limit(u64 size);

#endif
