"""What bitswitch costs on this machine: ratios, measured side by side in one run."""

from collections.abc import Callable

from bitswitch.bench.measured import Measured


def _step() -> Measured:
    from bitswitch.bench.step import measure

    return measure()


def _startup() -> Measured:
    from bitswitch.bench.startup import measure

    return measure()


def _ilp() -> Measured:
    from bitswitch.bench.ilp import measure

    return measure()


def _hessian() -> Measured:
    from bitswitch.bench.hessian import measure

    return measure()


def _switch() -> Measured:
    from bitswitch.bench.switch import measure

    return measure()


def _inference() -> Measured:
    from bitswitch.bench.inference import measure

    return measure()


def _decoder() -> Measured:
    from bitswitch.bench.decoder import measure

    return measure()


def _loader() -> Measured:
    from bitswitch.bench.loader import measure

    return measure()


def _suite() -> Measured:
    from bitswitch.bench.suite import measure

    return measure()


BENCHMARKS: dict[str, Callable[[], Measured]] = {
    "step": _step,
    "startup": _startup,
    "ilp": _ilp,
    "hessian": _hessian,
    "switch": _switch,
    "inference": _inference,
    "decoder": _decoder,
    "loader": _loader,
    "suite": _suite,
}
"""Benchmark by name; running one takes minutes and imports torch."""
