"""index.json of the OCI image layout: what other programs find in the store.

Names of the operator's are as they are, those of a tenant have the tenant's before them, with a plus sign,
which no image's name has. The store itself never reads this file. Source: OCI image layout specification 1.1.
"""

import json
from collections.abc import Mapping

from kwhost.core.images.contents import Contents
from kwhost.core.images.digests import Digest

__all__ = ["index_of"]

_INDEX = "application/vnd.oci.image.index.v1+json"
_NAME = "org.opencontainers.image.ref.name"


def index_of(names: Mapping[str, Digest], manifests: Mapping[Digest, Contents]) -> bytes:
    """The file's content; what `manifests` lacks is left out."""
    entries = [
        {
            "mediaType": manifests[digest].media_type,
            "digest": digest,
            "size": manifests[digest].size,
            "annotations": {_NAME: name},
        }
        for name, digest in sorted(names.items())
        if digest in manifests
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries}).encode()
