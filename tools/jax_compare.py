#!/usr/bin/env python3
"""Compares programs, their gradients and Hessian-vector products with JAX.

    tools/jax_compare.py PROGRAMS.jsonl [--jobs N] [--record OUT.jsonl --most N]

Each line of PROGRAMS is a program in its text form with its inputs and what retrograde computed, as
`cargo run --release --package retrograde-sample --example answers` writes them. The last line of the output is a JSON
object: counts for each primitive, the worst errors, and every disagreement.

What is compared. JAX traces the program in its own dtypes and differentiates it by `jax.vjp`, and by `jax.jvp` of that:
the results y, the gradient of L = sum of w y, and its second derivative along a direction. The traced equations are then
evaluated in f64, loops step by step, so the reference is more exact than what it judges. Sums, products, comparisons and
moves of data are those of numpy, which are the same IEEE operations without the time to compile; the rest is JAX's.

The bound. `u` is half an ulp of 1 in the dtype of a number (2^-53, 2^-24, 2^-9). An entry must agree within

    K (u |reference| + change)

where `change` is how far the reference moves when each traced equation that rounds, of the program and of its
derivatives, is disturbed as rounding disturbs it: each entry of each operand and result by a random factor 1 + u r with
r in (-1, 1) (larger by 2^10 in the experiment, so that it stands out of the rounding of f64; by 2^2 where there is bf16);
the worst of SAMPLES experiments. So an ill-conditioned entry is allowed what its conditioning costs, and no other.
Integers and truth values must be equal, unless the disturbance changes them too. Where a comparison is decided by
rounding (two numbers that only bf16 makes equal), the same equations each rounded to its own dtype are the reference;
`entries_decided_by_rounding` counts these.
K is 8 where the reference is more exact than what it judges (f32, bf16), 256 in f64.
Source: Parker 1997, Monte Carlo arithmetic.
"""

import argparse
import json
import math
import multiprocessing
import os
import re
import sys
from collections import Counter

# Small programs: time goes into compiling, and threads only get in each other's way.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

try:
    import jax
    import jax.extend
    import jax.numpy as jnp
    import numpy as np
    from jax import lax
except ImportError as error:
    sys.exit(f"{error}: this comparison needs JAX; try `python3 -m pip install jax` for {sys.executable}")

jax.config.update("jax_enable_x64", True)

# Chosen before the first run over all programs. In f64 the reference has errors of its own: against 120 bits JAX 0.10.2 is
# 125 ulp off in atanh, 80 in log1p, 16 in erf_inv, 6 in erfc, 3 in tanh.
K = {"f64": 256, "f32": 8, "bf16": 8}
SAMPLES = 4

# ---------------------------------------------------------------------------- the text form

TOKEN = re.compile(r'\s*(?:#[^\n]*\n\s*)*("(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|[A-Za-z0-9_.+-]+|[][(){}=,:*?]|$)')
DTYPES = {
    "f64": "float64", "f32": "float32", "bf16": "bfloat16",
    "i64": "int64", "i32": "int32", "u8": "uint8", "bool": "bool",
}
UNIT = {"f64": 2.0**-53, "f32": 2.0**-24, "bf16": 2.0**-9}


class Type:
    """`f64[2,3]`"""

    def __init__(self, dtype, shape):
        self.dtype, self.shape = dtype, tuple(shape)

    @property
    def is_float(self):
        return self.dtype in UNIT

    @property
    def jax(self):
        return jnp.dtype(DTYPES[self.dtype])


class Equation:
    def __init__(self, op, params, inputs, outputs):
        self.op, self.params, self.inputs, self.outputs = op, params, inputs, outputs


class Program:
    def __init__(self, inputs, equations, outputs, types):
        self.inputs, self.equations, self.outputs, self.types = inputs, equations, outputs, types


class Parser:
    """Reads the text form that `retrograde_core::ir::print` writes."""

    def __init__(self, text):
        self.tokens, at = [], 0
        while at < len(text):
            found = TOKEN.match(text, at)
            if not found:
                raise ValueError(f"cannot read {text[at:at + 40]!r}")
            if found[1]:
                self.tokens.append(found[1])
            at = found.end()
            if found[1] == "":
                break
        self.at = 0

    def peek(self):
        return self.tokens[self.at]

    def take(self, expected=None):
        token = self.tokens[self.at]
        if expected is not None and token != expected:
            raise ValueError(f"found {token!r}, expected {expected!r} at token {self.at}")
        self.at += 1
        return token

    def separated(self, close, item):
        items = []
        while self.peek() != close:
            items.append(item())
            if self.peek() == ",":
                self.take()
        self.take(close)
        return items

    def type(self):
        dtype = self.take()
        if dtype not in DTYPES:
            raise ValueError(f"found {dtype!r}, expected a dtype")
        self.take("[")
        return Type(dtype, self.separated("]", lambda: int(self.take())))

    def array(self, type):
        self.take("{")
        words = self.separated("}", self.take)
        read = {"bool": lambda w: w == "true"}.get(type.dtype, float if type.is_float else int)
        return np.array([read(w) for w in words], dtype=type.jax).reshape(type.shape)

    def field(self):
        token = self.peek()
        if token == "program":
            return self.program()
        if token[0] in '"`':
            return self.take()[1:-1]
        if token == "[":
            self.take()
            return self.separated("]", self.field)
        if token in DTYPES and self.tokens[self.at + 1] == "[":
            type = self.type()
            return self.array(type) if self.peek() == "{" else type
        self.take()
        if token in ("true", "false"):
            return token == "true"
        return int(token) if re.fullmatch(r"-?\d+", token) else token

    def named(self):
        name = self.take()
        self.take("=")
        return name, self.field()

    def typed(self, types):
        name = self.take()
        self.take(":")
        types[name] = self.type()
        return name

    def program(self):
        self.take("program")
        self.take("(")
        types = {}
        inputs = self.separated(")", lambda: self.typed(types))
        self.take("{")
        equations = []
        while self.peek() != "return":
            outputs = []
            while self.peek() != "=":
                outputs.append(self.typed(types))
                if self.peek() == ",":
                    self.take()
            self.take("=")
            op, params, operands = self.take(), {}, []
            if self.peek() == "[":
                self.take()
                params = dict(self.separated("]", self.named))
            # Operands end where the next equation or `return` begins.
            while self.peek() != "return" and self.tokens[self.at + 1] != ":":
                operands.append(self.take())
            equations.append(Equation(op, params, operands, outputs))
        self.take("return")
        outputs = self.separated("}", self.take)
        return Program(inputs, equations, outputs, types)


