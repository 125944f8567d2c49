"""What of the host's list of an instance's mounts is the instance's."""

from kwhost.core.model.storage import Origin
from kwhost.core.model.volume import Volume
from kwhost.core.supervise.storage_view import list_mounts, parse_mounts

# Of real instances: one of an image, and one of this host's own programs.
IMAGE = rb"""
67 87 0:6 /null /dev/null rw,nosuid,noexec,relatime - devtmpfs devtmpfs rw,mode=755
73 77 0:40 / /proc ro,nosuid,nodev - tmpfs tmpfs rw,size=4k,nr_inodes=2,mode=000
74 77 254:0 /srv/d /mnt/x ro,nosuid,relatime,idmapped - ext4 /dev/vda rw,discard
75 77 7:3 /data /var/lib/my\040data rw,nosuid - ext4 /dev/loop3 rw
76 77 7:4 /data /cache rw,nosuid - ext4 /dev/loop4 rw
77 42 0:43 / / rw,nosuid,nodev - overlay overlay rw,lowerdir=0:1:2,upperdir=changes,userxattr
87 77 0:50 / /dev rw,nosuid - tmpfs tmpfs rw,size=64k,mode=755
88 87 0:51 / /dev/pts rw,nosuid - devpts devpts rw
89 87 0:52 / /dev/shm rw,nosuid - tmpfs tmpfs rw
91 77 0:53 / /sys ro,nosuid - sysfs sysfs rw
"""
HOST = b"""
65 77 254:0 /usr /usr ro,nosuid,nodev,relatime - ext4 /dev/vda rw,discard
77 42 0:43 / / rw,nosuid,nodev,relatime - tmpfs tmpfs rw,mode=755
81 77 0:45 / /etc rw,nosuid - overlay overlay rw,lowerdir=0,upperdir=changes,workdir=work
78 81 0:6 /null /etc/shadow ro,nosuid - devtmpfs devtmpfs rw
85 81 0:48 / /etc/ssh ro,nosuid - tmpfs tmpfs rw,size=4k,nr_inodes=2,mode=000
"""
VOLUMES = (
    Volume("/srv/d", "/mnt/x", read_only=True),
    Volume("store", "/var/lib/my data"),
    Volume("", "/cache"),
)


def seen(text: bytes, *volumes: Volume) -> list[tuple[str, Origin, str]]:
    found = list_mounts(parse_mounts(text), {each.target: each for each in volumes})
    return [(use.target, use.origin, use.source) for _, use in found]


def test_a_small_tmpfs_is_no_cover() -> None:
    line = b"91 77 0:53 / /t rw,nosuid - tmpfs tmpfs rw,size=1024k,nr_inodes=256,mode=700\n"

    assert seen(line) == [("/t", Origin.MEMORY, "")]


def test_only_what_is_the_instances_is_told_the_root_first() -> None:
    assert seen(IMAGE, *VOLUMES) == [
        ("/", Origin.ROOT, ""),
        ("/mnt/x", Origin.DIRECTORY, "/srv/d"),
        ("/var/lib/my data", Origin.VOLUME, "store"),
        ("/cache", Origin.VOLUME, ""),
        ("/dev/shm", Origin.MEMORY, ""),
    ]


def test_what_covers_something_of_this_host_is_not_told() -> None:
    assert seen(HOST) == [("/", Origin.ROOT, ""), ("/usr", Origin.PROGRAMS, ""), ("/etc", Origin.ROOT, "")]


def test_layers_and_what_is_read_only_are_told() -> None:
    found = {use.target: use for _, use in list_mounts(parse_mounts(IMAGE), {})}

    assert (found["/"].layers, found["/"].read_only, found["/"].file_system) == (3, False, "overlay")
    assert found["/mnt/x"].read_only


def test_an_overlay_may_tell_its_layers_one_by_one() -> None:
    line = b"77 42 0:43 / / rw - overlay overlay rw,lowerdir+=a,lowerdir+=b,upperdir=c\n"

    assert [parsed.layers for parsed in parse_mounts(line)] == [2]


def test_nothing_in_a_name_acts_on_a_terminal() -> None:
    line = b"77 42 0:43 / /a\\033[2J rw - tmpfs tmpfs rw\n"

    assert [use.target for _, use in list_mounts(parse_mounts(line), {})] == ["/a?[2J"]
