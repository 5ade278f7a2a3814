"""Fifty steps of optax and torch.optim, which the update rules of crates/retrograde-tricks/src/update are held to.

    pip install jax optax torch
    python3 tools/optimisers.py > crates/retrograde-tricks/tests/update/optimisers.txt

The problem: least squares of a 4x3 weight and a bias of 3 to eight rows, in f64. After the header, a line is library, case, and the 15
parameters (weight by rows, then bias) after steps 1, 2, 3, 5, 10, 20 and 50. Lines `schedule` have the rates of steps 0 to 49.
"""

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import torch

# NAdam keeps a product of betas in the default dtype.
torch.set_default_dtype(torch.float64)

STEPS = (1, 2, 3, 5, 10, 20, 50)
X = np.array([[((7 * i + 3 * j) % 11 - 5) / 8 for j in range(4)] for i in range(8)])
Y = np.array([[((5 * i + 2 * k) % 7 - 3) / 4 for k in range(3)] for i in range(8)])
W = np.array([[((j + 2 * k) % 5 - 2) / 4 for k in range(3)] for j in range(4)])
B = np.array([0.125 * (k + 1) for k in range(3)])


def loss(p, x, y):
    miss = x @ p["w"] + p["b"] - y
    return (miss * miss).sum() / 16


def line(library, case, rows):
    print(library, case, " ".join(repr(float(x)) for row in rows for x in row))


def of_optax(case, tx, both=True):
    p = {"w": jnp.array(W), "b": jnp.array(B)} if both else {"w": jnp.array(W)}
    at = (lambda p: loss(p, X, Y)) if both else (lambda p: loss({**p, "b": B}, X, Y))
    state, rows = tx.init(p), []
    for step in range(1, 51):
        updates, state = tx.update(jax.grad(at)(p), state, p)
        p = optax.apply_updates(p, updates)
        if step in STEPS:
            rows.append([*np.ravel(p["w"]), *(np.ravel(p["b"]) if both else B)])
    line("optax", case, rows)


def of_torch(case, make, average=None):
    p = {"w": torch.tensor(W, requires_grad=True), "b": torch.tensor(B, requires_grad=True)}
    optimiser, rows, mean = make([p["w"], p["b"]]), [], [p["w"].detach().clone(), p["b"].detach().clone()]
    for step in range(1, 51):
        optimiser.zero_grad()
        loss(p, torch.tensor(X), torch.tensor(Y)).backward()
        optimiser.step()
        now = [p["w"].detach(), p["b"].detach()]
        if average is not None:
            average(mean, now)
            now = mean
        if step in STEPS:
            rows.append([*now[0].ravel().tolist(), *now[1].ravel().tolist()])
    line("torch", case, rows)


print(f"# optax {optax.__version__}, jax {jax.__version__}, torch {torch.__version__}, numpy {np.__version__}")