# ---------------------------------------------------------------------------- the primitives


def clamp(x, low, high):
    """On a bound the derivative is x's, as `prim/clamp.rs` declares; `min` and `max` would halve it, twice where all are equal."""
    raised = jnp.where(x < low, low, x)
    lowered = jnp.where(raised > high, high, raised)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return lowered
    return jnp.where(jnp.isnan(x) | jnp.isnan(low) | jnp.isnan(high), x + low + high, lowered)


def unslice(p, x):
    ends = [a + (n - 1) * s + 1 if n else a for a, n, s in zip(p["starts"], x.shape, p["strides"])]
    config = [(a, n - end, s - 1) for a, n, end, s in zip(p["starts"], p["shape"], ends, p["strides"])]
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def pad_with(p, x, value):
    # Zeros around x, and the value where x is not: the derivative of JAX 0.10.2 for a value of another's is broken where one
    # cotangent is zero.
    config = [(low, high, stride - 1) for low, high, stride in zip(p["low"], p["high"], p["strides"])]
    inside = lax.pad(jnp.ones(x.shape, bool), jnp.array(False), config)
    return lax.select(inside, lax.pad(x, jnp.zeros((), x.dtype), config), jnp.broadcast_to(value, inside.shape))


def gather(p, x, indices):
    axis, shared = p["axis"], p["batch_dims"]
    if shared == 0:
        return jnp.take(x, indices, axis=axis)
    inner = {"axis": axis - 1, "batch_dims": shared - 1}
    return jnp.stack([gather(inner, x[i], indices[i]) for i in range(x.shape[0])]) if x.shape[0] else \
        jnp.zeros(x.shape[:axis] + indices.shape[shared:] + x.shape[axis + 1:], x.dtype)


def scatter_add(p, indices, updates):
    axis, shared, size = p["axis"], p["batch_dims"], p["size"]
    shape = updates.shape[:axis] + (size,) + updates.shape[axis + indices.ndim - shared:]
    if 0 in updates.shape or 0 in shape:
        return jnp.zeros(shape, updates.dtype)
    if shared == 0:
        at = (slice(None),) * axis + (indices,)
        return jnp.zeros(shape, updates.dtype).at[at].add(updates)
    inner = {"axis": axis - 1, "batch_dims": shared - 1, "size": size}
    return jnp.stack([scatter_add(inner, indices[i], updates[i]) for i in range(updates.shape[0])])


def over(n, f):
    """`f` over the first `n` axes of all operands."""
    for _ in range(n):
        f = jax.vmap(f)
    return f


def dynamic_slice(p, x, starts):
    return over(p["batch_dims"], lambda x, starts: lax.dynamic_slice(x, list(starts), p["lens"]))(x, starts)


def dynamic_update(p, x, update, starts):
    return over(p["batch_dims"], lambda x, u, at: lax.dynamic_update_slice(x, u, list(at)))(x, update, starts)


