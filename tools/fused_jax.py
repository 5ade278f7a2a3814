#!/usr/bin/env python3
"""Times in JAX what `retrograde bench fused` times: two chains of functions of 10^6 f32, and one of them of 16.

    tools/fused_jax.py --threads N

Prints one JSON line with w1_s, w1b_s and call_s: medians of readings over two seconds each. Threads are fixed by the
processors that the process may use, which XLA counts when it starts.
"""

import argparse
import json
import os
import statistics
import time

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
threads = parser.parse_args().threads
os.environ["JAX_PLATFORMS"] = "cpu"
if threads == 1:
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
os.sched_setaffinity(0, set(range(threads)))

import jax
import jax.numpy as jnp
import numpy as np

SECONDS, LEAST, MOST, SHORT_S = 2.0, 7, 400, 2e-3


def transcendental(x, a, b):
    return jnp.tanh(x * a + b) * jnp.exp(-(x * x)) + jnp.sin(x)


def cheap(x, a, b):
    return (x * a + b) * (x - b) + x


def median_s(f, n):
    x = jnp.asarray(np.random.default_rng(1).standard_normal(n), jnp.float32)
    a, b = jnp.float32(1.5), jnp.float32(0.25)
    f = jax.jit(f)
    for _ in range(3):
        f(x, a, b).block_until_ready()
    start = time.perf_counter()
    f(x, a, b).block_until_ready()
    block = max(1, round(SHORT_S / (time.perf_counter() - start)))
    readings, begin = [], time.perf_counter()
    while len(readings) < LEAST or (time.perf_counter() - begin < SECONDS and len(readings) < MOST):
        start = time.perf_counter()
        for _ in range(block):
            f(x, a, b).block_until_ready()
        readings.append((time.perf_counter() - start) / block)
    return statistics.median(readings)


figures = {"w1_s": median_s(transcendental, 10**6), "w1b_s": median_s(cheap, 10**6), "call_s": median_s(cheap, 16)}
print(json.dumps({"tool": "jax", "task": "fused", "threads": threads, "version": jax.__version__, **figures}))
