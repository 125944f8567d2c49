/* link: jail/record.c jail/errors.c base/error_text.c base/text.c */
/* The launch record against anything: every pointer of one that passes must lead into it. */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/text.h"
#include "jail/record.h"

#define SIZE_MAX_TRIED 65536

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool good) {
    if (!good)
        abort();
}

/* A string that ends before the record does, or none. */
static void check_string(const u8 *record, size_t size, const char *text) {
    const u8 *start = (const u8 *)text;
    if (text)
        require(start >= record && start < record + size &&
                memchr(start, 0, size - (u64)(start - record)));
}

static void check_launch(const u8 *record, size_t size, const struct launch *launch) {
    const struct kw_launch *header = launch->record;
    require((const u8 *)header == record && header->argc > 0);
    require(header->uid < header->id_count && header->gid < header->id_count);
    require(header->group_count <= KW_GROUPS_MAX);
    for (u32 i = 0; i < header->argc; i++)
        check_string(record, size, launch->argv[i]);
    for (u32 i = 0; i < header->envc; i++)
        check_string(record, size, launch->envp[i]);
    require(!launch->argv[header->argc] && !launch->envp[header->envc]);
    for (u32 i = 0; i < header->mount_count; i++) {
        const struct launch_mount *mount = &launch->mounts[i];
        check_string(record, size, mount->source);
        check_string(record, size, mount->target);
        check_string(record, size, mount->data);
        require(mount->target[0] == '/' && !strstr(mount->target, "/../"));
    }
    require(header->tap_count <= KW_TAPS_MAX);
    for (u32 i = 0; i < header->tap_count; i++) {
        const u8 *tap = (const u8 *)&launch->taps[i];
        require(tap > record && tap + sizeof(struct kw_tap) <= record + size);
        require(strlen(launch->taps[i].name) < KW_TAP_NAME_MAX);
        require(launch->taps[i].queue_count <= KW_TAP_QUEUES_MAX);
    }
    require(launch->workdir[0] == '/');
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    static struct failure failure;
    struct launch launch;
    if (size > SIZE_MAX_TRIED)
        return 0;
    u8 *record = malloc(size ? size : 1); /* its own, so that the sanitizer knows where it ends */
    memcpy(record, data, size);
    if (size >= sizeof(struct kw_launch)) { /* lets the fuzzer get past what it could only guess */
        struct kw_launch *header = (struct kw_launch *)record;
        header->magic = KW_LAUNCH_MAGIC;
        header->version = KW_ABI_VERSION;
        header->size = (u32)size;
    }
    if (launch_parse(record, size, &launch, &failure))
        check_launch(record, size, &launch);
    if (launch.tables_size)
        munmap(launch.argv, launch.tables_size);
    free(record);
    return 0;
}