def conv(p, a, b):
    """The form `output` is JAX's; the others are its transposes."""

    def output(x, w):
        padding = list(zip(p["low"], p["high"]))
        return lax.conv_general_dilated(x, w, p["strides"], padding, rhs_dilation=p["dilation"],
                                        feature_group_count=p["groups"], precision=lax.Precision.HIGHEST)

    like = lambda *shape: jax.ShapeDtypeStruct(shape, a.dtype)
    if p["form"] == "output":
        return output(a, b)
    if p["form"] == "input":
        x = like(a.shape[0], b.shape[1] * p["groups"], *p["lens"])
        return jax.linear_transpose(lambda x: output(x, b), x)(a)[0]
    w = like(b.shape[1], a.shape[1] // p["groups"], *p["window"])
    return jax.linear_transpose(lambda w: output(a, w), w)(b)[0]


def recurrence(p, a, b):
    def step(h, ab):
        h = ab[0] * h + ab[1]
        return h, h

    a, b = (jnp.moveaxis(x, p["axis"], 0) for x in (a, b))
    _, h = lax.scan(step, jnp.zeros(b.shape[1:], b.dtype), (a, b), reverse=p["reverse"])
    return jnp.moveaxis(h, 0, p["axis"])


def window_argmax(p, x):
    n = len(p["window"])
    lead, lens = x.shape[:-n], x.shape[-n:]
    place = jnp.broadcast_to(jnp.arange(math.prod(lens)).reshape(lens), x.shape)
    around = [(0, 0, 0)] * len(lead) + [(a, b, 0) for a, b in zip(p["low"], p["high"])]
    wide = lax.pad(lax.stop_gradient(x).astype(jnp.float64), -jnp.inf, around)
    places = lax.pad(place, jnp.zeros((), place.dtype), around)

    def seen(y, offset):
        starts = [0] * len(lead) + [o * d for o, d in zip(offset, p["dilation"])]
        reach = [(w - 1) * d for w, d in zip(p["window"], p["dilation"])]
        ends = [*lead, *(start + size - r for start, size, r in zip(starts[len(lead):], y.shape[len(lead):], reach))]
        return lax.slice(y, starts, ends, [1] * len(lead) + p["strides"])

    offsets = list(np.ndindex(*p["window"]))
    entries, at = (jnp.stack([seen(y, o) for o in offsets]) for y in (wide, places))
    return jnp.take_along_axis(at, jnp.argmax(entries, 0)[None], 0)[0]


def triangle(p, x):
    below = {"lower": 0, "strict_lower": -1}
    above = {"upper": 0, "strict_upper": 1}
    part = p["part"]
    if part in below:
        return jnp.tril(x, below[part])
    return jnp.triu(x, above[part]) if part in above else jnp.tril(jnp.triu(x))


def symmetric(a):
    """The symmetric matrix of a lower triangle."""
    return jnp.tril(a) + jnp.swapaxes(jnp.tril(a, -1), -1, -2)


def transposed(a, which=True):
    return jnp.swapaxes(a, -1, -2) if which else a


def triangular_solve(p, a, b):
    config = {"lower": p["lower"], "transpose_a": p["transposed"], "unit_diagonal": p["unit"]}
    return lax.linalg.triangular_solve(a, b, left_side=True, **config)


def qr(p, a):
    k = min(a.shape[-2:])
    q, r = jnp.linalg.qr(a[..., :k])
    sign = jnp.where(jnp.diagonal(r, axis1=-2, axis2=-1) < 0, -1, 1).astype(a.dtype)
    q, r = q * sign[..., None, :], r * sign[..., :, None]
    return q, jnp.concatenate([r, transposed(q) @ a[..., k:]], -1)


def positive(u):
    """The sign of the first entry of each column within a thousandth of the largest."""
    size = jnp.abs(lax.stop_gradient(u))
    first = jnp.argmax(size >= 0.999 * jnp.max(size, -2, keepdims=True, initial=0), -2, keepdims=True)
    return jnp.where(jnp.take_along_axis(lax.stop_gradient(u), first, -2) < 0, -1, 1).astype(u.dtype)


def eigh(p, a):
    w, v = jnp.linalg.eigh(symmetric(a), symmetrize_input=False)
    return (w, v * positive(v)) if a.size else (w, v)


def svd(p, a):
    u, s, vt = jnp.linalg.svd(a, full_matrices=False)
    sign = positive(u) if u.size else 1
    return u * sign, s, transposed(vt) * sign


def fft(p, z):
    if z.size == 0:
        return z
    wide = z.astype(jnp.float32) if z.dtype == jnp.bfloat16 else z
    n = z.shape[-2]
    z_hat = lax.complex(wide[..., 0], wide[..., 1])
    z_hat = jnp.fft.ifft(z_hat) * n if p["backward"] else jnp.fft.fft(z_hat)
    return jnp.stack([z_hat.real, z_hat.imag], -1).astype(z.dtype)


def convert(p, x):
    to = Type(p["dtype"], ()).jax
    return x != jnp.zeros((), x.dtype) if to == bool else lax.convert_element_type(x, to)


def dot_general(p, x, y):
    contract = (tuple(p["lhs_contract"]), tuple(p["rhs_contract"]))
    return lax.dot_general(x, y, (contract, (tuple(p["lhs_batch"]), tuple(p["rhs_batch"]))))


def shift(p, x, by):
    return {"left": lax.shift_left, "right": lax.shift_right_arithmetic,
            "right_logical": lax.shift_right_logical}[p["op"]](x, by)


def call(run, p, *operands):
    return run(p["body"], operands)


def cond(run, p, predicate, *operands):
    branches = [lambda *xs, body=p[name]: tuple(run(body, xs)) for name in ("if_true", "if_false")]
    return lax.cond(predicate, *branches, *operands)


def scan(run, p, *operands):
    consts, n_carry = operands[:p["consts"]], p["carries"]

    def step(carry, xs):
        out = run(p["body"], [*consts, *carry, *xs])
        return out[:n_carry], out[n_carry:]

    carry, xs = list(operands[len(consts):][:n_carry]), list(operands[len(consts) + n_carry:])
    carry, ys = lax.scan(step, carry, xs, length=p["length"], reverse=p["reverse"])
    return [*carry, *ys]


# Random programs count to 5 at most. One that goes on after this many steps gives NaN.
MOST_STEPS = 8


def while_loop(run, p, *operands):
    """A loop of fixed length whose steps do nothing once the condition fails: JAX has no reverse mode for `while`."""
    n_cond, n_body = p["cond_consts"], p["body_consts"]
    of_cond, of_body, carry = operands[:n_cond], operands[n_cond:n_cond + n_body], operands[n_cond + n_body:]
    goes_on = lambda carry: run(p["cond"], [*of_cond, *carry])[0]
    body = lambda *carry: tuple(run(p["body"], [*of_body, *carry]))

    def step(carry, _):
        return lax.cond(goes_on(carry), body, lambda *carry: carry, *carry), None

    carry, _ = lax.scan(step, tuple(carry), None, length=MOST_STEPS)
    ended = jnp.where(goes_on(carry), jnp.nan, 1.0)
    return [x * ended.astype(x.dtype) if is_float(x.dtype) else x for x in carry]


def is_float(dtype):
    return jnp.issubdtype(dtype, jnp.floating)


class Bodies:
    """A primitive that runs sub-programs: (run, parameters, operands) -> results."""

    def __init__(self, apply):
        self.apply = apply


def plain(f):
    return lambda p, *xs: f(*xs)


# One line for each primitive; `p` are its parameters. `every_primitive_has_its_equal_or_a_reason` reads this table.
PRIMITIVES = {
    "add": plain(lax.add),
    "sub": plain(lax.sub),
    "mul": plain(lax.mul),
    "div": plain(lax.div),
    "strong_mul": plain(lax.mul),
    "strong_div": plain(lax.div),
    "neg": plain(lax.neg),
    "fma": plain(lambda x, y, z: x * y + z),
    "sqrt": plain(lax.sqrt),
    "exp": plain(lax.exp),
    "log": plain(lax.log),
    "tanh": plain(lax.tanh),
    "sin": plain(lax.sin),
    "cos": plain(lax.cos),
    "expm1": plain(lax.expm1),
    "exp2": plain(lax.exp2),
    "log1p": plain(lax.log1p),
    "log2": plain(jnp.log2),
    "rsqrt": plain(lax.rsqrt),
    "cbrt": plain(lax.cbrt),
    "tan": plain(lax.tan),
    "asin": plain(lax.asin),
    "acos": plain(lax.acos),
    "atan": plain(lax.atan),
    "sinh": plain(lax.sinh),
    "cosh": plain(lax.cosh),
    "asinh": plain(lax.asinh),
    "acosh": plain(lax.acosh),
    "atanh": plain(lax.atanh),
    "erf": plain(lax.erf),
    "erfc": plain(lax.erfc),
    "erf_inv": plain(lax.erf_inv),
    "lgamma": plain(lax.lgamma),
    "digamma": plain(lax.digamma),
    "polygamma": lambda p, x: lax.polygamma(jnp.full(x.shape, p["order"], x.dtype), x),
    "bessel_i0e": plain(lax.bessel_i0e),
    "bessel_i1e": plain(lax.bessel_i1e),
    "log_bessel_i0": plain(lambda x: lax.log(lax.bessel_i0e(x)) + lax.abs(x)),
    "logistic": plain(lax.logistic),
    "softplus": plain(jax.nn.softplus),
    "pow": plain(lax.pow),
    "atan2": plain(lax.atan2),
    "max": plain(lax.max),
    "min": plain(lax.min),
    "rem": plain(lax.rem),
    "abs": plain(lambda x: x if x.dtype == jnp.uint8 else lax.abs(x)),
    "sign": plain(lax.sign),
    "floor": plain(lax.floor),
    "ceil": plain(lax.ceil),
    "round": plain(lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)),
    "clamp": plain(clamp),
    "logic": lambda p, x, y: {"and": lax.bitwise_and, "or": lax.bitwise_or, "xor": lax.bitwise_xor}[p["op"]](x, y),
    "not": plain(lax.bitwise_not),
    "shift": shift,
    "is_finite": plain(lax.is_finite),
    "select": plain(lambda mask, x, y: lax.select(mask, x, y)),
    "compare": lambda p, x, y: getattr(lax, p["comparison"])(x, y),
    "convert": convert,
    "stop_gradient": plain(lax.stop_gradient),
    "full": lambda p: jnp.full(p["type"].shape, p["value"], p["type"].jax),
    "constant": lambda p: jnp.asarray(p["value"]),
    "broadcast": lambda p, x: lax.broadcast_in_dim(x, p["shape"], p["axes"]),
    "reshape": lambda p, x: lax.reshape(x, p["shape"]),
    "transpose": lambda p, x: lax.transpose(x, p["perm"]),
    "slice": lambda p, x: lax.slice(x, p["starts"], p["limits"], p["strides"]),
    "unslice": unslice,
    "concat": lambda p, *xs: lax.concatenate(xs, p["axis"]),
    "pad": pad_with,
    "reverse": lambda p, x: lax.rev(x, p["axes"]),
    "iota": lambda p: lax.broadcasted_iota(p["type"].jax, p["type"].shape, p["axis"]),
    "dynamic_slice": dynamic_slice,
    "dynamic_update": dynamic_update,
    "gather": gather,
    "scatter_add": scatter_add,
    "sum": lambda p, x: lax.reduce_sum(x, tuple(p["axes"])),
    "prod": lambda p, x: lax.reduce_prod(x, tuple(p["axes"])),
    "reduce_max": lambda p, x: lax.reduce_max(x, tuple(p["axes"])),
    "reduce_min": lambda p, x: lax.reduce_min(x, tuple(p["axes"])),
    "any": lambda p, x: lax.reduce_or(x, tuple(p["axes"])),
    "logsumexp": lambda p, x: jax.nn.logsumexp(x, tuple(p["axes"])),
    "argmax": lambda p, x: lax.argmax(x, p["axis"], jnp.int64),
    "argmin": lambda p, x: lax.argmin(x, p["axis"], jnp.int64),
    "argsort": lambda p, x: jnp.argsort(x, p["axis"], stable=True, descending=p["descending"]),
    "cumsum": lambda p, x: lax.cumsum(x, p["axis"], p["reverse"]),
    "cumprod": lambda p, x: lax.cumprod(x, p["axis"], p["reverse"]),
    "recurrence": recurrence,
    "dot_general": dot_general,
    "conv": conv,
    "window_argmax": window_argmax,
    "triangle": triangle,
    "triangular_solve": triangular_solve,
    "solve": lambda p, a, b: jnp.linalg.solve(transposed(a, p["transposed"]), b),
    "logdet": lambda p, a: tuple(jnp.linalg.slogdet(a)),
    "cholesky": lambda p, a: lax.linalg.cholesky(symmetric(a), symmetrize_input=False),
    "qr": qr,
    "eigh": eigh,
    "svd": svd,
    "fft": fft,
    "call": Bodies(call),
    "scan": Bodies(scan),
    "while": Bodies(while_loop),
    "cond": Bodies(cond),
    "custom_jvp": Bodies(lambda run, p, *xs: run(p["primal"], xs)),
    "custom_vjp": Bodies(lambda run, p, *xs: run(p["primal"], xs)),
    "linear_call": Bodies(lambda run, p, *xs: run(p["apply"], xs)),
}

