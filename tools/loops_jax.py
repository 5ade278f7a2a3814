#!/usr/bin/env python3
"""Times in JAX the loops that `retrograde bench nbody|lorenz|vanderpol|neural-ode` differentiates, one method in each process.

    tools/loops_jax.py CASE METHOD STEPS [--bodies N] [--readings R]

METHOD: `store` keeps every step's residuals, `sqrt` keeps states at both of two levels of about the root of the steps
(`jax.checkpoint`), `reversed` runs the leapfrog backwards in floats and keeps nothing (`nbody` only; not exact). Prints one
JSON line: forward_s and gradient_s, medians of the readings after a first call that compiles; value and gnorm2, the loss and
the squared norm of its gradient; peak_rss_mb. One thread. `neural-ode` has the shapes of its case and numbers of its own.
"""

import argparse
import json
import math
import os
import resource
import statistics
import time

parser = argparse.ArgumentParser()
parser.add_argument("case", choices=["nbody", "lorenz", "vanderpol", "neural-ode"])
parser.add_argument("method", choices=["store", "sqrt", "reversed"])
parser.add_argument("steps", type=int)
parser.add_argument("--bodies", type=int, default=8)
parser.add_argument("--readings", type=int, default=3)
arguments = parser.parse_args()
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
N_STEPS = arguments.steps


def repeat(step, state, n):
    return jax.lax.scan(lambda state, _: (step(state), None), state, None, length=n)[0]


def loop(step, state):
    """The state after all steps, by the method."""
    if arguments.method == "store":
        return repeat(step, state, N_STEPS)
    inner = math.isqrt(N_STEPS)
    while N_STEPS % inner:
        inner -= 1
    step = jax.checkpoint(step, prevent_cse=False)
    block = jax.checkpoint(lambda state: repeat(step, state, inner), prevent_cse=False)
    return repeat(block, state, N_STEPS // inner)


def rk4(field, h):
    def step(y):
        k1 = field(y)
        k2 = field(y + 0.5 * h * k1)
        k3 = field(y + 0.5 * h * k2)
        k4 = field(y + h * k3)
        return y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)

    return step


def lorenz():
    def field(y):
        return jnp.stack([10.0 * (y[1] - y[0]), y[0] * (28.0 - y[2]) - y[1], y[0] * y[1] - (8.0 / 3.0) * y[2]])

    return lambda y: 0.5 * jnp.sum(loop(rk4(field, 1e-3), y) ** 2), (jnp.array([1.0, 1.0, 1.0]),)


def vanderpol():
    def field(y):
        return jnp.stack([y[1], 5.0 * (1.0 - y[0] ** 2) * y[1] - y[0]])

    return lambda y: 0.5 * jnp.sum(loop(rk4(field, 1e-3), y) ** 2), (jnp.array([2.0, 0.0]),)


def neural_ode():
    random, units, hidden, batch = np.random.default_rng(1), 64, 128, 32

    def draw(*shape):
        return jnp.asarray(random.standard_normal(shape) / math.sqrt(shape[0]), jnp.float32)

    def loss(w1, b1, w2, b2, y):
        field = lambda y: jnp.tanh(y @ w1 + b1) @ w2 + b2
        return jnp.mean(loop(rk4(field, jnp.float32(0.01)), y) ** 2)

    b1, b2 = jnp.zeros(hidden, jnp.float32), jnp.zeros(units, jnp.float32)
    return loss, (draw(units, hidden), b1, draw(hidden, units), b2, draw(batch, units))


def nbody():
    n, h, softening = arguments.bodies, 0.01, 1e-4
    i = np.arange(n)
    mass, spacing = (1e-6, 0.35) if n <= 8 else (1e-9, 0.05)
    radius, angle = 1.0 + spacing * i, 2.399963229728653 * i
    speed = np.sqrt(1.0 / radius)
    masses = np.where(i == 0, 1.0, mass * (1 + i % 3))
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0.01 * np.sin(i)]) * (i > 0)
    v = np.stack([-speed * np.sin(angle), speed * np.cos(angle), 0.0 * speed]) * (i > 0)
    weights = np.cos(i[None, :] + 3 * np.arange(3)[:, None])

    def pull(x, m):
        d = x[:, None, :] - x[:, :, None]
        # One on the diagonal, where d is zero.
        square = (d * d).sum(0) + softening + jnp.eye(n)
        return (d * (m[None, :] * square**-1.5)[None]).sum(2)

    def step(x, v, m):
        x = x + 0.5 * h * v
        v = v + h * pull(x, m)
        return x + 0.5 * h * v, v

    @jax.custom_vjp
    def reversed_loop(x, v, m):
        return repeat(lambda s: step(*s, m), (x, v), N_STEPS)

    def forward(x, v, m):
        end = reversed_loop(x, v, m)
        return end, (end, m)

    def backward(kept, slopes):
        (x, v), m = kept

        def back(state):
            x, v, of_x, of_v, of_m = state
            x = x - 0.5 * h * v
            v = v - h * pull(x, m)
            x = x - 0.5 * h * v
            a, b, c = jax.vjp(step, x, v, m)[1]((of_x, of_v))
            return x, v, a, b, of_m + c

        return repeat(back, (x, v, *slopes, jnp.zeros_like(m)), N_STEPS)[2:]

    reversed_loop.defvjp(forward, backward)

    def loss(x, v, m):
        if arguments.method == "reversed":
            x, v = reversed_loop(x, v, m)
        else:
            x, v = loop(lambda s: step(*s, m), (x, v))
        return (weights * x).sum() + 0.5 * (v * v).sum()

    return loss, tuple(map(jnp.asarray, (x, v, masses)))


def timed(f, args):
    f = jax.jit(f)
    result = jax.block_until_ready(f(*args))
    readings = []
    for _ in range(arguments.readings):
        start = time.perf_counter()
        result = jax.block_until_ready(f(*args))
        readings.append(time.perf_counter() - start)
    return statistics.median(readings), result


if arguments.method == "reversed" and arguments.case != "nbody":
    parser.error("only the leapfrog of nbody is reversed")
makers = {"nbody": nbody, "lorenz": lorenz, "vanderpol": vanderpol, "neural-ode": neural_ode}
loss, start = makers[arguments.case]()
forward_s, value = timed(loss, start)
gradient_s, slopes = timed(jax.grad(loss, argnums=tuple(range(len(start)))), start)
figures = {
    "tool": "jax",
    "version": jax.__version__,
    "case": arguments.case,
    "method": arguments.method,
    "steps": N_STEPS,
    "forward_s": forward_s,
    "gradient_s": gradient_s,
    "value": float(value),
    "gnorm2": float(sum(jnp.sum(slope**2) for slope in slopes)),
    "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}
print(json.dumps(figures))
