import pytest

from bitswitch.bench import BENCHMARKS, startup


def test_every_start_is_a_figure(monkeypatch):
    monkeypatch.setattr(startup, "time_python", lambda code: 0.25)
    monkeypatch.setattr(startup, "_job", lambda: 4.0)
    measured = BENCHMARKS["startup"]()
    assert measured.figures == {
        "help_s": 0.25,
        "job_to_first_step_s": 4.0,
        "import_bitswitch_s": 0.25,
        "import_bitswitch_spec_run_s": 0.25,
        "import_torch_s": 0.25,
    }


@pytest.mark.slow
def test_a_job_reaches_its_first_step():
    assert 0 < startup._job() < startup.JOB_LIMIT_S * 10
