"""Derives the weights in crates/retrograde-solve/src/ode/yoshida4.rs and yoshida6.rs: compositions of leapfrog.

    pip install mpmath
    python3 tools/yoshida.py

A composition is a product of exponentials of drifts A and kicks B; it has order p when its series in words of A and B
agrees with exp(A + B) up to words of length p. Newton's method in 40 digits from the published 15.
"""
import itertools

from mpmath import cbrt, factorial, findroot, mp, mpf, nstr

mp.dps = 40


def exponential(letter, weight, length):
    return {letter * n: weight**n / factorial(n) for n in range(length + 1)}


def product(x, y, length):
    out = {}
    for (u, a), (v, b) in itertools.product(x.items(), y.items()):
        if len(u) + len(v) <= length:
            out[u + v] = out.get(u + v, 0) + a * b
    return out


def series(weights, length):
    total = {"": mpf(1)}
    for w in weights:
        for letter, part in (("A", w / 2), ("B", w), ("A", w / 2)):
            total = product(total, exponential(letter, part, length), length)
    return total


def defect(weights, length):
    """Word by word, series minus exp(A + B)."""
    return {w: c - 1 / factorial(len(w)) for w, c in series(weights, length).items() if len(w) == length}


def worst(weights, length):
    return nstr(max(abs(d) for d in defect(weights, length).values()), 3)


def seven(w1, w2, w3):
    w0 = 1 - 2 * (w1 + w2 + w3)
    return [w3, w2, w1, w0, w1, w2, w3]


fourth = 1 / (2 - cbrt(2))
weights = [fourth, -cbrt(2) * fourth, fourth]
print("order 4:", [nstr(w, 20) for w in weights], [worst(weights, n) for n in range(1, 6)])

published = ("-1.17767998417887", "0.235573213359357", "0.784513610477560")  # solution A
words = ("AAB", "AAAAB", "ABABB")
conditions = lambda *w: [defect(seven(*w), len(word))[word] for word in words]
weights = seven(*findroot(conditions, [mpf(w) for w in published]))
print("order 6:", [nstr(w, 20) for w in weights[:4]], [worst(weights, n) for n in range(1, 8)])
