/* link: jail/ceiling.c jail/errors.c base/error_text.c base/text.c */
/* A policy's ceiling against anything: what passes the check is used as it stands. */
#include <stdlib.h>
#include <string.h>

#include "jail/ceiling.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* Reads as the jail does. */
static void use(const struct kw_ceiling *ceiling) {
    for (u32 i = 0; i < ceiling->layer_count; i++)
        for (u32 j = 0; j < ceiling->layers[i].count; j++) {
            const struct kw_ceiling_grant *grant = &ceiling->grants[ceiling->layers[i].first + j];
            if (strlen(ceiling_path(ceiling, grant)) != grant->length)
                abort();
        }
}

/* The input is two counts, the first layer, then grants, then the texts. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    const size_t head = offsetof(struct kw_ceiling, texts);
    if (size < 4)
        return 0;
    u8 *copy = calloc(1, head + size); /* so that the sanitizer knows its end */
    struct kw_ceiling *ceiling = (struct kw_ceiling *)copy;
    size_t grants = min_u64(size - 4, 4 * sizeof ceiling->grants[0]), texts = size - 4 - grants;
    if (!copy)
        return 0;
    ceiling->magic = KW_CEILING_MAGIC;
    ceiling->version = KW_POLICY_VERSION;
    ceiling->size = (u32)(head + texts);
    ceiling->layer_count = data[0];
    ceiling->grant_count = data[1];
    ceiling->text_size = (u32)texts;
    ceiling->layers[0] = (struct kw_ceiling_layer){data[2], data[3]};
    memcpy(ceiling->grants, data + 4, grants);
    memcpy(copy + head, data + 4 + grants, texts);
    if (!ceiling_check(ceiling, ceiling->size))
        use(ceiling);
    free(copy);
    return 0;
}
