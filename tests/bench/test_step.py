import pytest

from bitswitch.bench import BENCHMARKS, alternating
from bitswitch.bench import step as benchmark
from bitswitch.bench.alternating import Side


def test_figures_are_ratios_and_seconds(monkeypatch):
    sides = iter([Side(4, 1.0, 1.3, 1.3, 100.0, 104.0), Side(4, 0.8, 0.82, 1.02, 100.0, 110.0)])
    seconds = iter([20.0, 4.0])
    monkeypatch.setattr(benchmark, "_compare", lambda **options: next(sides))
    monkeypatch.setattr(benchmark, "_compilation_s", lambda cache: next(seconds))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "before")
    measured = BENCHMARKS["step"]()
    assert measured.figures == {
        "joint_over_fp32_compiled": 1.02,
        "joint_over_fp32_eager": 1.3,
        "peak_memory_over_fp32": 1.1,
        "compile_cold_s": 20.0,
        "compile_warm_s": 4.0,
    }
    assert "peak memory, eager     100 MiB  104 MiB  1.040  1.30" in measured.render()


@pytest.mark.slow
def test_an_eager_joint_step_keeps_its_limits(monkeypatch):
    monkeypatch.setattr(alternating, "ROUNDS", 3)
    side = benchmark._compare(compiled=False, device=benchmark.resolve("cpu"))
    assert side.ratio < 1.3 * benchmark.EAGER_LIMIT  # other tests may run beside this one
    assert side.memory_ratio < benchmark.MEMORY_LIMIT
