/* link: tests/fake_calls.c calls/translate.c calls/control_data.c */
/* What a call's arguments may become for the host. */
#include "calls/call.h"
#include "calls/control_data.h"
#include "calls/translate.h"

#include "check.h"
#include "fake_calls.h"

static struct host_args host_args;

static long translate(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
    struct call call = {.thread = fake_caller(), .nr = nr, .arg = {a, b, c, d, e, f}};
    return translate_args(&call, &call_table[nr], &host_args);
}

static void put(u64 at, const void *data, u64 size) {
    memcpy(fake_memory + (at - FAKE_MEMORY_AT), data, size);
}

static void test_buffers(void) {
    u64 top = WINDOW_SIZE;

    CHECK_EQUAL(0, translate(__NR_read, 3, 0x10000, 100, 7, 7, 7));
    CHECK_EQUAL(3, host_args.value[0]);
    CHECK_EQUAL(WINDOW_BASE + 0x10000, host_args.value[1]);
    CHECK_EQUAL(100, host_args.value[2]);
    CHECK_EQUAL(0, host_args.value[3]); /* left-over registers do not get through */
    translate(__NR_read, 3, 0, 100, 0, 0, 0);
    CHECK_EQUAL(0, host_args.value[1]);
    translate(__NR_read, 3, top - 100, 100, 0, 0, 0);
    CHECK_EQUAL(WINDOW_BASE + top - 100, host_args.value[1]);
    translate(__NR_read, 3, top - 100, 101, 0, 0, 0);
    CHECK_EQUAL(WILD_POINTER, host_args.value[1]);
    translate(__NR_read, 3, 0x10000, ~0ul, 0, 0, 0);
    CHECK_EQUAL(WILD_POINTER, host_args.value[1]);
    translate(__NR_read, 3, ~0ul, 2, 0, 0, 0);
    CHECK_EQUAL(WILD_POINTER, host_args.value[1]);
    translate(__NR_read, 3, WINDOW_BASE + 0x10000, 2, 0, 0,
              0); /* a host address is nothing special */
    CHECK_EQUAL(WINDOW_BASE + WINDOW_BASE + 0x10000, host_args.value[1]);
}

static void test_structures(void) {
    translate(__NR_fstat, 0, WINDOW_SIZE - 1, 0, 0, 0, 0);
    CHECK_EQUAL(WINDOW_BASE + WINDOW_SIZE - 1, host_args.value[1]); /* the guard is behind */
    translate(__NR_fstat, 0, WINDOW_SIZE, 0, 0, 0, 0);
    CHECK_EQUAL(WILD_POINTER, host_args.value[1]);
    translate(__NR_fstat, 0, 0xffffffff81000000, 0, 0, 0, 0);
    CHECK_EQUAL(WILD_POINTER, host_args.value[1]);
    /* 32-bit lengths: what stands above them does not count. */
    translate(__NR_getdents64, 0, 0x20000, 0xdead00000010, 0, 0, 0);
    CHECK_EQUAL(WINDOW_BASE + 0x20000, host_args.value[1]);
}

static void test_descriptors(void) {
    CHECK_EQUAL(0, translate(__NR_close, FAKE_FD_BASE - 1, 0, 0, 0, 0, 0));
    CHECK_EQUAL(-EBADF, translate(__NR_close, FAKE_FD_BASE, 0, 0, 0, 0, 0));
    CHECK_EQUAL(-EBADF, translate(__NR_close, 0x7fffffff, 0, 0, 0, 0, 0));
    CHECK_EQUAL(-EBADF, translate(__NR_dup2, 1, FAKE_FD_BASE + 5, 0, 0, 0, 0));
    CHECK_EQUAL(-EBADF, translate(__NR_close, 0x100000000ul + FAKE_FD_BASE, 0, 0, 0, 0, 0));
    CHECK_EQUAL(0, translate(__NR_close, 0xffffffff, 0, 0, 0, 0, 0));
    CHECK_EQUAL(-1, (long)host_args.value[0]); /* EBADF from the kernel */
    put(0x10000, "x", 2);
    CHECK_EQUAL(0, translate(__NR_openat, 0xffffff9c, 0x10000, 0, 0, 0, 0));
    CHECK_EQUAL(-100, (long)host_args.value[0]);
}

static void test_paths(void) {
    put(0x10000, "/bin/sh", 8);
    put(0x10100, "second", 7);
    CHECK_EQUAL(0, translate(__NR_rename, 0x10000, 0x10100, 0, 0, 0, 0));
    CHECK_TEXT("/bin/sh", (char *)host_args.value[0]);
    CHECK_TEXT("second", (char *)host_args.value[1]);
    CHECK_EQUAL(-EFAULT, translate(__NR_rename, 0x10000, 0x30000, 0, 0, 0, 0));
    CHECK_EQUAL(0, translate(__NR_utimensat, 5, 0, 0, 0, 0, 0));
    CHECK_EQUAL(0, host_args.value[1]);
    memset(fake_memory, 'a', 8192);
    CHECK_EQUAL(-ENAMETOOLONG, translate(__NR_unlink, 0x10000, 0, 0, 0, 0, 0));
    fake_memory[4095] = 0;
    CHECK_EQUAL(0, translate(__NR_unlink, 0x10000, 0, 0, 0, 0, 0));
    memset(fake_memory, 'a', 8192);
    CHECK_EQUAL(0, translate(__NR_memfd_create, 0x10000, 0, 0, 0, 0, 0));
    CHECK_EQUAL(4095, strlen((char *)host_args.value[0])); /* too long for the kernel, too */
}