# Those that JAX has no equal of, and why.
WITHOUT = {
    "random_bits": "Threefry-2x64-20; JAX has Threefry-2x32",
    "lattice_point": "JAX has no lattice of 64-bit whole numbers with a range",
    "lattice_value": "JAX has no lattice of 64-bit whole numbers with a range",
    "lattice_add": "JAX has no lattice of 64-bit whole numbers with a range",
    "contract": "JAX has no one-to-one multiplication with remainders",
    "agree": "only lowering writes it, after every derivative",
    "push_bits": "only lowering writes it, after every derivative",
    "pop_bits": "only lowering writes it, after every derivative",
    "spill": "only lowering writes it, after every derivative",
    "expand": "only lowering writes it, after every derivative",
    "retain": "only lowering writes it, after every derivative",
    "restore": "only lowering writes it, after every derivative",
    "record": "only lowering writes it, after every derivative",
    "replay": "only lowering writes it, after every derivative",
    "pack_bits": "only lowering writes it, after every derivative",
    "unpack_bits": "only lowering writes it, after every derivative",
    "quantise": "only lowering writes it, after every derivative",
    "dequantise": "only lowering writes it, after every derivative",
}


# ---------------------------------------------------------------------------- tracing


def traced(program, inputs):
    """The results, in JAX's operations."""
    env = dict(zip(program.inputs, inputs))
    for e in program.equations:
        if e.op not in PRIMITIVES:
            reason = WITHOUT.get(e.op, f"add a line for `{e.op}` to PRIMITIVES in {sys.argv[0]}")
            raise KeyError(f"{e.op}: found no equal in JAX ({reason})")
        primitive, operands = PRIMITIVES[e.op], [env[v] for v in e.inputs]
        if isinstance(primitive, Bodies):
            results = primitive.apply(traced, e.params, *operands)
        else:
            results = primitive(e.params, *operands)
            results = results if isinstance(results, (list, tuple)) else [results]
        if len(results) != len(e.outputs):
            raise ValueError(f"{e.op}: JAX gives {len(results)} results, expected {len(e.outputs)}")
        for v, y in zip(e.outputs, results):
            expected = program.types[v]
            if (y.shape, y.dtype) != (expected.shape, expected.jax):
                raise ValueError(f"{e.op}: JAX gives {y.dtype}{list(y.shape)}, expected {expected.jax}{list(expected.shape)}")
            env[v] = y
    return [env[v] for v in program.outputs]


