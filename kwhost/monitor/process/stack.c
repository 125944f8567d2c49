/* See process/stack.h. From high to low addresses: eight zero bytes, the executed name, environment
 * strings, argument strings, a random gap, "x86_64", 16 random bytes, the auxiliary vector, the two
 * pointer arrays, argc. */
#include "process/stack.h"

#include <linux/auxvec.h>
#include <linux/errno.h>
#include <linux/mman.h>
#include <linux/resource.h>

#include "base/host.h"
#include "base/text.h"
#include "machine/vcpu.h"
#include "mm/space.h"
#include "mm/window.h"

#define STACK_LEAST (64ul << 10)
#define STACK_MOST (64ul << 20)
#define STACK_SLACK (128ul << 10) /* left for the program, however much its arguments take */
#define PLATFORM "x86_64"
#define CLOCK_TICKS 100
#define AUXV_ENTRIES 24
#define HWCAP2_FSGSBASE 2ul
/* Linux's rt_sigframe without the processor state, and the most that aligning that state costs. */
#define FRAME_FIXED (440 + 15)
#define FRAME_STATE_EXTRA (4 + 63)

struct start_ids start_ids;

struct strings {
    u64 count, bytes;
};

static struct strings measure(char **list) {
    struct strings sum = {0, 0};
    for (; list[sum.count]; sum.count++)
        sum.bytes += strlen(list[sum.count]) + 1;
    return sum;
}

u64 stack_size(const struct stack_contents *contents) {
    struct strings argv = measure(contents->argv), envp = measure(contents->envp);
    u64 needed = argv.bytes + envp.bytes + 8 * (argv.count + envp.count) + 4 * PAGE_SIZE;
    u64 size = contents->limit > STACK_MOST ? STACK_MOST : max_u64(contents->limit, STACK_LEAST);
    return page_up(max_u64(size, needed + STACK_SLACK));
}

/* Writes consecutive words to the guest, many at a time. The first error sticks. */
struct words {
    gva_t at;
    long error;
    u32 used;
    u64 buffer[64];
};

static void words_flush(struct words *words) {
    if (words->used && words->error == 0)
        words->error = copy_to_guest(words->at, words->buffer, words->used * 8ul);
    words->at += words->used * 8ul;
    words->used = 0;
}

static void words_add(struct words *words, u64 word) {
    if (words->used == array_size(words->buffer))
        words_flush(words);
    words->buffer[words->used++] = word;
}

/* One pointer array and its strings, which begin at `place`. Returns where they end. */
static gva_t write_strings(struct words *words, char **list, gva_t place) {
    for (; *list; list++) {
        u64 size = strlen(*list) + 1;
        words_add(words, place);
        if (words->error == 0)
            words->error = copy_to_guest(place, *list, size);
        place += size;
    }
    words_add(words, 0);
    return place;
}

struct cpuid {
    u32 eax, ebx, ecx, edx;
};

static struct cpuid cpuid(u32 leaf) {
    struct cpuid result;
    __asm__("cpuid"
            : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
            : "a"(leaf), "c"(0));
    return result;
}

static u64 hwcap2(void) {
    bool fsgsbase = cpuid(0).eax >= 7 && (cpuid(7).ebx & 1);
    return fsgsbase ? HWCAP2_FSGSBASE : 0;
}

/* Places of what the auxiliary vector points at. */
struct places {
    gva_t name, platform, random;
};

