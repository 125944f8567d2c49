#include "base/text.h"
#include "policy/glob.h"
#include "policy/policy.h"

#define BEGINNINGS_MAX 129 /* a literal has 255 bytes at most, a component two at least */

/* The beginnings of a path that end with a component, the shortest ("") first, as far as a rule's
 * literal can reach. */
struct beginnings {
    const char *path;
    u32 size; /* of the path; "/" has 0 */
    u32 count;
    u8 length[BEGINNINGS_MAX];
    u64 hash[BEGINNINGS_MAX];
};

static void find_beginnings(const char *path, struct beginnings *found) {
    u64 hash = POLICY_HASH_START;
    found->path = path;
    found->size = path[1] ? (u32)strlen(path) : 0;
    found->length[0] = 0;
    found->hash[0] = hash;
    found->count = 1;
    for (u32 i = 0; i < found->size && i < KW_POLICY_PATTERN_MAX; i++) {
        hash = policy_hash(hash, path + i, 1);
        if ((i + 1 == found->size || path[i + 1] == '/') && found->count < BEGINNINGS_MAX) {
            found->length[found->count] = (u8)(i + 1);
            found->hash[found->count++] = hash;
        }
    }
}

/* The text of a rule, wholly within the texts. */
static const char *text_of(const struct kw_policy *policy, const struct kw_policy_path *rule) {
    u32 at = rule->text;
    return policy->texts + (at < KW_POLICY_TEXTS_MAX - KW_POLICY_PATTERN_MAX ? at : 0);
}

static u32 path_end(const struct kw_policy_layer *layer, u32 first) {
    u32 count = layer->path_count;
    return count < KW_POLICY_PATHS_MAX - first ? first + count : KW_POLICY_PATHS_MAX;
}

static u32 path_start(const struct kw_policy_layer *layer) {
    u32 first = layer->path_first;
    return first < KW_POLICY_PATHS_MAX ? first : KW_POLICY_PATHS_MAX;
}

/* The first rule of at least this hash. */
static u32 find_hash(const struct kw_policy *policy, u32 low, u32 high, u64 hash) {
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (policy->paths[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Whether a rule whose literal has `length` bytes and this hash matches the path. */
static bool matches(const struct kw_policy *policy, const struct kw_policy_path *rule,
                    const struct beginnings *path, u32 length) {
    const char *text = text_of(policy, rule);
    u32 size = rule->length;
    if (rule->literal != length || memcmp(text, path->path, length) != 0)
        return false;
    switch (rule->kind) {
    case KW_POLICY_EXACT:
        return length == path->size;
    case KW_POLICY_SUBTREE:
        return true;
    default:
        return size >= length && path->size >= length &&
               glob_matches(text + length, size - length, path->path + (path->size ? length : 1));
    }
}

/* The rule of a layer that decides about a path; NULL: none. */
static const struct kw_policy_path *deciding(const struct kw_policy *policy,
                                             const struct kw_policy_layer *layer,
                                             const struct beginnings *path) {
    u32 first = path_start(layer), end = path_end(layer, first);
    for (u32 i = path->count; first < end && i-- > 0;) {
        u64 hash = path->hash[i];
        for (u32 at = find_hash(policy, first, end, hash);
             at < end && policy->paths[at].hash == hash; at++)
            if (matches(policy, &policy->paths[at], path, path->length[i]))
                return &policy->paths[at];
    }
    return NULL;
}

/* What a layer grants for a path, and its verdict on more. */
struct grant {
    u32 access;
    struct kw_policy_verdict refused;
};

static struct grant find_grant(const struct kw_policy *policy, u32 layer,
                               const struct beginnings *path) {
    const struct kw_policy_layer *of = &policy->layers[layer];
    const struct kw_policy_path *rule = deciding(policy, of, path);
    if (rule)
        return (struct grant){rule->access, rule->refused};
    return (struct grant){of->other_access, of->other_path};
}

static struct kw_policy_verdict judge(struct grant grant, u32 access) {
    static const struct kw_policy_verdict allowed = {0};
    return access & ~grant.access ? grant.refused : allowed;
}

struct kw_policy_verdict policy_path(const struct kw_policy *policy, const char *path, u32 access) {
    struct kw_policy_verdict verdict = {0};
    struct beginnings beginnings;
    u32 layers = policy_layers(policy);
    find_beginnings(path, &beginnings);
    for (u32 i = 0; i < layers; i++)
        verdict = stricter(verdict, judge(find_grant(policy, i, &beginnings), access));
    return verdict;
}

struct kw_policy_verdict policy_new_name(const struct kw_policy *policy, const char *old,
                                         const char *new, u32 access) {
    struct kw_policy_verdict verdict = {0};
    struct beginnings from, to;
    u32 layers = policy_layers(policy);
    find_beginnings(old, &from);
    find_beginnings(new, &to);
    for (u32 i = 0; i < layers; i++) {
        struct grant there = find_grant(policy, i, &to);
        /* Where more than is granted is only logged it is granted. */
        u32 gained = verdict_refuses(there.refused) ? there.access : POLICY_ALL;
        verdict = stricter(verdict, judge(there, KW_POLICY_WRITE));
        verdict = stricter(verdict, judge(find_grant(policy, i, &from), access | gained));
    }
    return verdict;
}

/* Whether a rule treats something beneath a directory in another way than the directory. */
static bool speaks_beneath(const struct kw_policy *policy, const struct kw_policy_path *rule,
                           const char *directory, u32 size) {
    const char *text = text_of(policy, rule);
    u32 literal = rule->literal, length = rule->length;
    if (literal > size)
        return memcmp(text, directory, size) == 0 && text[size] == '/';
    return rule->kind == KW_POLICY_GLOB && length >= literal &&
           memcmp(text, directory, literal) == 0 &&
           (literal == size || directory[literal] == '/') &&
           glob_differs_beneath(text + literal, length - literal, directory + literal);
}

bool policy_speaks_beneath(const struct kw_policy *policy, const char *path) {
    u32 count = policy->path_count, size = path[1] ? (u32)strlen(path) : 0;
    if (count > KW_POLICY_PATHS_MAX)
        count = KW_POLICY_PATHS_MAX;
    for (u32 i = 0; i < count; i++)
        if (speaks_beneath(policy, &policy->paths[i], size ? path : "", size))
            return true;
    return false;
}
