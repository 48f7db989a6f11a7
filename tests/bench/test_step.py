import pytest

from bitswitch.bench import BENCHMARKS, alternating
from bitswitch.bench import step as benchmark
from bitswitch.bench.alternating import DECODER, IMAGES, Side


def test_figures_are_ratios_and_seconds(monkeypatch):
    asked = []

    def compare(subject, compiled, device):
        asked.append((subject.model, compiled))
        ratio = 1 + len(asked) / 100
        return Side(4, 1.0, ratio, ratio, 100.0, 100.0 + len(asked))

    seconds = iter([20.0, 4.0])
    monkeypatch.setattr(benchmark, "_compare", compare)
    monkeypatch.setattr(benchmark, "_compilation_s", lambda cache: next(seconds))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "before")
    measured = BENCHMARKS["step"]()
    decoder = DECODER.model
    assert asked == [
        *(("resnet20", False), (decoder, False), ("llama-tiny", False)),
        *(("resnet20", True), (decoder, True)),
    ]
    assert measured.figures == {
        "joint_over_fp32_compiled": 1.04,
        "joint_over_fp32_eager": 1.01,
        "peak_memory_over_fp32": 1.04,
        "compile_cold_s": 20.0,
        "compile_warm_s": 4.0,
        "decoder_joint_over_fp32_compiled": 1.05,
        "decoder_joint_over_fp32_eager": 1.02,
        "decoder_peak_memory_over_fp32": 1.05,
        "llama_tiny_joint_over_fp32_eager": 1.03,
        "llama_tiny_peak_memory_over_fp32": 1.03,
    }
    lines = measured.render().splitlines()
    assert "peak memory, eager              100 MiB  101 MiB  1.010  1.30" in lines
    assert "time, decoder, compiled         1.000 s  1.050 s  1.050  1.06" in lines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("subject", "limits", "rounds"),
    [(IMAGES, benchmark.LIMITS, 3), (DECODER, benchmark.DECODER_LIMITS, 1)],
    ids=["images", "decoder"],
)
def test_an_eager_joint_step_keeps_its_limits(subject, limits, rounds, monkeypatch):
    monkeypatch.setattr(alternating, "ROUNDS", rounds)
    side = benchmark._compare(subject, compiled=False, device=benchmark.resolve("cpu"))
    assert side.ratio < 1.3 * limits.eager  # other tests may run beside this one
    assert side.memory_ratio < limits.memory
