import json
import resource
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.deployment import container
from bitswitch.errors import ArtifactError

TENSORS = {
    "a": torch.arange(-3, 3, dtype=torch.int8).view(2, 3),
    "b": torch.tensor([1.5, -2.0]),
    "c": torch.zeros(0, dtype=torch.uint8),
}
DESCRIPTION = {"z": [1, 2.5, None], "a": {"text": "é"}}


@pytest.fixture(scope="module")
def content():
    return container.encoded(DESCRIPTION, TENSORS)


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "file.safetensors"

    def write_and_read(content):
        path.write_bytes(content)
        return container.read(path)

    return write_and_read


def with_header(change, content):
    """Return ``content`` with a changed header."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    changed = json.dumps(header).encode()
    return struct.pack("<Q", len(changed)) + changed + content[8 + length :]


def test_what_is_written_is_read(content, read):
    description, tensors = read(content)
    assert description == DESCRIPTION
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_the_same_content_gives_the_same_bytes(content):
    turned = dict(reversed(DESCRIPTION.items())), dict(reversed(TENSORS.items()))
    assert container.encoded(*turned) == content


def test_any_safetensors_program_can_read_it(content):
    from safetensors.torch import load

    assert torch.equal(load(content)["a"], TENSORS["a"])


def stamp(**changes):
    def change(header):
        stamped = json.loads(header["__metadata__"]["bitswitch"]) | changes
        header["__metadata__"]["bitswitch"] = json.dumps(stamped)

    return change


def rename(header):
    header["d"] = header.pop("a")


def swap(header):
    header["b"]["shape"] = [2, 1]


def grow(header):
    header["b"]["shape"] = [2**40]


def other_type(header):
    header["a"]["dtype"] = "Q7"


def overlap(header):
    header["b"]["data_offsets"] = header["a"]["data_offsets"]


def bare(header):
    del header["__metadata__"]


def nested(header):
    header["__metadata__"]["bitswitch"] = "[" * 100_000


BROKEN = {
    "newer": (stamp(version=2), "version 2; this version of bitswitch reads 1.*\n.*Install"),
    "another checksum": (stamp(sha256="0" * 64), "checksum"),
    "another description": (stamp(description={}), "checksum"),
    "another name": (rename, "checksum"),
    "another shape": (swap, "checksum"),
    "a huge shape": (grow, "tensors cannot be read"),
    "an unknown type": (other_type, "tensors cannot be read"),
    "bytes used twice": (overlap, "tensors cannot be read|truncated or damaged"),
    "no metadata": (bare, "another program wrote it"),
    "nested metadata": (nested, "another program wrote it"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_a_changed_header_is_told(change, message, content, read):
    with pytest.raises(ArtifactError, match=message):
        read(with_header(change, content))


RAW = {
    "empty": (b"", "it has 0 bytes"),
    "no header": (b"1234567", "it has 7 bytes"),
    "a header longer than the file": (struct.pack("<Q", 2**62) + b"{}", "truncated"),
    "no JSON": (struct.pack("<Q", 2) + b"{]", "no header of safetensors"),
    "a list": (struct.pack("<Q", 2) + b"[]", "no header of safetensors"),
    "a number too long": (struct.pack("<Q", 9000) + b"9" * 9000, "no header of safetensors"),
    "brackets": (struct.pack("<Q", 90_000) + b"[" * 90_000, "no header of safetensors"),
}


@pytest.mark.parametrize(("raw", "message"), RAW.values(), ids=RAW)
def test_what_is_no_safetensors_file_is_told(raw, message, read):
    with pytest.raises(ArtifactError, match=message):
        read(raw)


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "huge.safetensors"
    for length, message in ((2**40, "more than"), (2, "truncated or damaged")):
        with path.open("wb") as file:
            file.write(struct.pack("<Q", length) + b"{}")
            file.truncate(2**41)  # takes no space on the disk
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(ArtifactError, match=message):
            container.read(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**14  # KiB


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ArtifactError, match=r"none\.safetensors cannot be used: No such file"):
        container.read(tmp_path / "none.safetensors")
    with pytest.raises(ArtifactError, match="Is a directory"):
        container.read(tmp_path)


@given(st.data())
def test_every_damage_is_noticed(content, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] ^= data.draw(st.integers(1, 255))
    del damaged[data.draw(st.integers(1, len(damaged)) | st.just(len(damaged))) :]
    path.write_bytes(damaged)
    try:
        description, tensors = container.read(path)
    except ArtifactError:
        return
    assert description == DESCRIPTION  # the damage did not change what the file says
    assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())
