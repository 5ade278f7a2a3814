#!/usr/bin/env python3
"""Times in JAX what `retrograde bench fused` and `retrograde bench hvp` time.

    tools/bench_jax.py fused|hvp --threads N

Prints one JSON line of medians of readings over two seconds each. `fused`: w1_s and w1b_s, two chains of functions of 10^6
f32, and call_s, the second of 16. `hvp`: gradient_s, step_s and both_s, the gradient of a network's loss, its Hessian times
a direction, and both together. Threads are fixed by the processors that the process may use, which XLA counts when it
starts.
"""

import argparse
import json
import os
import statistics
import time

parser = argparse.ArgumentParser()
parser.add_argument("task", choices=["fused", "hvp"])
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()
threads = arguments.threads
os.environ["JAX_PLATFORMS"] = "cpu"
if threads == 1:
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
os.sched_setaffinity(0, set(range(threads)))

import jax
import jax.numpy as jnp
import numpy as np

SECONDS, LEAST, MOST, SHORT_S = 2.0, 7, 400, 2e-3


random = np.random.default_rng(1)


def normal(*shape, deviation=1.0):
    return jnp.asarray(random.standard_normal(shape) * deviation, jnp.float32)


def median_s(f, *args):
    f = jax.jit(f)
    for _ in range(3):
        jax.block_until_ready(f(*args))
    start = time.perf_counter()
    jax.block_until_ready(f(*args))
    block = max(1, round(SHORT_S / (time.perf_counter() - start)))
    readings, begin = [], time.perf_counter()
    while len(readings) < LEAST or (time.perf_counter() - begin < SECONDS and len(readings) < MOST):
        start = time.perf_counter()
        for _ in range(block):
            jax.block_until_ready(f(*args))
        readings.append((time.perf_counter() - start) / block)
    return statistics.median(readings)


def fused():
    def transcendental(x, a, b):
        return jnp.tanh(x * a + b) * jnp.exp(-(x * x)) + jnp.sin(x)

    def cheap(x, a, b):
        return (x * a + b) * (x - b) + x

    million, few, numbers = normal(10**6), normal(16), (jnp.float32(1.5), jnp.float32(0.25))
    return {
        "w1_s": median_s(transcendental, million, *numbers),
        "w1b_s": median_s(cheap, million, *numbers),
        "call_s": median_s(cheap, few, *numbers),
    }


def hvp():
    sizes, batch = [784, 512, 512, 10], 128
    network = [(normal(i, o, deviation=i**-0.5), jnp.zeros(o, jnp.float32)) for i, o in zip(sizes, sizes[1:])]
    direction = jax.tree.map(lambda leaf: normal(*leaf.shape), network)
    x, labels = normal(batch, sizes[0]), jnp.asarray(random.integers(0, sizes[-1], batch), jnp.int32)

    def loss(network, x, labels):
        for weight, bias in network[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        logits = x @ network[-1][0] + network[-1][1]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1))

    def both(network, direction, x, labels):
        return jax.jvp(lambda network: jax.grad(loss)(network, x, labels), (network,), (direction,))

    return {
        "gradient_s": median_s(jax.grad(loss), network, x, labels),
        "step_s": median_s(lambda *args: both(*args)[1], network, direction, x, labels),
        "both_s": median_s(both, network, direction, x, labels),
    }


figures = {"fused": fused, "hvp": hvp}[arguments.task]()
print(json.dumps({"tool": "jax", "task": arguments.task, "threads": threads, "version": jax.__version__, **figures}))
