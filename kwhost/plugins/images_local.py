"""Images that are already there: `host`, this machine's own programs, and `rootfs:DIR`, which is how the
daemon asks for the directory that an instance names as its `rootfs`."""

from kwhost.core.errors import ImageError
from kwhost.core.images.host import plan_host, probe_host
from kwhost.core.images.rootfs import check_rootfs, plan_rootfs
from kwhost.hookspecs import ImagePlan, ImageRequest, ImageSource, hookimpl


def _host(request: ImageRequest) -> ImagePlan:
    if request.reference:
        raise ImageError(f"the image 'host' is this machine; {request.reference!r} after it means nothing")
    mounts = plan_host(probe_host(), request.instance, read_only=request.read_only)
    return ImagePlan(mounts=mounts, accounts_root="/")


def _rootfs(request: ImageRequest) -> ImagePlan:
    if not request.reference.startswith("/"):
        raise ImageError(
            f"the image 'rootfs:{request.reference}' names no absolute directory: write rootfs:/DIRECTORY"
        )
    path = check_rootfs(request.reference)
    return ImagePlan(mounts=plan_rootfs(path), accounts_root=path)


@hookimpl
def image_sources() -> tuple[ImageSource, ...]:
    """Both need nothing but this host's own files."""
    return ImageSource(name="host", plan=_host), ImageSource(name="rootfs", plan=_rootfs)
