"""Synthetic deployments: files as the real jobs leave them; nothing here was measured."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np

from bitswitch.results.correct import Correct
from bitswitch.results.deployments import Executor
from bitswitch.spec.run import RunSpec
from bitswitch.suite.suite import Suite
from tests.report.conftest import LAYERS, PROVENANCE, make_suite, seal, top1_of, write_run

VARIANTS = {"double-rounding": {"title": "Double Rounding", "deploy": True}}
SHOWN: dict[str, dict[str, Any]] = {
    "deployment": {"table": "parity"},
    "second-rounding": {"table": "rounding-errors", "figures": ["rounding-errors"]},
    "storage": {"table": "storage", "figures": ["storage"]},
}
EXPERIMENTS = {
    name: {"title": name, "networks": ["resnet20"], "variants": VARIANTS, **shown}
    for name, shown in SHOWN.items()
}
FLOAT, REST, COPY = 4_000_000, 40_000, 1_000
"""Bytes of quantized layers and of the rest in float32, and of one copy of all batch norms."""


def make_deployed(**changes: Any) -> Suite:
    return make_suite(**{"seeds": [0, 1], "experiments": EXPERIMENTS} | changes)


def write_all(suite: Suite, results: Path) -> None:
    """Write every run and deployment as if it had gone well."""
    for run in suite.runs.values():
        write_run(run, results)
    for run in suite.deployments.values():
        write_deployment(run, results)


def write_deployment(
    run: RunSpec, results: Path, parity: dict[str, Any] | None = None, **changes: Any
) -> Path:
    """Write the folder of a deployment.

    Args:
        run: Deployed.
        results: Folder of all results.
        parity: Replaces keys of every line about parity.
        changes: Replace keys of ``result.json``.
    """
    folder = results / "deployments" / run.run_id
    folder.mkdir(parents=True)
    result = {"run_id": run.run_id, "status": "complete", "diagnosis": None, "wall_time_s": 5.0}
    result |= changes
    good = result["status"] == "complete"
    files = {"parity": _parity(run, parity or {}), "storage": _storage(run)}
    files["rounding"] = _rounding(run)
    files["correct"] = [one.model_dump() for one in _correct(files["parity"])]
    for name, lines in files.items():
        text = "".join(json.dumps(line) + "\n" for line in lines if good)
        (folder / f"{name}.jsonl").write_text(text)
    (folder / "provenance.json").write_text(json.dumps(PROVENANCE))
    seal(folder, result)
    return folder


def _parity(run: RunSpec, changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "bits": bits,
            "images": 1000,
            "metric": "top1",
            "headline_trained": top1_of(run, bits),
            "headline_integer": top1_of(run, bits),
            "headline_onnx": top1_of(run, bits),
            "largest_difference": 1e-6,
            "onnx_difference": 2e-2,
            "differing": 3,
            "onnx_differing": 5,
            "onnx_integer_kernels": 20,
            "onnx_float_kernels": 2,
            "ties": 3,
            "images_with_ties": 9,
            "unexplained": 0,
            "largest_sum": 2**17,
            "possible_sum": 2**22,
        }
        | changes
        for bits in run.bitset
    ]


def _correct(parity: list[dict[str, Any]]) -> Iterator[Correct]:
    """Yield which examples were right: so many that the headlines hold, the first ones."""
    for line in parity:
        for ending in get_args(Executor):
            if (headline := line[f"headline{ending}"]) is not None:
                count = line["images"]
                right = (np.arange(count) < round(headline * count / 100)).tolist()
                yield Correct.pack(str(line["bits"]), line["metric"] + ending, right)


def _storage(run: RunSpec) -> list[dict[str, Any]]:
    copies, widest = len(run.bitset), run.bitset[0]
    rows = [("fp32", None, FLOAT, REST)]
    rows += [("separate", b, FLOAT * b // 32, REST + COPY) for b in run.bitset]
    rows += [("file", None, FLOAT * widest // 32, REST + copies * COPY)]
    rows += [
        ("memory", b, FLOAT // 4 * (1 if b == widest else 2), REST + copies * COPY)
        for b in run.bitset
    ]
    return [dict(zip(("form", "bits", "quantized", "rest"), row, strict=True)) for row in rows]


def _rounding(run: RunSpec) -> list[dict[str, Any]]:
    return [
        {
            "position": at,
            "layer": layer,
            "bits": bits,
            "weights": 1000,
            "signal": 50.0,
            "clipping": 0.5 / bits,
            "rounding": 4.0**-bits * (1.0 if bits == run.bitset[0] else 1.25),
            "rounding_single": 4.0**-bits,
            "differing": 0 if bits == run.bitset[0] else 10 * bits + at,
            "cascade_differing": 0 if bits > run.bitset[0] - 3 else 125,
        }
        for at, layer in enumerate(LAYERS)
        for bits in run.bitset
    ]