def derived(program):
    """(inputs, weights, direction) -> results, gradient of the weighted sum, second derivative along the direction."""
    floats = [i for i, v in enumerate(program.inputs) if program.types[v].is_float]
    float_out = [i for i, v in enumerate(program.outputs) if program.types[v].is_float]

    def f(inputs, weights, direction):
        def values(xs):
            full = list(inputs)
            for i, x in zip(floats, xs):
                full[i] = x
            return traced(program, full)

        def gradient(xs):
            _, back = jax.vjp(lambda xs: [values(xs)[i] for i in float_out], xs)
            return back(list(weights))[0]

        xs = [inputs[i] for i in floats]
        return values(xs), *jax.jvp(gradient, (xs,), (list(direction),))

    return f


# ---------------------------------------------------------------------------- evaluation

# Their results are operands, negatives of operands, integers or exact: nothing is rounded.
EXACT = {
    "neg", "abs", "sign", "floor", "ceil", "round", "max", "min", "select_n", "eq", "ne", "lt", "le", "gt", "ge", "rem",
    "reshape", "squeeze", "expand_dims", "broadcast_in_dim", "transpose", "slice", "rev", "concatenate", "pad", "iota",
    "gather", "dynamic_slice", "dynamic_update_slice", "copy", "copy_p", "stop_gradient", "argmax", "argmin", "is_finite",
    "reduce_max", "reduce_min", "reduce_and", "reduce_or", "sort", "clamp", "zeros_like", "scatter", "and", "or", "not",
    "xor", "cummax", "cummin", "select_and_gather_add", "real", "imag", "complex", "split", "tie_in",
}


def broadcast_in_dim(p, x):
    shape = [1] * len(p["shape"])
    for axis, n in zip(p["broadcast_dimensions"], x.shape):
        shape[axis] = n
    return np.broadcast_to(x.reshape(shape), p["shape"])


def pad(p, x, value):
    if any(low < 0 or high < 0 for low, high, _ in p["padding_config"]):
        return None
    config = [(low, high, step + 1) for low, high, step in p["padding_config"]]
    shape = [low + (n - 1) * s + 1 + high if n else low + high for n, (low, high, s) in zip(x.shape, config)]
    y = np.full(shape, value)
    y[tuple(slice(low, low + (n - 1) * s + 1 if n else low, s) for n, (low, _, s) in zip(x.shape, config))] = x
    return y


def slices(p, x):
    strides = p["strides"] or [1] * x.ndim
    return x[tuple(slice(*part) for part in zip(p["start_indices"], p["limit_indices"], strides))]


def floats_only(f):
    return lambda p, *xs: f(*xs) if xs[0].dtype == np.float64 else None


def dot(p, x, y):
    (contract, batch) = p["dimension_numbers"]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    left, right = [None] * x.ndim, [None] * y.ndim
    shared = []
    for pairs, keep in ((batch, True), (contract, False)):
        for i, j in zip(*pairs):
            left[i] = right[j] = next(letters)
            shared += [left[i]] * keep
    free = lambda side: [c or next(letters) for c in side]
    left, right = free(left), free(right)
    both = set(left) & set(right)
    out = shared + [c for c in left if c not in both] + [c for c in right if c not in both]
    return np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", x, y)


def cumulative(f):
    def apply(p, x):
        axis = p["axis"]
        return np.flip(f(np.flip(x, axis), axis, dtype=x.dtype), axis) if p["reverse"] else f(x, axis, dtype=x.dtype)

    return apply


def part(x, starts, lens):
    starts = [min(max(int(a), 0), n - m) for a, n, m in zip(starts, x.shape, lens)]
    return tuple(slice(a, a + m) for a, m in zip(starts, lens))


def updated(p, x, update, *starts):
    y = x.copy()
    y[part(x, starts, update.shape)] = update
    return y