o, t = of_optax, of_torch
o("sgd", optax.sgd(0.1))
t("sgd", lambda p: torch.optim.SGD(p, 0.1))
o("momentum", optax.sgd(0.1, momentum=0.9))
t("momentum", lambda p: torch.optim.SGD(p, 0.1, momentum=0.9))
o("nesterov", optax.sgd(0.1, momentum=0.9, nesterov=True))
t("nesterov", lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True))
o("decay", optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.1, momentum=0.9)))
t("decay", lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1))
o("clip", optax.chain(optax.clip(0.02), optax.sgd(0.5, momentum=0.9)))
o("clip_norm", optax.chain(optax.clip_by_global_norm(0.05), optax.sgd(0.5, momentum=0.9)))
o("adam", optax.adam(0.05))
t("adam", lambda p: torch.optim.Adam(p, 0.05))
o("adamw", optax.adamw(0.05, weight_decay=0.1))
t("adamw", lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.1))
# torch.optim takes the maximum before the correction of bias, optax after.
t("amsgrad", lambda p: torch.optim.Adam(p, 0.05, amsgrad=True))
o("nadam", optax.nadam(0.05))
# A momentum_decay so large that torch's growing beta is beta at once; it begins at twice beta, halved.
t("nadam", lambda p: torch.optim.NAdam(p, 0.05, momentum_decay=1e12))
o("yogi", optax.yogi(0.05))
# Where optax has epsilon inside the root by default, it is told not to; adagrad cannot be, so it has none in its case.
o("adagrad_0", optax.adagrad(0.1, initial_accumulator_value=0.1, eps=0.0))
t("adagrad", lambda p: torch.optim.Adagrad(p, 0.1, initial_accumulator_value=0.1))
o("rmsprop", optax.rmsprop(0.01, decay=0.9, eps=1e-8, eps_in_sqrt=False))
t("rmsprop", lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9))
# With an epsilon of 1e-8 the two differ by 2e-11 from each other: v - m^2 cancels.
o("rmsprop_centred", optax.rmsprop(0.01, decay=0.9, eps=1e-2, eps_in_sqrt=False, centered=True))
t("rmsprop_centred", lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, eps=1e-2, centered=True))
o("rmsprop_momentum", optax.rmsprop(0.01, decay=0.9, eps=1e-8, eps_in_sqrt=False, momentum=0.9))
t("rmsprop_momentum", lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, momentum=0.9))
o("adadelta", optax.adadelta(1.0, rho=0.9, eps=1e-6))
t("adadelta", lambda p: torch.optim.Adadelta(p, 1.0, rho=0.9, eps=1e-6))
# optax.adafactor is this chain, with t^-0.8 in f32.
o(
    "adafactor",
    optax.chain(
        optax.scale_by_factored_rms(
            min_dim_size_to_factor=2,
            decay_rate_fn=lambda i, rate: 1.0 - (jnp.asarray(i, jnp.float64) + 1.0) ** -rate,
        ),
        optax.clip_by_block_rms(1.0),
        optax.scale_by_learning_rate(0.01),
        optax.scale_by_param_block_rms(),
    ),
)
t("adafactor", lambda p: torch.optim.Adafactor(p, 0.01, weight_decay=0.0))
o("lion", optax.lion(0.01, weight_decay=0.1))
o("lars", optax.lars(0.5, weight_decay=0.01))
o("lamb", optax.lamb(0.05, weight_decay=0.1))
o("muon", optax.contrib.muon(0.02), both=False)
o("schedule", optax.sgd(optax.cosine_decay_schedule(0.2, 40, alpha=0.05)))
# Its running mean is in f32 by default.
o("multi_steps", optax.MultiSteps(optax.adam(0.05), 5, accumulator_dtype=jnp.float64))
t("ema", lambda p: torch.optim.SGD(p, 0.1), lambda mean, now: torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)(mean, now, 0))


def of_lookahead():
    tx = optax.lookahead(optax.sgd(0.1), sync_period=5, slow_step_size=0.5)
    p = optax.LookaheadParams.init_synced({"w": jnp.array(W), "b": jnp.array(B)})
    state, rows = tx.init(p), []
    for step in range(1, 51):
        updates, state = tx.update(jax.grad(lambda p: loss(p, X, Y))(p.fast), state, p)
        p = optax.apply_updates(p, updates)
        if step in STEPS:
            rows.append([*np.ravel(p.fast["w"]), *np.ravel(p.fast["b"])])
    line("optax", "lookahead", rows)


def of_sam():
    rho, p, rows = 0.05, {"w": jnp.array(W), "b": jnp.array(B)}, []
    tx = optax.contrib.sam(optax.sgd(0.1), optax.chain(optax.contrib.normalize(), optax.sgd(rho)), opaque_mode=True)
    slope = jax.grad(lambda p: loss(p, X, Y))
    state = tx.init(p)
    for step in range(1, 51):
        updates, state = tx.update(slope(p), state, p, grad_fn=lambda p, _: slope(p))
        p = optax.apply_updates(p, updates)
        if step in STEPS:
            rows.append([*np.ravel(p["w"]), *np.ravel(p["b"])])
    line("optax", "sam", rows)


of_lookahead()
of_sam()

t_ = np.arange(50)
rates = {
    "cosine": optax.cosine_decay_schedule(0.2, 40, alpha=0.05),
    "linear": optax.linear_schedule(0.1, 0.02, 30),
    "step": optax.exponential_decay(0.2, 10, 0.5, staircase=True),
    "warmup_cosine": optax.warmup_cosine_decay_schedule(0.0, 0.2, 8, 40, end_value=0.01),
    "one_cycle": optax.cosine_onecycle_schedule(40, 0.2, pct_start=0.25),
}
for name, rate in rates.items():
    print("schedule", name, " ".join(repr(float(rate(int(i)))) for i in t_))
