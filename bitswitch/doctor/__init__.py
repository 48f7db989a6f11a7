"""What a machine lacks for the work of this package, and the command that mends it.

Nothing is trained, and torch is not imported: a checkup takes about a second.
"""

from collections.abc import Callable, Iterator

from bitswitch.doctor import data, folder, installation, machine, programs
from bitswitch.doctor.finding import Finding
from bitswitch.errors import BitswitchError

CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "python": installation.python,
    "packages": installation.packages,
    "commands": installation.commands,
    "torch": installation.torch_build,
    "GPU": machine.gpu,
    "memory": machine.memory,
    "folder": folder.findings,
    "user's locks": machine.private_locks,
    "Snakemake plugins": installation.snakemake_plugins,
    "TeX": programs.tex,
    "compiler": programs.compiler,
    "extras": installation.extras,
    "data": data.findings,
}
"""By what each looks at."""


def examine() -> list[Finding]:
    """Return what every check finds; one that cannot look says why."""
    return [finding for what, check in CHECKS.items() for finding in _safely(what, check)]


def _safely(what: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except (BitswitchError, OSError) as error:
        problem, *advice = str(error).splitlines()
        return [Finding(what, "broken", problem, "this checkup", " ".join(advice).strip())]
