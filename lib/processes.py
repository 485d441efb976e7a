"""Several processes as torchrun starts them, and the one process everybody else has."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from lib.files import locked
from lib.settings import BUILD


def keep_memory(keep: bool = True) -> None:
    """Let glibc reuse large blocks instead of returning each to the system, which zeroes it page by page next time.

    A step of the paper's network frees and takes 2 GB: measured on two cores, it took .62 s without this and .33 s
    with it. Elsewhere than under glibc nothing happens.

    Args:
        keep: False goes back to glibc's habits and returns what is free, when a training has ended.
    """
    if sys.platform != "linux" or torch.cuda.is_available():
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        trim_threshold, mmap_max = -1, -4  # names of mallopt(3), and its defaults
        libc.mallopt(mmap_max, 0 if keep else 65536)
        libc.mallopt(trim_threshold, -1 if keep else 128 * 1024)
        if not keep:
            libc.malloc_trim(0)


@contextmanager
def alone(name: str) -> Iterator[None]:
    """What ``name`` stands for is made by one process, or one group of torchrun, at a time; another waits for it.

    Raises:
        PlatesError: the lock file cannot be written.
    """
    with locked(BUILD / "locks" / f"{name}.lock") if world() == 1 else nullcontext():
        yield


def rank() -> int:
    """This process's number, 0 where there is only one."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def join() -> None:
    """Join the group that torchrun announces in the environment; without torchrun do nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # NCCL sends from the current device
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def leave() -> None:
    """Leave the group, so that torchrun ends without a warning."""
    if dist.is_initialized():
        dist.destroy_process_group()


def parallel(model: nn.Module) -> nn.Module:
    """``model`` with its gradients averaged over the processes, or itself where there is one."""
    if world() == 1:
        return model
    where = next(model.parameters()).device
    return DistributedDataParallel(model, device_ids=[where] if where.type == "cuda" else None)


def mean(value: Tensor) -> Tensor:
    """The mean of a number over the processes, detached."""
    value = value.detach().clone()
    if world() > 1:
        dist.all_reduce(value)
        value /= world()
    return value


def gather(value: Any) -> list[Any]:
    """Every process's ``value`` (anything that pickles), in the order of their ranks."""
    if world() == 1:
        return [value]
    values: list[Any] = [value] * world()
    dist.all_gather_object(values, value)
    return values


def wait() -> None:
    """Return when every process has come here."""
    if world() > 1:
        dist.barrier()