/* Fills the vector in Linux's order. Returns the number of entries. */
static u32 make_auxv(u64 auxv[][2], const struct program_image *image,
                     const struct places *places) {
    u32 n = 0;
#define ADD(type, value) (auxv[n][0] = (type), auxv[n++][1] = (u64)(value))
    gva_t vdso = space_vdso_base();
    if (vdso)
        ADD(AT_SYSINFO_EHDR, vdso);
    ADD(AT_MINSIGSTKSZ, (FRAME_FIXED + FRAME_STATE_EXTRA + vcpu_xstate_size() + 15) & ~15ul);
    ADD(AT_HWCAP, cpuid(1).edx);
    ADD(AT_PAGESZ, PAGE_SIZE);
    ADD(AT_CLKTCK, CLOCK_TICKS);
    ADD(AT_PHDR, image->table);
    ADD(AT_PHENT, sizeof(Elf64_Phdr));
    ADD(AT_PHNUM, image->table_count);
    ADD(AT_BASE, image->loader_base);
    ADD(AT_FLAGS, 0);
    ADD(AT_ENTRY, image->program_entry);
    ADD(AT_UID, start_ids.uid);
    ADD(AT_EUID, start_ids.euid);
    ADD(AT_GID, start_ids.gid);
    ADD(AT_EGID, start_ids.egid);
    ADD(AT_SECURE, 0); /* set-user-ID bits are ignored */
    ADD(AT_RANDOM, places->random);
    ADD(AT_HWCAP2, hwcap2());
    ADD(AT_EXECFN, places->name);
    ADD(AT_PLATFORM, places->platform);
    ADD(AT_NULL, 0);
#undef ADD
    return n;
}

static long map_stack(u64 size, bool executable, struct program_image *image) {
    image->stack_high = space_stack_top();
    image->stack_low = image->stack_high - size;
    int prot = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    long result = space_map(image->stack_low, size, prot, flags, -1, 0, MAPPING_STACK);
    return host_failed(result) ? result : 0;
}

/* Puts the fixed-size things below `p`. Returns the new lowest address. */
static gva_t write_small(gva_t p, const u8 random[16], struct places *places, long *error) {
    places->platform = p -= sizeof(PLATFORM);
    places->random = p -= 16;
    *error = copy_to_guest(places->platform, PLATFORM, sizeof(PLATFORM));
    if (*error == 0)
        *error = copy_to_guest(places->random, random, 16);
    return p;
}

long stack_build(const struct stack_contents *contents, u64 size, struct program_image *image) {
    struct strings argv = measure(contents->argv), envp = measure(contents->envp);
    u64 name_size = strlen(contents->exec_name) + 1;
    if (argv.bytes + envp.bytes + 8 * (argv.count + envp.count) + name_size > size - 4 * PAGE_SIZE)
        return -E2BIG;
    long error = map_stack(size, contents->executable, image);
    if (error)
        return error;
    u8 random[16 + 8];
    if (host(__NR_getrandom, random, sizeof(random), 0) != (long)sizeof(random))
        return -EIO;
    struct places places;
    places.name = image->stack_high - 8 - name_size;
    image->environment_end = places.name;
    image->environment = image->arguments_end = places.name - envp.bytes;
    image->arguments = image->arguments_end - argv.bytes;
    error = copy_to_guest(places.name, contents->exec_name, name_size);
    if (error)
        return error;
    /* Programs that run side by side should not all use the same cache lines. */
    u64 gap = ((u64)random[16] << 8 | random[17]) & 8191;
    gva_t p = write_small((image->arguments - gap) & ~15ul, random, &places, &error);
    if (error)
        return error;

    u64 auxv[AUXV_ENTRIES][2];
    u32 entries = make_auxv(auxv, image, &places);
    u64 words_below = 1 + argv.count + 1 + envp.count + 1 + 2 * entries;
    image->stack_pointer = (p - 8 * words_below) & ~15ul;
    struct words words = {.at = image->stack_pointer};
    words_add(&words, argv.count);
    write_strings(&words, contents->argv, image->arguments);
    write_strings(&words, contents->envp, image->environment);
    image->auxv = words.at + 8 * words.used;
    image->auxv_size = 16 * entries;
    for (u32 i = 0; i < entries; i++) {
        words_add(&words, auxv[i][0]);
        words_add(&words, auxv[i][1]);
    }
    words_flush(&words);
    return words.error;
}