# What numpy does as IEEE 754 does; `None` leaves the operands at hand to JAX.
NUMPY = {
    "add": plain(np.add), "add_any": plain(np.add), "sub": plain(np.subtract), "mul": plain(np.multiply),
    "neg": plain(np.negative), "div": floats_only(np.divide), "sqrt": floats_only(np.sqrt), "square": plain(np.square),
    "max": floats_only(np.maximum), "min": floats_only(np.minimum), "abs": floats_only(np.abs),
    "sign": floats_only(np.sign), "floor": floats_only(np.floor), "ceil": floats_only(np.ceil),
    "eq": plain(np.equal), "ne": plain(np.not_equal), "lt": plain(np.less), "le": plain(np.less_equal),
    "gt": plain(np.greater), "ge": plain(np.greater_equal), "copy": plain(np.copy), "copy_p": plain(np.copy),
    "select_n": lambda p, which, *xs: np.where(which, xs[1], xs[0]) if which.dtype == bool else None,
    "reshape": lambda p, x: x.reshape(p["new_sizes"]) if p["dimensions"] is None else None,
    "squeeze": lambda p, x: np.squeeze(x, tuple(p["dimensions"])),
    "transpose": lambda p, x: np.transpose(x, p["permutation"]),
    "broadcast_in_dim": lambda p, *xs: broadcast_in_dim(p, *xs) if len(xs) == 1 else None,
    "concatenate": lambda p, *xs: np.concatenate(xs, p["dimension"]),
    "rev": lambda p, x: np.flip(x, tuple(p["dimensions"])),
    "reduce_sum": lambda p, x: np.sum(x, tuple(p["axes"]), dtype=x.dtype),
    "slice": slices,
    "pad": pad,
    "convert_element_type": lambda p, x: x.astype(wide(p["new_dtype"])),
    "and": lambda p, x, y: x & y, "or": lambda p, x, y: x | y, "xor": lambda p, x, y: x ^ y, "not": lambda p, x: ~x,
    "is_finite": plain(np.isfinite), "integer_pow": lambda p, x: x ** float(p["y"]),
    "rem": floats_only(np.fmod),
    "iota": lambda p: np.broadcast_to(
        np.arange(p["shape"][p["dimension"]], dtype=wide(p["dtype"])).reshape(
            [n if i == p["dimension"] else 1 for i, n in enumerate(p["shape"])]), p["shape"]),
    "dot_general": lambda p, x, y: dot(p, x, y) if x.dtype == np.float64 else None,
    "cumsum": cumulative(np.cumsum), "cumprod": cumulative(np.cumprod),
    "dynamic_slice": lambda p, x, *starts: x[part(x, starts, p["slice_sizes"])],
    "dynamic_update_slice": updated,
    "stop_gradient": lambda p, x: x,
    "reduce_max": lambda p, x: np.max(x, tuple(p["axes"])), "reduce_min": lambda p, x: np.min(x, tuple(p["axes"])),
    "reduce_prod": lambda p, x: np.prod(x, tuple(p["axes"]), dtype=x.dtype),
    "argmax": lambda p, x: np.argmax(x, p["axes"][0]), "argmin": lambda p, x: np.argmin(x, p["axes"][0]),
}


def wide(dtype):
    """The dtype of the evaluation: floats in f64."""
    return np.dtype(np.float64) if is_float(dtype) else np.dtype(dtype)


def widened(value):
    """A parameter of an equation, for operands in f64."""
    try:
        return wide(np.dtype(value)) if isinstance(value, (np.dtype, type)) else value
    except TypeError:
        return value


def scatter(f):
    names = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")

    def apply(p, x, at, updates):
        x, at, updates = map(jnp.asarray, (x, at, updates))
        config = {name: p[name] for name in names[1:]}
        return f(x, at, updates, p["dimension_numbers"], **config)

    return apply


# Their parameters hold traced functions of the narrow dtype: made again for f64.
AGAIN = {"scatter-add": scatter(lax.scatter_add), "scatter": scatter(lax.scatter), "scatter_add": scatter(lax.scatter_add)}


class Disturbance:
    """Random factors 1 + size u r, r uniform in (-1, 1), one for each entry: fixed by a seed and their order."""

    def __init__(self, size, seed):
        self.size, self.random = size, np.random.default_rng(seed)

    def __call__(self, x, dtype):
        unit = UNITS.get(str(dtype))
        return x if unit is None else x * (1 + self.size * unit * self.random.uniform(-1, 1, x.shape))


UNITS = {DTYPES[name]: unit for name, unit in UNIT.items()}
UNITS |= {"complex128": UNIT["f64"], "complex64": UNIT["f32"]}


def rounding(x, dtype):
    """To the nearest number of the dtype that was traced."""
    return x.astype(dtype).astype(x.dtype) if is_float(dtype) else x


