/* link: jail/ceiling.c jail/errors.c base/error_text.c base/text.c */
#include "jail/ceiling.h"

#include "check.h"

static struct kw_ceiling ceiling;

static u32 size_of(u32 text_size) {
    return (u32)offsetof(struct kw_ceiling, texts) + text_size;
}

/* A good one with a grant on /srv, which each test then damages. */
static void make(void) {
    ceiling = (struct kw_ceiling){.magic = KW_CEILING_MAGIC,
                                  .version = KW_POLICY_VERSION,
                                  .size = size_of(5),
                                  .layer_count = 1,
                                  .grant_count = 1,
                                  .text_size = 5,
                                  .layers = {{0, 1}},
                                  .grants = {{0, 4, KW_POLICY_READ, 1}}};
    memcpy(ceiling.texts, "/srv", 5);
}

static const char *problem(void) {
    return ceiling_check(&ceiling, ceiling.size);
}

static void test_good(void) {
    make();
    CHECK_TEXT(NULL, problem());
    CHECK_TEXT("/srv", ceiling_path(&ceiling, &ceiling.grants[0]));
    ceiling.layers[0].count = 0;
    CHECK_TEXT(NULL, problem());
    make();
    ceiling.layer_count = ceiling.grant_count = ceiling.text_size = 0;
    ceiling.size = size_of(0);
    CHECK_TEXT(NULL, problem());
}

static void test_header(void) {
    make();
    CHECK(ceiling_check(&ceiling, 0) != NULL);
    CHECK(ceiling_check(&ceiling, sizeof(u32)) != NULL);
    CHECK(ceiling_check(&ceiling, ceiling.size + 1ul) != NULL);
    ceiling.magic++;
    CHECK(problem() != NULL);
    make();
    ceiling.version++;
    CHECK(problem() != NULL);
    make();
    ceiling.size--;
    CHECK(problem() != NULL);
    make();
    ceiling.layer_count = KW_POLICY_LAYERS_MAX + 1;
    CHECK(problem() != NULL);
    make();
    ceiling.grant_count = KW_CEILING_GRANTS_MAX + 1;
    CHECK(problem() != NULL);
    make();
    ceiling.reserved[1] = 1;
    CHECK(problem() != NULL);
}

static void test_layers(void) {
    make();
    ceiling.layers[0].count = 2;
    CHECK_TEXT("a layer", problem());
    ceiling.layers[0] = (struct kw_ceiling_layer){2, 0};
    CHECK_TEXT("a layer", problem());
    ceiling.layers[0] = (struct kw_ceiling_layer){1, ~0u};
    CHECK_TEXT("a layer", problem());
}

static void check_bad_grant(struct kw_ceiling_grant grant) {
    make();
    ceiling.grants[0] = grant;
    CHECK_TEXT("a grant", problem());
}

static void test_grants(void) {
    check_bad_grant((struct kw_ceiling_grant){5, 0, KW_POLICY_READ, 1});
    check_bad_grant((struct kw_ceiling_grant){~0u, 4, KW_POLICY_READ, 1});
    check_bad_grant((struct kw_ceiling_grant){0, 5, KW_POLICY_READ, 1}); /* its NUL is outside */
    check_bad_grant((struct kw_ceiling_grant){0, 3, KW_POLICY_READ, 1});
    check_bad_grant((struct kw_ceiling_grant){1, 3, KW_POLICY_READ, 1}); /* "srv" */
    check_bad_grant((struct kw_ceiling_grant){0, 4, 8, 1});
    check_bad_grant((struct kw_ceiling_grant){0, 4, KW_POLICY_READ, 2});
    make();
    memcpy(ceiling.texts, "/../", 5);
    CHECK_TEXT("a grant", problem());
    make();
    ceiling.texts[2] = 0;
    CHECK_TEXT("a grant", problem());
}

int main(void) {
    test_good();
    test_header();
    test_layers();
    test_grants();
    return 0;
}
