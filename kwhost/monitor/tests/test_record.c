/* link: jail/record.c jail/errors.c base/error_text.c base/text.c */
#include "jail/record.h"

#include "check.h"

/* A good record, which each test then damages. */
struct sample {
    struct kw_launch header;
    struct kw_mount mounts[2];
    struct kw_tap taps[2];
    uint32_t arguments[2], environment[1];
    char strings[160];
};

static u32 add(struct sample *sample, u32 *used, const char *text) {
    u32 offset = (u32)offsetof(struct sample, strings) + *used;
    strcpy(sample->strings + *used, text);
    *used += (u32)strlen(text) + 1;
    return offset;
}

static struct sample good_sample(void) {
    struct sample sample = {
        .header = {.magic = KW_LAUNCH_MAGIC,
                   .version = KW_ABI_VERSION,
                   .size = sizeof sample,
                   .name = "web",
                   .host_uid_base = 100000,
                   .host_gid_base = 100000,
                   .id_count = 65536,
                   .uid = 1000,
                   .gid = 1000,
                   .mount_count = 2,
                   .mounts_offset = offsetof(struct sample, mounts),
                   .argc = 2,
                   .argv_offset = offsetof(struct sample, arguments),
                   .envc = 1,
                   .env_offset = offsetof(struct sample, environment),
                   .nofile = 1024,
                   .control_fd = 3,
                   .lifeline_fd = KW_NO_FD,
                   .kvm_fd = 4,
                   .stats_fd = 5,
                   .lease_fd = KW_NO_FD,
                   .listen_fd = KW_NO_FD,
                   .log_dir_fd = KW_NO_FD,
                   .exit_fd = KW_NO_FD,
                   .ceiling_fd = KW_NO_FD,
                   .policy_fd = KW_NO_FD,
                   .learn_fd = KW_NO_FD,
                   .netns_fd = KW_NO_FD,
                   .secrets_fd = KW_NO_FD},
    };
    memset(sample.header.cgroup_fds, 0xff, sizeof sample.header.cgroup_fds);
    memset(sample.header.guest_cgroup_fds, 0xff, sizeof sample.header.guest_cgroup_fds);
    u32 used = 0;
    sample.arguments[0] = add(&sample, &used, "ls");
    sample.arguments[1] = add(&sample, &used, "");
    sample.environment[0] = add(&sample, &used, "A=b");
    sample.header.workdir_offset = add(&sample, &used, "/srv");
    sample.mounts[0] = (struct kw_mount){.kind = KW_MOUNT_TMPFS};
    sample.mounts[0].target_offset = add(&sample, &used, "/");
    sample.mounts[0].data_offset = add(&sample, &used, "mode=755");
    sample.mounts[1] = (struct kw_mount){.kind = KW_MOUNT_BIND, .flags = KW_MOUNT_READ_ONLY};
    sample.mounts[1].source_offset = add(&sample, &used, "/usr");
    sample.mounts[1].target_offset = add(&sample, &used, "/usr");
    return sample;
}

static bool passes(const struct sample *sample) {
    struct launch launch;
    struct failure failure = {0};
    bool good = launch_parse(sample, sizeof *sample, &launch, &failure);
    CHECK(good || (failure.status == STATUS_OWN && failure.text[0]));
    return good;
}

static void test_good(void) {
    struct sample sample = good_sample();
    struct launch launch;
    struct failure failure;
    CHECK(launch_parse(&sample, sizeof sample, &launch, &failure));
    CHECK_TEXT("ls", launch.argv[0]);
    CHECK_TEXT("", launch.argv[1]);
    CHECK(!launch.argv[2]);
    CHECK_TEXT("A=b", launch.envp[0]);
    CHECK(!launch.envp[1]);
    CHECK_TEXT("/srv", launch.workdir);
    CHECK_TEXT("mode=755", launch.mounts[0].data);
    CHECK_TEXT("/usr", launch.mounts[1].source);
    CHECK(!launch.mounts[1].data);
}

/* Each sets one field of the header to something that must be refused. */
#define REFUSES(field, value)                                                                      \
    do {                                                                                           \
        struct sample damaged = good_sample();                                                     \
        damaged.field = (value);                                                                   \
        CHECK(!passes(&damaged));                                                                  \
    } while (0)

