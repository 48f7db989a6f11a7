"""Which GPUs CUDA would let this process use, found out without CUDA and without torch."""

import logging
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
TIMEOUT_S = 30.0
"""For the driver's answer."""

log = logging.getLogger(__name__)


class Gpu(NamedTuple):
    """A GPU, or an instance of one that is divided (MIG)."""

    name: str
    """As ``CUDA_VISIBLE_DEVICES`` names it."""
    identity: str
    """The same under all names, where the driver tells."""


class Present(NamedTuple):
    """A GPU of this machine."""

    identity: str
    """Its UUID, or its index where the driver does not tell."""
    product: str
    instances: tuple[str, ...]
    """UUIDs of what it is divided into."""


class Found(NamedTuple):
    """What CUDA would see."""

    gpus: list[Gpu]
    fault: str | None
    """Why it sees none although some are asked for."""


def visible() -> Found:
    """Return the GPUs that CUDA would let this process use, in its order."""
    present = _present(shutil.which("nvidia-smi"))
    text = os.environ.get(VISIBLE)
    if text is None:
        names = [name for gpu in present for name in gpu.instances or (gpu.identity,)]
        return Found([Gpu(name, name) for name in names], None)
    return _chosen(text, present)


def _chosen(text: str, present: list[Present]) -> Found:
    """Return what CUDA makes of the names in ``CUDA_VISIBLE_DEVICES``.

    It stops at the first name that it does not know. A GPU named twice makes it see none at all.
    What the first one is, an index or a UUID, the others have to be.
    """
    names = [name.strip() for name in text.split(",")]
    kind = names[0][:4] if names[0][:4] in ("GPU-", "MIG-") else ""
    gpus: list[Gpu] = []
    for name in names:
        identity = _by_uuid(name, kind, present) if kind else _by_index(name, present)
        if identity is None:
            break
        if identity in [gpu.identity for gpu in gpus]:
            return Found([], f"{VISIBLE}={text} names one GPU twice, so CUDA sees none")
        gpus.append(Gpu(name, identity))
    asked = bool(kind) or _index(names[0]) is not None
    fault = f"{VISIBLE}={text} names no GPU of this machine" if asked and not gpus else None
    return Found(gpus, fault)


def _by_uuid(name: str, kind: str, present: list[Present]) -> str | None:
    """Return the identity of a UUID or of its unambiguous beginning; None where there is none."""
    if not name.startswith(kind):
        return None
    if not _known(present):
        return name
    known = [one for gpu in present for one in (gpu.identity, *gpu.instances)]
    found = [one for one in known if one.startswith(name)]
    return found[0] if len(found) == 1 else None


def _by_index(name: str, present: list[Present]) -> str | None:
    """Return the identity of an index; None where there is no such GPU.

    CUDA counts the fastest first unless told otherwise, the driver by slot; so an index says
    which GPU it is only where all are alike or counted by slot.
    """
    index = _index(name)
    if index is None or (present and index >= len(present)):
        return None
    by_slot = os.environ.get(ORDER) == "PCI_BUS_ID"
    if present and (by_slot or len({gpu.product for gpu in present}) == 1):
        return present[index].identity
    return str(index)


def _index(name: str) -> int | None:
    """Return the number that ``name`` starts with, as CUDA reads it; None for any other word."""
    found = re.match(r"\+?(\d+)", name)
    return int(found[1]) if found else None


def _known(present: list[Present]) -> bool:
    """Return whether the driver tells UUIDs."""
    return any(gpu.identity.startswith("GPU-") for gpu in present)


@cache
def _present(program: str | None) -> list[Present]:
    """Return the GPUs of this machine: from the driver's ``program``, else from device files."""
    listed = _listed(program) if program else None
    if listed is not None:
        return listed
    files = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return [Present(name, "", ()) for name in sorted(files, key=int)]


def _listed(program: str) -> list[Present] | None:
    """Return what ``nvidia-smi -L`` lists; None where it does not answer."""
    try:
        answer = subprocess.run(
            [program, "-L"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("%s does not say which GPUs there are: %s", program, error)
        return None
    found: list[Present] = []
    for kind, product, uuid in re.findall(
        r"^ *(GPU|MIG) (.*?) *\(UUID: ([^)]+)\)", answer.stdout, re.MULTILINE
    ):
        if kind == "GPU":
            found.append(Present(uuid, product.partition(":")[2].strip(), ()))
        elif found:
            found[-1] = found[-1]._replace(instances=(*found[-1].instances, uuid))
    return found