def evaluated(jaxpr, consts, args, disturb):
    """The results of traced equations, all floats in f64, disturbed (or rounded) where they round."""
    env = {}
    literal = lambda v: isinstance(v, jax.extend.core.Literal)
    read = lambda v: np.asarray(v.val).astype(wide(v.aval.dtype)) if literal(v) else env[v]
    numbers = lambda x: np.asarray(x).astype(wide(x.dtype)) if hasattr(x, "dtype") else np.asarray(x)
    env.update(zip(jaxpr.constvars, map(numbers, consts)))
    env.update(zip(jaxpr.invars, args))
    run = lambda closed, xs: evaluated(closed.jaxpr, closed.consts, xs, disturb)
    for e in jaxpr.eqns:
        name, p, xs = e.primitive.name, e.params, [read(v) for v in e.invars]
        inner = p.get("jaxpr") or p.get("call_jaxpr") or p.get("fun_jaxpr")
        if name == "scan":
            ys = scanned(run, p, xs)
        elif name == "cond":
            ys = run(p["branches"][int(xs[0])], xs[1:])
        elif name == "custom_linear_solve":
            n_before, n_own = sum(p["const_lengths"][:2]), p["const_lengths"][2]
            rest = xs[sum(p["const_lengths"]):]
            ys = run(p["jaxprs"].solve, [*xs[n_before:n_before + n_own], *rest])
        elif inner is not None:
            ys = run(inner, xs) if hasattr(inner, "consts") else evaluated(inner, [], xs, disturb)
        else:
            rounds = disturb is not None and name not in EXACT
            if rounds and disturb is not rounding:
                xs = [x if literal(v) else disturb(x, v.aval.dtype) for x, v in zip(xs, e.invars)]
            ys = NUMPY[name](p, *xs) if name in NUMPY else None
            if ys is None:
                apply = AGAIN.get(name, lambda p, *xs, e=e: e.primitive.bind(*xs, **{k: widened(v) for k, v in p.items()}))
                ys = apply(p, *xs)
            ys = [np.asarray(y) for y in (ys if e.primitive.multiple_results else [ys])]
            if rounds:
                ys = [disturb(y, v.aval.dtype) for y, v in zip(ys, e.outvars)]
        env.update(zip(e.outvars, ys))
    return [read(v) for v in jaxpr.outvars]


def scanned(run, p, xs):
    n_consts, n_carry, length = p["num_consts"], p["num_carry"], p["length"]
    consts, carry, xs = xs[:n_consts], xs[n_consts:n_consts + n_carry], xs[n_consts + n_carry:]
    outs = p["jaxpr"].out_avals[n_carry:]
    ys = [np.zeros((length, *a.shape), wide(a.dtype)) for a in outs]
    for i in reversed(range(length)) if p["reverse"] else range(length):
        out = run(p["jaxpr"], [*consts, *carry, *(x[i] for x in xs)])
        carry = out[:n_carry]
        for y, entry in zip(ys, out[n_carry:]):
            y[i] = entry
    return [*carry, *ys]


class Answers:
    """Traces a program once; evaluates it, disturbed or not."""

    def __init__(self, program, inputs, weights, direction):
        like = lambda xs: [jax.ShapeDtypeStruct(t.shape, t.jax) for t, _ in xs]
        self.closed, shape = jax.make_jaxpr(derived(program), return_shape=True)(like(inputs), like(weights), like(direction))
        self.args = [x.astype(wide(t.jax)) for t, x in (*inputs, *weights, *direction)]
        self.parts = [len(part) for part in shape]

    def __call__(self, disturb=None):
        flat = iter(evaluated(self.closed.jaxpr, self.closed.consts, self.args, disturb))
        return [[next(flat) for _ in range(n)] for n in self.parts]


# ---------------------------------------------------------------------------- comparison


def decoded(record):
    """An array from its type and the bytes of its entries (little endian)."""
    type = Parser(record["type"]).type()
    raw = bytes.fromhex(record["hex"])
    if type.dtype == "bf16":
        halves = np.frombuffer(raw, "<u2").astype(np.uint32) << 16
        return type, halves.view(np.float32).astype(np.float64).reshape(type.shape)
    x = np.frombuffer(raw, np.dtype(DTYPES[type.dtype]).newbyteorder("<"))
    return type, x.astype(wide(type.jax)).reshape(type.shape)


def count(program, counter):
    for e in program.equations:
        counter[e.op] += 1
        for value in e.params.values():
            for body in value if isinstance(value, list) else [value]:
                if isinstance(body, Program):
                    count(body, counter)


def compare(line):
    """What one program gives: counts, the worst error as a multiple of the bound for each part, disagreements."""
    record = json.loads(line)
    program = Parser(record["program"]).program()
    ops = Counter()
    count(program, ops)
    types = {v: t.dtype for v, t in program.types.items()}
    answers = Answers(program, *([decoded(x) for x in record[key]] for key in ("inputs", "weights", "direction")))
    wide_reference, rounded = answers(), answers(rounding)
    size = 2.0**2 if "bf16" in record["program"] else 2.0**10
    with np.errstate(all="ignore"):
        moved = [answers(Disturbance(size, seed)) for seed in range(1, SAMPLES + 1)]
    result = {"seed": record["seed"], "ops": ops, "worst": {}, "loose": Counter(), "decided": 0, "entries": Counter(), "disagreements": []}
    bounds = []
    for part, name in enumerate(("values", "gradient", "product")):
        part_bounds = []
        if len(record[name]) != len(wide_reference[part]):
            raise ValueError(f"{name}: found {len(record[name])} arrays, expected {len(wide_reference[part])}")
        for i, (found, expected, narrow) in enumerate(zip(record[name], wide_reference[part], rounded[part])):
            type, found = decoded(found)
            if found.shape != expected.shape:
                raise ValueError(f"{name} {i}: found shape {found.shape}, expected {expected.shape}")
            others = [m[part][i] for m in moved]
            ratio, bound = judged(type, found, expected, others, size)
            if np.any(ratio > 1):
                # A comparison that rounding decides: the same equations, each rounded to its own dtype.
                again, _ = judged(type, found, narrow, others, size, expected)
                result["decided"] += int(np.sum((ratio > 1) & (again <= 1)))
                ratio = np.where(again <= 1, np.minimum(ratio, again), ratio)
                bound = np.where(again <= 1, np.inf, bound)
            if type.is_float:
                # Says little: near a kink, or badly conditioned.
                scale = np.maximum(np.abs(expected), 1e-3)
                result["loose"][type.dtype] += int(np.sum(bound > math.sqrt(UNIT[type.dtype]) * scale))
            part_bounds.append(bound)
            result["entries"][type.dtype] += found.size
            if found.size:
                worst = float(np.max(ratio))
                result["worst"][name] = max(result["worst"].get(name, 0.0), worst)
                if worst > 1:
                    at = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
                    result["disagreements"].append({
                        "seed": record["seed"], "part": name, "array": i, "entry": [int(k) for k in at],
                        "dtype": type.dtype, "found": float(found[at]), "expected": float(expected[at]),
                        "times_the_bound": worst if math.isfinite(worst) else "not finite or not equal",
                    })
        bounds.append(part_bounds)
    result["dtypes"] = sorted(set(types.values()))
    return result, recorded(record, wide_reference, bounds)


