"""Processes that help, and that end when the command does."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def workers(n):
    """An executor with n processes; None for one, or none."""
    if n <= 1:
        yield None
        return
    # Spawned, not forked: a CUDA context does not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n, mp_context=context, initializer=follow_parent)
    try:
        with ctrl_c_waits():  # workers inherit that: Ctrl-C is for this process, which ends them
            for started in [pool.submit(os.getpid) for _ in range(n)]:
                started.cancel()
        yield pool
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def ctrl_c_waits():
    """Inside, Ctrl-C is kept for later (not on Windows)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def follow_parent():
    """In a worker: Ctrl-C is not for it, and it ends when its parent does, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
