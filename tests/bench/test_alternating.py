import torch

from bitswitch.bench import alternating
from bitswitch.bench.alternating import BITSET, Side, compare, spec

CPU = torch.device("cpu")


def test_both_sides_differ_only_in_method_and_how_bit_widths_are_trained():
    joint, single = spec("double-rounding", BITSET), spec()
    neutral = {"update": "conventional", "alrs": None}
    assert joint.training.model_copy(update=neutral) == single.training
    assert (joint.training.update, joint.training.alrs.variant) == ("separate", "relative")
    assert spec("dorefa", BITSET).training.alrs is None
    assert (joint.model, joint.dataset) == (single.model, single.dataset)
    assert (joint.bitset, single.bitset) == ((8, 6, 4, 2), (32,))
    assert spec(compiled=True).training.compile


def test_memory_is_a_ratio():
    assert Side(4, 1.0, 1.3, 1.3, 100.0, 104.0).memory_ratio == 1.04


def test_a_joint_step_stands_beside_a_float_step_per_pass(monkeypatch):
    log = []

    def synthetic_step(run, device):
        name = run.method.name

        def step():
            log.append(name)
            return [None] * (1 if name == "float32" else len(run.bitset))

        return step

    monkeypatch.setattr(alternating, "synthetic_step", synthetic_step)
    monkeypatch.setattr(alternating, "ROUNDS", 2)
    monkeypatch.setattr(alternating, "_seconds", lambda work, device: (work(), 2.0)[1])
    monkeypatch.setattr(alternating, "peak_memory_mib", lambda work, device: 5.0)
    runs = {"wide": spec("double-rounding", (8, 4)), "narrow": spec("double-rounding", (2,))}
    sides = compare(runs, compiled=False, device=CPU)
    assert sides["wide"] == Side(2, 2.0, 2.0, 1.0, 5.0, 5.0)
    assert sides["narrow"].passes == 1
    warm_up = ["float32", "double-rounding", "double-rounding"]
    wide, narrow = ["float32"] * 2 + ["double-rounding"], ["float32", "double-rounding"]
    assert log == [*warm_up, *wide, *narrow, *wide, *narrow]
