#!/usr/bin/env python3
"""Compares programs, their gradients and Hessian-vector products with JAX.

    tools/jax_compare.py PROGRAMS.jsonl [--jobs N] [--record OUT.jsonl --most N]

Each line of PROGRAMS is a program in its text form with its inputs and what retrograde computed, as
`cargo run --release --package retrograde-sample --example answers` writes them. The last line of the output is a JSON
object: counts for each primitive, the worst errors, and every disagreement.

What is compared. JAX evaluates the program operation by operation on the CPU, all floats in f64, and differentiates it
by `jax.grad` and `jax.jvp` of that. L is the sum of the results with the given weights.

The bound. `u` is half an ulp of 1 in the dtype of a number (2^-53, 2^-24, 2^-9). An entry must agree within

    K (u |reference| + change)

where `change` is how far the reference moves when each operation that rounds is disturbed as rounding disturbs it: each
entry of each operand and result by a random factor of size 1 +- u (larger by 2^10 in the experiment, so that it stands
out of the rounding of f64, by 2^2 where there is bf16; the worst of SAMPLES experiments; Parker 1997, Monte Carlo
arithmetic). So an ill-conditioned entry is allowed what its conditioning costs, and no other. Integers and truth values
must be equal, unless the disturbance changes them too.
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
    import jax.numpy as jnp
    import numpy as np
    from jax import lax
except ImportError as error:
    sys.exit(f"{error}: this comparison needs JAX; try `python3 -m pip install jax` for {sys.executable}")

jax.config.update("jax_enable_x64", True)

# Chosen before the first run over all programs.
K = 32
SAMPLES = 4

# ---------------------------------------------------------------------------------------------- the text form

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
    def reference(self):
        """The dtype that JAX computes in."""
        return jnp.dtype("float64" if self.is_float else DTYPES[self.dtype])


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
        # Floats of any dtype are exact in f64.
        return np.array([read(w) for w in words], dtype=type.reference).reshape(type.shape)

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


# ---------------------------------------------------------------------------------------------- the primitives


def window(p, shape):
    """Where `slice` reads and `unslice` writes."""
    return tuple(slice(a, b, s) for a, b, s in zip(p["starts"], shape, p["strides"]))


def unslice(p, x):
    ends = [a + max(n - 1, 0) * s + (n > 0) for a, n, s in zip(p["starts"], x.shape, p["strides"])]
    return jnp.zeros(p["shape"], x.dtype).at[window(p, ends)].set(x)


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


def convert(p, x):
    to, kind = Type(p["dtype"], ()), jnp.issubdtype(x.dtype, jnp.floating)
    if kind and not to.is_float and p["dtype"] != "bool":
        x = jnp.trunc(lax.stop_gradient(x))
    return x != 0 if p["dtype"] == "bool" else lax.convert_element_type(x, to.reference)


def dot_general(p, x, y):
    contract = (tuple(p["lhs_contract"]), tuple(p["rhs_contract"]))
    return lax.dot_general(x, y, (contract, (tuple(p["lhs_batch"]), tuple(p["rhs_batch"]))))


def shift(p, x, by):
    return {"left": lax.shift_left, "right": lax.shift_right_arithmetic,
            "right_logical": lax.shift_right_logical}[p["op"]](x, by)


def call(run, p, *operands):
    return run(p["body"], operands)


def cond(run, p, predicate, *operands):
    return run(p["if_true"] if bool(predicate) else p["if_false"], operands)


def scan(run, p, *operands):
    n_consts, n_carry, length = p["consts"], p["carries"], p["length"]
    consts, carry, xs = operands[:n_consts], operands[n_consts:n_consts + n_carry], operands[n_consts + n_carry:]
    body, ys = p["body"], [None] * length
    for i in reversed(range(length)) if p["reverse"] else range(length):
        out = run(body, [*consts, *carry, *(x[i] for x in xs)])
        carry, ys[i] = out[:n_carry], out[n_carry:]
    types = [body.types[v] for v in body.outputs[n_carry:]]
    stack = lambda k, t: jnp.stack([y[k] for y in ys]) if length else jnp.zeros((0, *t.shape), t.reference)
    return [*carry, *(stack(k, t) for k, t in enumerate(types))]


def while_loop(run, p, *operands):
    n_cond, n_body = p["cond_consts"], p["body_consts"]
    of_cond, of_body, carry = operands[:n_cond], operands[n_cond:n_cond + n_body], operands[n_cond + n_body:]
    while bool(run(p["cond"], [*of_cond, *carry])[0]):
        carry = run(p["body"], [*of_body, *carry])
        if len(carry) > len(operands) - n_cond - n_body:
            raise ValueError("lists of a `while` have no equal here")
    return carry


class Rounded:
    """One result from operands, each entry rounded: operands and result are disturbed."""

    def __init__(self, apply):
        self.apply = apply


class Exact(Rounded):
    """Entries of the result are entries of the operands, their negatives, or integers: nothing is rounded."""


class Bodies(Rounded):
    """Runs sub-programs: (run, parameters, operands) -> results."""


class Several(Rounded):
    """Several results, rounded."""


def rounded(f):
    return Rounded(lambda p, *xs: f(*xs))


def exact(f):
    return Exact(lambda p, *xs: f(*xs))


def on(dtype_is, then, otherwise):
    return lambda *xs: (then if dtype_is(xs[0].dtype) else otherwise)(*xs)


def is_float(dtype):
    return jnp.issubdtype(dtype, jnp.floating)


# One line for each primitive; `p` are its parameters. `every_primitive_has_its_equal_or_a_reason` reads this table.
PRIMITIVES = {
    "add": rounded(lax.add),
    "sub": rounded(lax.sub),
    "mul": rounded(lax.mul),
    "div": rounded(lax.div),
    "neg": exact(lax.neg),
    "fma": rounded(lambda x, y, z: x * y + z),
    "sqrt": rounded(lax.sqrt),
    "exp": rounded(lax.exp),
    "log": rounded(lax.log),
    "tanh": rounded(lax.tanh),
    "sin": rounded(lax.sin),
    "cos": rounded(lax.cos),
    "max": exact(lax.max),
    "min": exact(lax.min),
    "rem": exact(lax.rem),
    "abs": exact(on(lambda t: t == jnp.uint8, lambda x: x, lax.abs)),
    "sign": exact(lax.sign),
    "floor": exact(lax.floor),
    "ceil": exact(lax.ceil),
    "round": exact(lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)),
    "clamp": exact(lambda x, low, high: lax.min(lax.max(x, low), high)),
    "logic": Exact(lambda p, x, y: {"and": lax.bitwise_and, "or": lax.bitwise_or, "xor": lax.bitwise_xor}[p["op"]](x, y)),
    "not": exact(lax.bitwise_not),
    "shift": Exact(shift),
    "is_finite": exact(lax.is_finite),
    "select": exact(lambda mask, x, y: lax.select(mask, x, y)),
    "compare": Exact(lambda p, x, y: getattr(lax, p["comparison"])(x, y)),
    "convert": Rounded(convert),
    "stop_gradient": exact(lax.stop_gradient),
    "full": Exact(lambda p: jnp.full(p["type"].shape, p["value"], p["type"].reference)),
    "constant": Exact(lambda p: jnp.asarray(p["value"])),
    "broadcast": Exact(lambda p, x: lax.broadcast_in_dim(x, p["shape"], p["axes"])),
    "reshape": Exact(lambda p, x: lax.reshape(x, p["shape"])),
    "transpose": Exact(lambda p, x: lax.transpose(x, p["perm"])),
    "slice": Exact(lambda p, x: lax.slice(x, p["starts"], p["limits"], p["strides"])),
    "unslice": Exact(unslice),
    "concat": Exact(lambda p, *xs: lax.concatenate(xs, p["axis"])),
    "gather": Exact(gather),
    "scatter_add": Rounded(scatter_add),
    "sum": Rounded(lambda p, x: lax.reduce_sum(x, tuple(p["axes"]))),
    "argmax": Exact(lambda p, x: lax.argmax(x, p["axis"], jnp.int64)),
    "dot_general": Rounded(dot_general),
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
    "retain": "only lowering writes it, after every derivative",
    "restore": "only lowering writes it, after every derivative",
    "record": "only lowering writes it, after every derivative",
    "replay": "only lowering writes it, after every derivative",
}


# ---------------------------------------------------------------------------------------------- evaluation


class Disturbance:
    """Random factors 1 + size u r, r uniform in (-1, 1), one for each entry: fixed by a seed and their order."""

    def __init__(self, size, seed):
        self.size, self.random = size, np.random.default_rng(seed)

    def __call__(self, x, type):
        if not self.size or not type.is_float:
            return x
        factors = 1 + self.size * UNIT[type.dtype] * self.random.uniform(-1, 1, type.shape)
        return lax.mul(x, jnp.asarray(factors))


def evaluate(program, inputs, disturb):
    env = dict(zip(program.inputs, inputs))
    for e in program.equations:
        if e.op not in PRIMITIVES:
            reason = WITHOUT.get(e.op, f"add a line for `{e.op}` to PRIMITIVES in {sys.argv[0]}")
            raise KeyError(f"{e.op}: found no equal in JAX ({reason})")
        primitive, operands = PRIMITIVES[e.op], [env[v] for v in e.inputs]
        if isinstance(primitive, Bodies):
            results = primitive.apply(lambda body, xs: evaluate(body, xs, disturb), e.params, *operands)
        elif isinstance(primitive, Exact):
            results = [primitive.apply(e.params, *operands)]
        else:
            operands = [disturb(x, program.types[v]) for x, v in zip(operands, e.inputs)]
            results = primitive.apply(e.params, *operands)
            results = list(results) if isinstance(primitive, Several) else [results]
            results = [disturb(y, program.types[v]) for y, v in zip(results, e.outputs)]
        for v, y in zip(e.outputs, results):
            if y.shape != program.types[v].shape:
                raise ValueError(f"{e.op}: JAX gives shape {y.shape}, expected {program.types[v].shape}")
            env[v] = y
    return [env[v] for v in program.outputs]


def answers(program, inputs, weights, direction, size=0, seed=0):
    """Values, gradient of the weighted sum and its Hessian-vector product, as numpy arrays."""
    floats = [i for i, v in enumerate(program.inputs) if program.types[v].is_float]
    float_out = [i for i, v in enumerate(program.outputs) if program.types[v].is_float]

    def values(xs):
        full = list(inputs)
        for i, x in zip(floats, xs):
            full[i] = x
        return evaluate(program, full, Disturbance(size, seed))

    def total(xs):
        ys = values(xs)
        # Entry by entry, then summed: the sum itself is no part of the program.
        return sum(jnp.sum(ys[i] * w) for i, w in zip(float_out, weights))

    xs = [inputs[i] for i in floats]
    gradient, product = jax.jvp(jax.grad(total), (xs,), (direction,))
    return [[np.asarray(x) for x in part] for part in (values(xs), gradient, product)]


# ---------------------------------------------------------------------------------------------- comparison


def decoded(record):
    """An array from its type and the bytes of its entries (little endian)."""
    type = Parser(record["type"]).type()
    raw = bytes.fromhex(record["hex"])
    if type.dtype == "bf16":
        wide = np.frombuffer(raw, "<u2").astype(np.uint32) << 16
        return type, wide.view(np.float32).astype(np.float64).reshape(type.shape)
    x = np.frombuffer(raw, np.dtype(DTYPES[type.dtype]).newbyteorder("<"))
    return type, x.astype(type.reference).reshape(type.shape)


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
    inputs, weights, direction = (
        [jnp.asarray(decoded(x)[1]) for x in record[key]] for key in ("inputs", "weights", "direction")
    )
    reference = answers(program, inputs, weights, direction)
    size = 2.0**2 if "bf16" in record["program"] else 2.0**10
    moved = [answers(program, inputs, weights, direction, size, seed) for seed in range(1, SAMPLES + 1)]
    result = {"seed": record["seed"], "ops": ops, "worst": {}, "loose": 0, "entries": 0, "disagreements": []}
    bounds = []
    for part, name in enumerate(("values", "gradient", "product")):
        part_bounds = []
        if len(record[name]) != len(reference[part]):
            raise ValueError(f"{name}: found {len(record[name])} arrays, expected {len(reference[part])}")
        for i, (found, expected) in enumerate(zip(record[name], reference[part])):
            type, found = decoded(found)
            if found.shape != expected.shape:
                raise ValueError(f"{name} {i}: found shape {found.shape}, expected {expected.shape}")
            others = [m[part][i] for m in moved]
            if not type.is_float:
                stable = np.all([o == expected for o in others], axis=0)
                wrong = (found != expected) & stable
                part_bounds.append(np.where(stable, 0.0, np.inf))
                ratio = np.where(wrong, np.inf, 0.0)
            else:
                change = np.max([np.abs(o - expected) for o in others], axis=0) / size
                unit = UNIT[type.dtype]
                bound = K * (unit * np.abs(expected) + change)
                error = np.abs(found - expected)
                # Below this numbers of the dtype are no longer spaced in proportion to their size.
                tiny = {"f64": 2.0**-1022, "f32": 2.0**-126, "bf16": 2.0**-126}[type.dtype]
                bound += tiny
                ratio = np.where(error <= tiny, 0.0, error / bound)
                ratio = np.where(np.isfinite(found) & np.isfinite(expected), ratio, np.inf)
                # A bound above the square root of u says little: near a kink, or badly conditioned.
                scale = np.maximum(np.abs(expected), 1e-3)
                result["loose"] += int(np.sum(bound > math.sqrt(unit) * K * scale))
                part_bounds.append(bound)
            result["entries"] += found.size
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
    return result, recorded(record, reference, bounds)


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
        return {"seed": seed, "ops": Counter(), "worst": {}, "loose": 0, "entries": 0, "dtypes": [],
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
    programs_with, records, loose, entries = Counter(), [], 0, 0
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for done, (result, record) in enumerate(pool.imap(guarded, lines, chunksize=4), 1):
            total += Counter(result["ops"])
            programs_with += Counter(list(result["ops"]))
            dtypes += Counter(result["dtypes"])
            loose += result["loose"]
            entries += result["entries"]
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
        "entries": entries,
        "entries_with_a_loose_bound": loose,
        "equations_by_primitive": {name: total[name] for name in PRIMITIVES},
        "programs_by_primitive": {name: programs_with[name] for name in PRIMITIVES},
        "programs_by_dtype": dict(sorted(dtypes.items())),
        "without_equal": WITHOUT,
        "bound": f"|found - JAX| <= {K} (u |JAX| + change under a disturbance of u), {SAMPLES} disturbances",
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
            file.write(json.dumps(r, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
