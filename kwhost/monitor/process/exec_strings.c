/* See process/exec_strings.h. */
#include "process/exec_strings.h"

#include <linux/binfmts.h>
#include <linux/errno.h>

#include "mm/window.h"

#define LIMIT_LEAST (128ul << 10) /* granted however small the stack */
#define LIMIT_MOST (6ul << 20)

u64 exec_strings_limit(u64 stack_limit) {
    return max_u64(min_u64(stack_limit / 4, LIMIT_MOST), LIMIT_LEAST);
}

static long copy_one(struct exec_strings *strings, gva_t address) {
    u64 room = min_u64(strings->left, MAX_ARG_STRLEN);
    if (room == 0)
        return -E2BIG;
    long length = copy_string_from_guest(strings->text, address, room);
    if (length < 0)
        return length == -ENAMETOOLONG ? -E2BIG : length;
    *strings->pointers++ = strings->text;
    strings->text += length + 1;
    strings->left -= (u64)length + 1;
    return 0;
}

long exec_strings_copy(struct exec_strings *strings, u64 list, char ***copy) {
    *copy = strings->pointers;
    for (; list; list += sizeof(gva_t)) {
        gva_t address;
        long result = get_guest(address, list);
        if (result < 0)
            return result;
        if (address == 0)
            break;
        if (strings->left < sizeof(gva_t))
            return -E2BIG;
        strings->left -= sizeof(gva_t);
        result = copy_one(strings, address);
        if (result < 0)
            return result;
    }
    *strings->pointers++ = NULL;
    return 0;
}
