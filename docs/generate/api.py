"""The Python API: every name that programs and authors import."""

import bitswitch as bs
from bitswitch import report

SECTIONS = {
    "Networks that switch": (
        *("plugins.registry", "conversion", "nn.model", "nn.layers", "nn.policy"),
        *("deployment.loading", "deployment.model"),
    ),
    "Methods": (
        *("contracts.plugin", "contracts.method", "contracts.card", "nn.dataflow", "nn.losses"),
        *("nn.norms.shared", "nn.norms.switchable"),
    ),
    "Quantizers": (
        *("quant.quantizer", "quant.lsq", "quant.per_bit", "quant.scale", "quant.granularity"),
        *("quant.grid", "quant.ste"),
    ),
    "Searches and sensitivities": ("contracts.search", "contracts.sensitivity", "costs"),
    "Networks, datasets and tasks": (
        *("contracts.data", "contracts.streams", "contracts.task", "tasks.classification"),
    ),
    "Specs and types": ("spec.run", "spec.training", "types"),
    "Errors": ("errors",),
}
"""Modules whose public names stand below a heading."""


def part() -> str:
    """Return the part.

    Raises:
        ValueError: a module with public names stands below no heading, or below two.
    """
    placed = [module for modules in SECTIONS.values() for module in modules]
    if sorted(placed) != sorted(bs._MODULES):
        raise ValueError(f"docs/generate/api.py places {placed}; public: {sorted(bs._MODULES)}")
    parts = []
    for title, modules in SECTIONS.items():
        names = [name for module in modules for name in bs._MODULES[module].split()]
        parts += [f"## {title}\n", *(f"::: bitswitch.{name}\n" for name in names)]
    parts += ["## Tables and figures\n", "Of `bitswitch.report`.\n"]
    parts += [f"::: bitswitch.report.{name}\n" for name in report.__all__]
    return "\n".join(parts)