static void test_vectors(void) {
    const u64 vector[][2] = {{0x10000, 16}, {0x12345, 0}, {~0ul, 4}, {0x10000, ~0ul}, {0, 3}};
    u64(*copy)[2];

    put(0x10000, vector, sizeof(vector));
    CHECK_EQUAL(0, translate(__NR_writev, 1, 0x10000, 5, 0, 0, 0));
    CHECK(fake_is_copy(host_args.value[1], sizeof(vector)));
    copy = (u64(*)[2])host_args.value[1];
    CHECK_EQUAL(WINDOW_BASE + 0x10000, copy[0][0]);
    CHECK_EQUAL(0, copy[1][0]);
    CHECK_EQUAL(WILD_POINTER, copy[2][0]);
    CHECK_EQUAL(WILD_POINTER, copy[3][0]);
    CHECK_EQUAL(-1, (long)copy[3][1]); /* EINVAL from the kernel */
    CHECK_EQUAL(0, copy[4][0]);
    CHECK_EQUAL(0, translate(__NR_writev, 1, 0x10000, 1025, 0, 0, 0));
    CHECK_EQUAL(WILD_POINTER, host_args.value[1]);
    CHECK_EQUAL(0, translate(__NR_writev, 1, FAKE_MEMORY_AT + FAKE_MEMORY_SIZE - 16, 2, 0, 0, 0));
    CHECK_EQUAL(WILD_POINTER, host_args.value[1]);
}

static void test_socket_addresses(void) {
    put(0x10000, "\1\0/path", 8);
    CHECK_EQUAL(0, translate(__NR_bind, 3, 0x10000, 8, 0, 0, 0));
    CHECK(fake_is_copy(host_args.value[1], 8));
    translate(__NR_bind, 3, 0x10000, 129, 0, 0, 0);
    CHECK_EQUAL(WILD_POINTER, host_args.value[1]);
    translate(__NR_bind, 3, 0x10000, 0xffffffff, 0, 0, 0);
    CHECK_EQUAL(WILD_POINTER, host_args.value[1]);
    translate(__NR_sendto, 3, 0x10000, 1, 0, 0, 0);
    CHECK_EQUAL(0, host_args.value[4]);
}

static void test_control_data(void) {
    struct {
        u64 length;
        s32 level, type;
        s32 fds[2];
    } rights[2] = {{24, 1, 1, {3, 4}}, {24, 1, 1, {5, FAKE_FD_BASE}}};

    CHECK_EQUAL(0, control_data_check((u8 *)rights, 24));
    CHECK_EQUAL(-EBADF, control_data_check((u8 *)rights, 48));
    CHECK_EQUAL(0, control_data_check((u8 *)rights, 47)); /* the kernel refuses the second */
    rights[0].length = 20; /* rounded up: the second is still found */
    CHECK_EQUAL(-EBADF, control_data_check((u8 *)rights, 48));
    rights[0].length = 15;
    CHECK_EQUAL(0, control_data_check((u8 *)rights, 48));
    rights[0].length = ~0ul;
    CHECK_EQUAL(0, control_data_check((u8 *)rights, 48));
    CHECK_EQUAL(0, control_data_check((u8 *)rights, 0));
}

/* Rules for every row, so that a new one cannot break them unnoticed. */
static void test_table(void) {
    u32 i, j, k, rows = 0;

    for (i = 0; i < CALL_LIMIT; i++) {
        const struct call_entry *entry = &call_table[i];
        if (!entry->name)
            continue;
        rows++;
        CHECK(entry->note && *entry->note);
        CHECK(entry->class == CALL_REFUSED ? entry->refusal != 0 : entry->refusal == 0);
        for (j = 0, k = 0; j < 6; j++) {
            const struct arg *arg = &entry->arg[j];
            k += arg->kind == ARG_PATH;
            if (arg->kind == ARG_IN || arg->kind == ARG_OUT || arg->kind == ARG_IOVEC ||
                arg->kind == ARG_SOCKADDR)
                CHECK_EQUAL(ARG_INT, entry->arg[arg->extra & 7].kind);
        }
        CHECK(k <= 2);
    }
    CHECK(rows > 370);
}

int main(void) {
    test_buffers();
    test_structures();
    test_descriptors();
    test_paths();
    test_vectors();
    test_socket_addresses();
    test_control_data();
    test_table();
    return check_done();
}
