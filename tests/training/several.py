"""Processes that work together, joined by gloo."""

import multiprocessing
import pickle
import traceback
from pathlib import Path

import torch

from bitswitch.runtime.ranks import Ranks

PATIENCE_S = 300


def together(count, work, folder: Path):
    """Return what ``work(ranks)`` returns in each of ``count`` new processes, in their order."""
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_work, args=(rank, count, work, folder)) for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_S)
        process.kill()
    found = [pickle.loads((folder / str(rank)).read_bytes()) for rank in range(count)]
    for one in found:
        assert not isinstance(one, str), one
    return found


def _work(rank, count, work, folder):
    torch.set_num_threads(1)
    try:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=count
        )
        found = work(Ranks(rank, count))
    except BaseException:
        found = traceback.format_exc()
    (folder / str(rank)).write_bytes(pickle.dumps(found))
    if not isinstance(found, str):
        torch.distributed.destroy_process_group()
