"""Tasks of lm-eval, from data that are on this machine; nothing is ever downloaded."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitswitch.errors import DatasetError, SpecError, hint

OFFLINE = "HF_HUB_OFFLINE"
"""Variable of the environment that keeps the libraries of Hugging Face from the network."""
NEW_TOKENS = 256
"""That lm-eval has generated where a task does not say how many."""


def require_lm_eval() -> None:
    """Raise an error where lm-eval is not installed.

    Raises:
        SpecError: it is not.
    """
    from importlib.util import find_spec

    from bitswitch.data.tokenization import EXTRA

    if find_spec("lm_eval") is None:
        raise SpecError(f"lm-eval needs the library lm_eval, which is not installed.\n  {EXTRA}")


def stay_offline() -> None:
    """Keep the libraries of Hugging Face from the network, in this process from now on.

    Each reads the variable when it is imported, which may have been before.
    """
    os.environ[OFFLINE] = "1"
    import datasets
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True
    datasets.config.HF_HUB_OFFLINE = True


def load_tasks(names: Sequence[str], include: Path | None = None) -> list[Any]:
    """Return tasks and groups of tasks of lm-eval, with their data.

    Its own many tasks are looked through only where a name is none of ``include``.

    Args:
        names: Of tasks, groups or tags.
        include: Folder of tasks of one's own, YAML files.

    Raises:
        SpecError: there is no such task, or two of the names share one.
        DatasetError: data are not on this machine, or a task cannot be loaded.
    """
    stay_offline()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    manager = _manager(names, include)
    for name in names:
        if name not in manager.all_tasks:
            raise SpecError(
                f"lm-eval has no task '{name}'.{hint(name, manager.all_tasks)}\n"
                f"  List them: lm-eval ls tasks; for tasks of your own, name their folder: "
                f"--include-path"
            )
    loaded, problems = [], []
    for name in names:
        try:
            loaded += _loaded(manager, name)
        except Exception as error:  # whatever the code of a task or of the library raises
            problems.append((name, " ".join(str(error).split()) or type(error).__name__))
    if problems:
        raise DatasetError(_missing(problems))
    _require_distinct(loaded)
    return loaded


def _manager(names: Sequence[str], include: Path | None) -> Any:
    """Return what knows the tasks: those of ``include`` alone where they are enough."""
    from lm_eval.tasks import TaskManager

    if include is not None and not include.is_dir():
        raise SpecError(f"--include-path names no folder: {include}")
    paths = None if include is None else str(include)
    if include is not None:
        own = TaskManager(include_path=paths, include_defaults=False)
        if set(names) <= set(own.all_tasks):
            return own
    return TaskManager(include_path=paths)


def _loaded(manager: Any, name: str) -> list[Any]:
    """Return the group ``name``, or else the task or tasks that it stands for."""
    found = manager.load([name])
    if name in found["groups"]:
        return [found["groups"][name]]
    return list(found["tasks"].values())


def _missing(problems: Sequence[tuple[str, str]]) -> str:
    lines = [f"  {name}: {reason}" for name, reason in problems]
    listed = ", ".join(repr(name) for name, _ in problems)
    return "\n".join(
        [
            f"The data of {len(problems)} task{'s'[: len(problems) > 1]} cannot be loaded on this "
            f"machine, and nothing is downloaded here:",
            *lines,
            "  Where there is a network, fill the cache, and copy it if need be "
            "(HF_HOME, ~/.cache/huggingface by default):",
            f'  python -c "from lm_eval.tasks import TaskManager; TaskManager().load([{listed}])"',
        ]
    )


def leaves(tasks: Sequence[Any]) -> dict[str, Any]:
    """Return single tasks by name, those of groups included."""
    found: dict[str, Any] = {}
    for one in tasks:
        members = one.get_all_tasks() if hasattr(one, "get_all_tasks") else [one]
        found |= {task.task_name: task for task in members}
    return found


def _require_distinct(tasks: Sequence[Any]) -> None:
    count = sum(len(leaves([one])) for one in tasks)
    if count > len(leaves(tasks)):
        raise SpecError("A task is named twice, on its own or in a group: leave one of them out.")


def groups(tasks: Sequence[Any]) -> dict[str, Any]:
    """Return groups by name, those within others included."""
    found: dict[str, Any] = {}
    for one in tasks:
        if hasattr(one, "get_all_groups"):
            found |= {group.name: group for group in [one, *one.get_all_groups()]}
    return found


def require_answerable(tasks: Sequence[Any], context: int) -> None:
    """Raise an error where a task asks what a decoder of text cannot answer here.

    Args:
        tasks: From ``load_tasks``.
        context: Tokens that the network reads at most.

    Raises:
        SpecError: one does.
    """
    for name, task in leaves(tasks).items():
        if getattr(task, "MULTIMODAL", False):
            raise SpecError(f"Task '{name}' shows pictures, which a decoder of text cannot see.")
        if getattr(task, "UNSAFE_CODE", False):
            raise SpecError(
                f"Task '{name}' runs programs that the network has written: leave it out."
            )
        if task.OUTPUT_TYPE == "generate_until":
            wanted = (task.config.generation_kwargs or {}).get("max_gen_toks", NEW_TOKENS)
            _require_room(name, wanted, context)


def _require_room(name: str, wanted: int, context: int) -> None:
    if wanted >= context:
        raise SpecError(
            f"Task '{name}' has {wanted} tokens generated, the context of the network is "
            f"{context}.\n  Set max_gen_toks in the generation_kwargs of the task to less, or "
            f"leave it out."
        )
