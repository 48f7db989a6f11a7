import os
import subprocess
import sys

import pytest
import torch

from bitswitch.runtime import instructions

AVX512 = "flags\t\t: fpu sse2 avx avx2 avx512f\n"
ATEN, ONEDNN = instructions.PINNED


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Return a function that replaces what the processor says; nobody has chosen."""
    for name in instructions.PINNED:
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)

    def say(content):
        file = tmp_path / "cpuinfo"
        if content is not None:
            file.write_text(f"processor\t: 0\n{content}\nprocessor\t: 1\n{content}")
        monkeypatch.setattr(instructions, "CPU_INFO", file)

    return say


def pinned():
    return {name: os.environ[name] for name in instructions.PINNED if name in os.environ}


def test_a_processor_with_wider_vectors_uses_avx2(processor):
    processor(AVX512)
    instructions.pin()
    assert pinned() == {ATEN: "avx2", ONEDNN: "AVX2"}


@pytest.mark.parametrize("content", ["flags\t\t: fpu sse2 avx\n", "Features\t: asimd sve\n", None])
def test_nothing_is_pinned_that_is_not_known_to_work(processor, content):
    processor(content)
    instructions.pin()
    assert pinned() == {}


@pytest.mark.parametrize("name", [ATEN, ONEDNN])
def test_what_somebody_has_chosen_stays(processor, monkeypatch, name):
    processor(AVX512)
    monkeypatch.setenv(name, "default")
    instructions.pin()
    assert pinned() == {name: "default"}


@pytest.mark.skipif("avx2" not in instructions._flags(), reason="a processor without AVX2")
@pytest.mark.parametrize(("chosen", "used"), [({}, "AVX2"), ({ATEN: "default"}, "DEFAULT")])
def test_commands_compute_with_it(chosen, used):
    code = (
        "from bitswitch.cli import app, entry\n"
        "from bitswitch.runtime.instructions import used_on\n"
        "import torch\n"
        "app.main = lambda: print(used_on(torch.device('cpu')), used_on(torch.device('meta')))\n"
        "entry.main()"
    )
    environment = {name: value for name, value in os.environ.items() if name not in (ATEN, ONEDNN)}
    said = subprocess.check_output(
        [sys.executable, "-c", code], env=environment | chosen, text=True
    )
    assert said.split() == [used, "None"]


def test_a_processor_is_asked_what_it_uses():
    assert instructions.used_on(torch.device("cpu")) == torch.backends.cpu.get_cpu_capability()