def judged(type, found, expected, others, size, centre=None):
    """Errors as multiples of the bound, and the bound."""
    centre = expected if centre is None else centre
    if not type.is_float:
        stable = np.all([o == centre for o in others], axis=0)
        return np.where((found != expected) & stable, np.inf, 0.0), np.where(stable, 0.0, np.inf)
    with np.errstate(all="ignore"):
        # A disturbance that leaves the domain of a function says nothing; if all do, the bound is infinite, and counted.
        moves = np.abs(np.array(others) - centre)
        change = np.max(np.where(np.isfinite(moves), moves, -1.0), axis=0) / size
        change = np.where(change < 0, np.inf, change)
        # Below `tiny` the numbers of a dtype are no longer spaced in proportion to their size.
        tiny = {"f64": 2.0**-1022, "f32": 2.0**-126, "bf16": 2.0**-126}[type.dtype]
        bound = K[type.dtype] * (UNIT[type.dtype] * np.abs(expected) + change) + tiny
        ratio = np.where(np.isinf(bound), 0.0, np.abs(found - expected) / bound)
        return np.where(np.isfinite(found) & np.isfinite(expected) & ~np.isnan(ratio), ratio, np.inf), bound


def recorded(record, reference, bounds):
    """The program with JAX's answers and the bounds, for a test without JAX."""
    bound = lambda b: [0 if x == 0 else "inf" if math.isinf(x) else float(f"{x:.1e}") for x in b.flat]
    keep = {key: record[key] for key in ("seed", "program", "inputs", "weights", "direction")}
    for part, name in enumerate(("values", "gradient", "product")):
        keep[name] = [
            {"jax": np.asarray(x, "<f8").tobytes().hex(), "bound": bound(b)} for x, b in zip(reference[part], bounds[part])
        ]
    return keep


def guarded(line):
    try:
        return compare(line)
    except Exception as error:  # noqa: BLE001: one broken program must not hide the others
        seed = json.loads(line)["seed"]
        what = {"seed": seed, "part": "evaluation", "error": f"{type(error).__name__}: {error}"[:400]}
        return {"seed": seed, "ops": Counter(), "worst": {}, "loose": Counter(), "decided": 0, "entries": Counter(), "dtypes": [],
                "disagreements": [what]}, None


def main():
    arguments = argparse.ArgumentParser(description="Compares programs and their derivatives with JAX.")
    arguments.add_argument("programs", help="JSON lines, one program each")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments.add_argument("--record", help="write short programs with JAX's answers here")
    arguments.add_argument("--most", type=int, default=100, help="how many programs to record")
    options = arguments.parse_args()
    with open(options.programs) as file:
        lines = [line for line in file if line.strip()]
    total, dtypes, worst, disagreements = Counter(), Counter(), {}, []
    programs_with, records, loose, decided, entries = Counter(), [], Counter(), 0, Counter()
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for done, (result, record) in enumerate(pool.imap(guarded, lines, chunksize=4), 1):
            total += Counter(result["ops"])
            programs_with += Counter(list(result["ops"]))
            dtypes += Counter(result["dtypes"])
            loose += Counter(result["loose"])
            decided += result["decided"]
            entries += Counter(result["entries"])
            for name, ratio in result["worst"].items():
                if ratio >= worst.get(name, {"times_the_bound": -1})["times_the_bound"] and ratio <= 1:
                    worst[name] = {"times_the_bound": ratio, "seed": result["seed"]}
            disagreements += result["disagreements"]
            if record and not result["disagreements"]:
                records.append(record)
            if done % 50 == 0:
                print(f"{done} of {len(lines)}, {len(disagreements)} disagreements", file=sys.stderr, flush=True)
    if options.record:
        write_records(options.record, records, options.most)
    print(json.dumps({
        "programs": len(lines),
        "entries_by_dtype": dict(sorted(entries.items())),
        "entries_with_a_bound_above_sqrt_u": dict(sorted(loose.items())),
        "entries_decided_by_rounding": decided,
        "equations_by_primitive": {name: total[name] for name in PRIMITIVES},
        "programs_by_primitive": {name: programs_with[name] for name in PRIMITIVES},
        "programs_by_dtype": dict(sorted(dtypes.items())),
        "without_equal": WITHOUT,
        "bound": f"|found - JAX| <= K (u |JAX| + change under a disturbance of u), {SAMPLES} disturbances, K = {K}",
        "worst_within_the_bound": worst,
        "disagreements": disagreements,
        "versions": {"jax": jax.__version__, "numpy": np.__version__, "python": sys.version.split()[0]},
    }))


def write_records(path, records, most):
    """The shortest programs, each primitive in as many of them as can be."""
    size = {id(r): len(json.dumps(r)) for r in records}
    seen, kept = Counter(), []
    ops = {id(r): Counter() for r in records}
    for r in records:
        count(Parser(r["program"]).program(), ops[id(r)])
    rest = sorted(records, key=lambda r: size[id(r)])
    while rest and len(kept) < most:
        # The program with the rarest primitive; among equals the shortest.
        best = min(rest, key=lambda r: (min((seen[o] for o in ops[id(r)]), default=99), size[id(r)]))
        rest.remove(best)
        kept.append(best)
        seen += Counter(list(ops[id(best)]))
    with open(path, "w") as file:
        for r in sorted(kept, key=lambda r: r["seed"]):
            file.write(json.dumps(r, separators=(",", ":"), allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
