"""Archives of images for tests, put together by hand: as programs write them, and as nobody should."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.unit.tar_parts import Archive

__all__ = ["busybox_layer", "digest", "docker_archive", "image_config", "oci_archive"]

LAYER = "application/vnd.oci.image.layer.v1.tar"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def busybox_layer(*programs: str) -> Archive:
    """A root file system with a shell; more may be added."""
    path = subprocess.run(["which", "busybox"], capture_output=True, check=True, text=True).stdout.strip()
    archive = Archive().directory("bin").add("bin/busybox", Path(path).read_bytes(), mode=0o755)
    for program in ("sh", "cat", "id", "ls", "sleep", "true", *programs):
        archive.link(f"bin/{program}", "busybox")
    return archive


def image_config(layers: list[bytes], **fields: Any) -> bytes:
    root = {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": root, "config": fields}).encode()


def docker_archive(layers: list[bytes], *tags: str, config: bytes | None = None, **fields: Any) -> bytes:
    """What `docker save` writes."""
    config = config or image_config(layers, **fields)
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    archive = Archive().add("config.json", config)
    for name, layer in zip(names, layers, strict=True):
        archive.add(name, layer)
    manifest = [{"Config": "config.json", "RepoTags": list(tags), "Layers": names}]
    return archive.add("manifest.json", json.dumps(manifest).encode()).data


def oci_archive(
    layers: list[bytes],
    name: str,
    *,
    lie: bool = False,
    bare: bool = False,
    indexed: bool = False,
    unknown: bytes = b'"unknown": 1',
    **fields: Any,
) -> bytes:
    """An OCI image layout; `lie`: a layer's content is not what its name says; `bare`: it has no layers, only
    what names them; `indexed`: an index leads to the image; `unknown`: what the manifest has besides."""
    archive = Archive().add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def blob(content: bytes, kind: str) -> dict[str, Any]:
        layer = kind == LAYER
        if not (layer and bare):
            kept = content + b"changed" if layer and lie else content
            archive.add(f"blobs/sha256/{digest(content)[7:]}", kept)
        return {"mediaType": kind, "digest": digest(content), "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "config": blob(image_config(layers, **fields), "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(layer, LAYER) for layer in layers],
    }
    entry = blob(json.dumps(manifest).encode()[:-1] + b", " + unknown + b"}", MANIFEST)
    if indexed:
        entry["platform"] = {"os": "linux", "architecture": "amd64"}
        entry = blob(json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(), INDEX)
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    return archive.add("index.json", json.dumps({"manifests": [entry]}).encode()).data