static void test_header(void) {
    REFUSES(header.magic, 1);
    REFUSES(header.version, KW_ABI_VERSION + 1);
    REFUSES(header.size, sizeof(struct sample) - 1);
    REFUSES(header.flags, 1u << 31);
    REFUSES(header.name[0], 0);
    REFUSES(header.nofile, 10);
    REFUSES(header.nofile, 20000);
    REFUSES(header.control_fd, 2);
    REFUSES(header.kvm_fd, -1);
    REFUSES(header.lifeline_fd, -2);
    REFUSES(header.lease_fd, 0);
    REFUSES(header.counted_cgroup, 1);
    struct sample sample = good_sample();
    memset(sample.header.name, 'x', sizeof sample.header.name);
    CHECK(!passes(&sample));
}

static struct sample hosted_sample(void) {
    struct sample sample = good_sample();
    sample.header.flags = KW_LAUNCH_HOSTED;
    sample.header.control_fd = KW_NO_FD;
    sample.header.listen_fd = 6;
    sample.header.log_dir_fd = 7;
    sample.header.exit_fd = 8;
    sample.header.guest_cgroup_fds[0] = 9;
    sample.header.log_size = KW_LOG_SIZE_LEAST;
    sample.header.log_files = 1;
    return sample;
}

/* Checks that setting a field of a hosted record makes it bad. */
#define REFUSES_HOSTED(field, value)                                                               \
    do {                                                                                           \
        struct sample hosted = hosted_sample();                                                    \
        hosted.field = (value);                                                                    \
        CHECK(!passes(&hosted));                                                                   \
    } while (0)

static void test_hosted(void) {
    struct sample sample = hosted_sample();
    CHECK(passes(&sample));
    sample.header.flags |= KW_LAUNCH_ATTACHED;
    CHECK(passes(&sample));
    REFUSES_HOSTED(header.flags, KW_LAUNCH_ATTACHED);
    REFUSES_HOSTED(header.flags, 0);
    REFUSES_HOSTED(header.lifeline_fd, 10);
    REFUSES_HOSTED(header.guest_cgroup_fds[KW_CGROUPS_MAX - 1], 0);
    REFUSES_HOSTED(header.cgroup_fds[0], -2);
    REFUSES_HOSTED(header.counted_cgroup, 2);
    REFUSES_HOSTED(header.counted_cgroup, KW_CGROUPS_MAX + 1);
    sample.header.counted_cgroup = 1;
    CHECK(passes(&sample));
    REFUSES_HOSTED(header.log_size, KW_LOG_SIZE_LEAST - 1);
    REFUSES_HOSTED(header.log_size, ~0ul);
    REFUSES_HOSTED(header.netns_fd, 2);
    REFUSES_HOSTED(header.netns_fd, -2);
    REFUSES_HOSTED(header.log_files, 0);
    REFUSES_HOSTED(header.log_files, KW_LOG_FILES_MAX + 1);
    REFUSES(header.exit_fd, 8);
}

static void test_network(void) {
    struct sample sample = good_sample();
    sample.header.flags |= KW_LAUNCH_NETWORK;
    CHECK(passes(&sample));
    sample.header.netns_fd = 9;
    CHECK(!passes(&sample));
}

static void test_secrets(void) {
    struct sample sample = good_sample();
    sample.header.secrets_fd = 9;
    CHECK(!passes(&sample)); /* nobody would see them */
    sample.mounts[1] = (struct kw_mount){.kind = KW_MOUNT_SECRETS,
                                         .target_offset = sample.mounts[1].target_offset};
    CHECK(passes(&sample));
    sample.header.secrets_fd = 2;
    CHECK(!passes(&sample));
    sample.header.secrets_fd = KW_NO_FD;
    CHECK(!passes(&sample));
    sample.mounts[0] = sample.mounts[1]; /* twice */
    sample.header.secrets_fd = 9;
    CHECK(!passes(&sample));
    REFUSES(header.reserved, 1);
    REFUSES(header.secrets_fd, -2);
}

/* Two taps, of two queues and one, and somebody to drive them. */
static struct sample tapped_sample(void) {
    struct sample sample = hosted_sample();
    sample.header.tap_count = 2;
    sample.header.taps_offset = offsetof(struct sample, taps);
    for (u32 i = 0; i < 2; i++) {
        struct kw_tap *tap = &sample.taps[i];
        *tap = (struct kw_tap){.name = "kwt0",
                               .mac = {2, 0, 0, 0, 0, 1},
                               .prefix4 = 24,
                               .prefix6 = 64,
                               .header_size = 12,
                               .mtu = 1500,
                               .queue_count = 2 - i};
        memset(tap->queue_fds, 0xff, sizeof tap->queue_fds);
        tap->queue_fds[0] = 20 + (int)i;
    }
    sample.taps[0].queue_fds[1] = 22;
    return sample;
}

