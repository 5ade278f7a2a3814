"""Prints crates/retrograde-tricks/tests/primal/true_values.rs: values and slopes of activations, softmax, and the numbers of SELU.

    pip install mpmath
    python3 tools/activations.py > crates/retrograde-tricks/tests/primal/true_values.rs

Made with mpmath 1.3.0. Each number is a pair of floats whose sum has about 32 digits. The unit of a slope that is the sum of two terms
is the larger of the two and the slope.
"""

import mpmath
from mpmath import e, erfc, exp, log, mp, mpf, ncdf, npdf, pi, sqrt, tanh

mp.dps = 60

ARGUMENTS = [-100, -50, -38.5, -37.1, -30.7, -20.3, -10.5, -8.1, -6.3, -5.2, -4.1, -3.7, -3.3, -2.9, -2.5, -2.1, -1.8, -1.5]
ARGUMENTS += [-1.4, -1.28, -1.2, -1.1, -1, -0.9, -0.8, -0.75, -0.7, -0.6, -0.5, -0.4, -0.3, -0.2, -0.1, -1e-3, -1e-10, 0]
ARGUMENTS += [-x for x in reversed(ARGUMENTS[:-1])]
LOGITS = [[0.5, -1.25, 2.0, 0.0], [10000.0, -10000.0, 9999.5, 9990.0], [-7.5, 30.0, 0.125, 29.0], [3.0, 3.0, 3.0, 3.0]]


def sigmoid(x):
    return 1 / (1 + exp(-x))


def mish_terms(x):
    t = tanh(log(1 + exp(x)))
    return t, x * (1 - t**2) * sigmoid(x)


FUNCTIONS = {
    "SOFTPLUS": (lambda x: log(1 + exp(x)), lambda x: (sigmoid(x), mpf(0))),
    "GELU": (lambda x: x * ncdf(x), lambda x: (ncdf(x), x * npdf(x))),
    "SILU": (lambda x: x * sigmoid(x), lambda x: (sigmoid(x), x * sigmoid(x) * sigmoid(-x))),
    "MISH": (lambda x: x * tanh(log(1 + exp(x))), mish_terms),
}


def literal(x):
    text = repr(float(x))
    return text if "e" in text or "." in text else text + ".0"


def pair(x):
    high = float(x)
    return f"({literal(high)}, {literal(x - mpf(high))})"


print("//! Made by `tools/activations.py`: see there.\n")
print("/// A true value as the sum of two floats.\npub(crate) type True = (f64, f64);\n")
print("/// Argument, value, slope, unit of the slope.\npub(crate) type Row = (f64, True, True, f64);\n")
for name, (value, terms) in FUNCTIONS.items():
    print(f"pub(crate) const {name}: [Row; {len(ARGUMENTS)}] = [")
    for x in map(float, ARGUMENTS):
        a, b = terms(mpf(x))
        unit = max(abs(a), abs(b), abs(a + b))
        print(f"    ({literal(x)}, {pair(value(mpf(x)))}, {pair(a + b)}, {literal(unit)}),")
    print("];\n")
print("/// Rows of logits and their softmax.")
print(f"pub(crate) const SOFTMAX: [([f64; 4], [True; 4]); {len(LOGITS)}] = [")
for row in LOGITS:
    total = sum(exp(mpf(x)) for x in row)
    print(f"    ({row}, [{', '.join(pair(exp(mpf(x)) / total) for x in row)}]),")
print("];\n")
tail = erfc(1 / sqrt(2))
alpha = -sqrt(2 / pi) / (tail * sqrt(e) - 1)
inside = 2 * erfc(sqrt(2)) * e**2 + pi * tail**2 * e - 2 * (2 + pi) * tail * sqrt(e) + pi + 2
scale = (1 - tail * sqrt(e)) * sqrt(2 * pi) / sqrt(inside)
print(f"/// a and s, for which mean 0 and variance 1 are a fixed point.\npub(crate) const SELU: (f64, f64) = ({literal(alpha)}, {literal(scale)});")