/* Checks that setting a field of a record with taps makes it bad. */
#define REFUSES_TAPPED(field, value)                                                               \
    do {                                                                                           \
        struct sample tapped = tapped_sample();                                                    \
        tapped.field = (value);                                                                    \
        CHECK(!passes(&tapped));                                                                   \
    } while (0)

static void test_taps(void) {
    struct sample sample = tapped_sample();
    struct launch launch;
    struct failure failure;
    int fds[LAUNCH_TAP_FDS];
    CHECK(launch_parse(&sample, sizeof sample, &launch, &failure));
    CHECK_TEXT("kwt0", launch.taps[1].name);
    launch_tap_fds(&launch, fds);
    CHECK(fds[0] == 20 && fds[1] == 22 && fds[2] == KW_NO_FD);
    CHECK(fds[KW_TAP_QUEUES_MAX] == 21 && fds[LAUNCH_TAP_FDS - 1] == KW_NO_FD);
    REFUSES_TAPPED(header.tap_count, KW_TAPS_MAX + 1);
    REFUSES_TAPPED(header.tap_count, ~0u);
    REFUSES_TAPPED(header.taps_offset, 0);
    REFUSES_TAPPED(header.taps_offset, sizeof(struct sample) - sizeof(struct kw_tap));
    REFUSES_TAPPED(header.taps_offset, offsetof(struct sample, taps) + 1);
    REFUSES_TAPPED(header.flags, KW_LAUNCH_EXEC);
    REFUSES_TAPPED(taps[1].name[0], 0);
    REFUSES_TAPPED(taps[0].mac[0], 3);
    REFUSES_TAPPED(taps[0].prefix4, 33);
    REFUSES_TAPPED(taps[0].prefix6, 129);
    REFUSES_TAPPED(taps[0].header_size, 0);
    REFUSES_TAPPED(taps[0].mtu, 1279);
    REFUSES_TAPPED(taps[0].mtu, 65522);
    REFUSES_TAPPED(taps[0].reserved[4], 1);
    REFUSES_TAPPED(taps[0].queue_count, 0);
    REFUSES_TAPPED(taps[0].queue_count, 3);
    REFUSES_TAPPED(taps[0].queue_count, KW_TAP_QUEUES_MAX + 1);
    REFUSES_TAPPED(taps[0].queue_fds[0], 2);
    REFUSES_TAPPED(taps[0].queue_fds[2], 30);                             /* beyond the count */
    REFUSES_TAPPED(taps[0].queue_fds[1], 20);                             /* twice in one tap */
    REFUSES_TAPPED(taps[1].queue_fds[0], 20);                             /* another tap's */
    REFUSES_TAPPED(taps[1].queue_fds[0], hosted_sample().header.exit_fd); /* something else */
    sample = tapped_sample();
    memset(sample.taps[1].name, 'x', sizeof sample.taps[1].name);
    CHECK(!passes(&sample));
}

static void test_exec(void) {
    struct sample sample = good_sample();
    struct kw_launch *header = &sample.header;
    header->flags = KW_LAUNCH_EXEC | KW_LAUNCH_TTY;
    header->mount_count = 0;
    header->control_fd = header->kvm_fd = header->stats_fd = KW_NO_FD;
    CHECK(passes(&sample));
    header->guest_cgroup_fds[2] = 9;
    CHECK(!passes(&sample));
    header->guest_cgroup_fds[2] = KW_NO_FD;
    header->mount_count = 1;
    CHECK(!passes(&sample));
    header->mount_count = 0;
    header->flags |= KW_LAUNCH_INIT;
    CHECK(!passes(&sample));
}

/* A record in a file, as supervise gets it. */
static int record_file(const struct sample *sample) {
    FILE *file = tmpfile();
    CHECK(file && fwrite(sample, sizeof *sample, 1, file) == 1 && fflush(file) == 0);
    return fileno(file);
}

static void test_a_record_for_exec_gets_the_instances_ids(void) {
    struct sample instance = good_sample(), sample = good_sample();
    struct kw_launch *header = &sample.header;
    struct launch launch;
    struct failure failure;
    CHECK(!launch_read_exec(record_file(&sample), &instance.header, &launch, &failure));
    header->flags = KW_LAUNCH_EXEC;
    header->mount_count = header->id_count = header->nofile = 0;
    header->name[0] = 0;
    header->control_fd = header->kvm_fd = header->stats_fd = KW_NO_FD;
    instance.header.pids_limit = 12;
    CHECK(!launch_read(record_file(&sample), &launch, &failure));
    CHECK(launch_read_exec(record_file(&sample), &instance.header, &launch, &failure));
    CHECK_EQUAL(65536, launch.record->id_count);
    CHECK_EQUAL(100000, launch.record->host_uid_base);
    CHECK_EQUAL(12, launch.record->pids_limit);
    CHECK_TEXT("ls", launch.argv[0]);
    launch_free(&launch);
    header->uid = 65536;
    CHECK(!launch_read_exec(record_file(&sample), &instance.header, &launch, &failure));
}

static void test_ids(void) {
    REFUSES(header.host_uid_base, 0);
    REFUSES(header.host_gid_base, 0);
    REFUSES(header.host_uid_base, 0xffff0000u);
    REFUSES(header.id_count, 0);
    REFUSES(header.id_count, 0xffffffffu);
    REFUSES(header.uid, 65536);
    REFUSES(header.gid, 65536);
    REFUSES(header.group_count, KW_GROUPS_MAX + 1);
    struct sample sample = good_sample();
    sample.header.group_count = 1;
    sample.header.groups[0] = 65536;
    CHECK(!passes(&sample));
    sample = good_sample();
    sample.header.flags = KW_LAUNCH_ROOTLESS;
    sample.header.id_count = 1;
    sample.header.uid = sample.header.gid = 0;
    sample.header.host_uid_base = sample.header.host_gid_base = 0;
    CHECK(passes(&sample));
    sample.header.uid = 1;
    CHECK(!passes(&sample));
}

static void test_tables(void) {
    REFUSES(header.argc, 0);
    REFUSES(header.argc, 0xffffffffu);
    REFUSES(header.argv_offset, 0);
    REFUSES(header.argv_offset, 0xfffffffcu);
    REFUSES(header.argv_offset, offsetof(struct sample, arguments) + 1);
    REFUSES(header.envc, sizeof(struct sample) / 4);
    REFUSES(header.env_offset, sizeof(struct sample) + 4);
    REFUSES(header.mount_count, LAUNCH_MOUNTS_MAX + 1);
    REFUSES(header.mount_count, 40);
    REFUSES(arguments[1], 0);
    REFUSES(arguments[1], sizeof(struct sample));
    REFUSES(environment[0], 4);
    REFUSES(header.workdir_offset, 0xffffffffu);
    struct sample sample = good_sample();
    memset((char *)&sample + sizeof sample - 20, 'x', 20);
    sample.arguments[0] = offsetof(struct sample, strings) + 155; /* never ends */
    CHECK(!passes(&sample));
}

static bool target_passes(const char *target) {
    struct sample sample = good_sample();
    u32 used = 100;
    sample.mounts[1].target_offset = add(&sample, &used, target);
    return passes(&sample);
}

static void test_mounts(void) {
    REFUSES(mounts[1].kind, 0);
    REFUSES(mounts[1].kind, KW_MOUNT_HIDE + 1);
    REFUSES(mounts[1].flags, 1u << 20);
    REFUSES(mounts[1].mode, 010000);
    REFUSES(mounts[1].source_offset, 0);
    REFUSES(mounts[1].source_offset, 7);
    REFUSES(mounts[1].target_offset, 0);
    CHECK(target_passes("/a/b.c/..d"));
    CHECK(target_passes("/a/"));
    CHECK(!target_passes("a"));
    CHECK(!target_passes(""));
    CHECK(!target_passes("/")); /* the root is the first or none */
    CHECK(!target_passes("//"));
    CHECK(!target_passes("/a//b"));
    CHECK(!target_passes("/a/../b"));
    CHECK(!target_passes("/a/.."));
    CHECK(!target_passes("/./a"));
    REFUSES(mounts[0].kind, KW_MOUNT_PROC);
}

int main(void) {
    test_good();
    test_header();
    test_hosted();
    test_network();
    test_secrets();
    test_taps();
    test_exec();
    test_a_record_for_exec_gets_the_instances_ids();
    test_ids();
    test_tables();
    test_mounts();
    return check_done();
}
