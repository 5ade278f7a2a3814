"""Derives the coefficients in crates/retrograde-array/src/map/coefficients.rs.

    pip install mpmath
    python3 tools/coefficients.py > crates/retrograde-array/src/map/coefficients.rs

Every function is interpolated at Chebyshev nodes in 60 digits, which comes within a small factor of the best polynomial
(Trefethen, Approximation Theory and Approximation Practice, 2013, chapter 16). The degree is the least one whose relative
error, measured on a dense grid before the coefficients are rounded, is below the target.

A table of pieces has one row per piece, [centre, c0, low part of c0, c1, c2, ...], a polynomial in x - centre. Piece
number i holds the x whose 1 + x has the same leading bits: 2^k pieces for each binade of 1 + x.
"""

import struct

from mpmath import mp, mpf

mp.dps = 60
TARGET = mpf(2) ** -62


def chebyshev_nodes(a, b, n):
    return [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]


def interpolate(xs, ys, centre):
    """Monomial coefficients in x - centre of the polynomial through the points, by divided differences."""
    n = len(xs)
    d = list(ys)
    for j in range(1, n):
        for i in range(n - 1, j - 1, -1):
            d[i] = (d[i] - d[i - 1]) / (xs[i] - xs[i - j])
    poly = [d[n - 1]]
    for i in range(n - 2, -1, -1):
        shift = xs[i] - centre
        up = [mpf(0)] + poly
        poly = [u - shift * p for u, p in zip(up, poly + [mpf(0)])]
        poly[0] += d[i]
    return poly


def fit(f, a, b, centre, n, target=None):
    a, b, centre = mpf(a), mpf(b), mpf(centre)
    xs = chebyshev_nodes(a, b, n)
    return interpolate(xs, [f(x) for x in xs], centre)


def error(f, poly, a, b, centre):
    worst = mpf(0)
    for i in range(41):
        x = mpf(a) + (mpf(b) - mpf(a)) * (i + mpf(1) / 3) / 41
        y = f(x)
        worst = max(worst, abs(mp.polyval(poly[::-1], x - centre) / y - 1))
    return worst


def cached(f):
    known = {}
    return lambda x: known[x] if x in known else known.setdefault(x, f(x))


def literal(x):
    text = repr(float(x))
    return text if any(c in text for c in ".en") else text + ".0"


def parts(x):
    high = float(x)
    return [high, float(mpf(x) - mpf(high))]


def printed(numbers):
    lines, line = [], "   "
    for text in (literal(x) + "," for x in numbers):
        if len(line) + len(text) > 108:
            lines.append(line)
            line = "   "
        line += " " + text
    return "\n".join(lines + [line])


def piece_bounds(i, k):
    """The x of piece i: those with 1 + x in [2^e (1 + j/2^k), 2^e (1 + (j+1)/2^k))."""
    e, j = divmod(i, 2**k)
    at = lambda j: mpf(2) ** e * (1 + mpf(j) / 2**k) - 1
    return at(j), at(j + 1)


def pieces(name, doc, f, start, stop, k):
    """Prints the table of pieces that covers [start, stop)."""
    f = cached(f)
    rows = []
    first = next(i for i in range(1000) if piece_bounds(i, k)[1] > start)
    last = next(i for i in range(1000) if piece_bounds(i, k)[1] >= stop)
    bounds = [piece_bounds(i, k) for i in range(first, last + 1)]
    for n in range(6, 40):
        fits = [(fit(f, a, b, (a + b) / 2, n), a, b) for a, b in bounds]
        # The hardest piece first, to give up early.
        worst = max(error(f, poly, a, b, (a + b) / 2) for poly, a, b in fits)
        if worst < TARGET:
            break
    print(f"\n/// {doc}. Relative error 2^{float(mp.log(worst, 2)):.0f}.")
    print("#[rustfmt::skip]")
    print(f"pub(super) static {name}: Pieces<{n + 2}, {len(bounds)}> = Pieces {{ first: {first}, bits: {k}, rows: [")
    for poly, a, b in fits:
        print("  [\n" + printed([(a + b) / 2] + parts(poly[0]) + poly[1:]) + "\n  ],")
    print("] };")


def single(name, doc, f, a, b, centre=0, target=TARGET, scale=lambda t: mpf(1)):
    """Prints one polynomial; `target` is relative to f."""
    f = cached(f)
    for n in range(4, 60):
        poly = fit(f, a, b, centre, n)
        worst = error(f, poly, a, b, mpf(centre))
        if worst < target:
            break
    print(f"\n/// {doc}. Relative error 2^{float(mp.log(worst, 2)):.0f}.")
    print("#[rustfmt::skip]")
    print(f"pub(super) const {name}: [f64; {n}] = [\n" + printed(poly) + "\n];")


def short(name, doc, f, a, b, target):
    """As `single`, in f32."""
    f = cached(f)
    for n in range(2, 20):
        poly = fit(f, a, b, 0, n)
        worst = error(f, poly, a, b, mpf(0))
        if worst < target:
            break
    numbers = ", ".join(shortest_f32(c) for c in poly)
    print(f"\n/// {doc}. Relative error 2^{float(mp.log(worst, 2)):.0f}.")
    print(f"pub(super) const {name}: [f32; {n}] = [{numbers}];")


def shortest_f32(x):
    """The shortest decimal that reads as the f32 nearest to x."""
    nearest = struct.unpack("f", struct.pack("f", float(x)))[0]
    texts = (f"{nearest:.{digits}g}" for digits in range(6, 10))
    return next(t for t in texts if struct.unpack("f", struct.pack("f", float(t)))[0] == nearest)


def constant(name, doc, value):
    high, low = parts(value)
    print(f"\n/// {doc}.\npub(super) const {name}: Double = Double {{ hi: {literal(high)}, lo: {literal(low)} }};")


def atan_tail(z):
    # In powers of z = t^2, from the series where z is small enough to cancel.
    if z < mpf(10) ** -8:
        return mp.nsum(lambda i: (-1) ** (int(i) + 1) * z ** int(i) / (2 * i + 3), [0, 8])
    t = mp.sqrt(z)
    return (mp.atan(t) - t) / t**3


def asin_tail(z):
    if z < mpf(10) ** -8:
        return mpf(1) / 6 + 3 * z / 40 + 15 * z**2 / 336 + 105 * z**3 / 3456 + 945 * z**4 / 42240
    t = mp.sqrt(z)
    return (mp.asin(t) - t) / t**3


def near(f, at, value):
    """f with its limit at one point, and with digits to spare around it."""

    def g(x):
        if x == at:
            return value
        with mp.workdps(140):
            return f(x)

    return g


def i0_log(x):
    with mp.workdps(140):
        return mp.log(mp.besseli(0, x)) / x**2


def stirling(t):
    """x (ln Gamma(x) - (x - 1/2) ln x + x - ln(2 pi)/2) for t = 1/x^2."""
    with mp.workdps(140):
        x = 1 / mp.sqrt(t)
        return x * (mp.loggamma(x) - (x - mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2)


def digamma_tail(t):
    """x^2 (ln x - 1/(2x) - digamma(x)) for t = 1/x^2."""
    with mp.workdps(140):
        x = 1 / mp.sqrt(t)
        return x**2 * (mp.log(x) - 1 / (2 * x) - mp.digamma(x))


def erfcx(x):
    with mp.workdps(60 + int(x * x)):
        return mp.exp(x * x) * mp.erfc(x)


def erf_inv_tail(s):
    """erf_inv(1 - t) / s for s = sqrt(-ln t), by Newton's method on ln erfc."""
    with mp.workdps(90):
        target = -s * s
        x = s
        for _ in range(60):
            c = mp.erfc(x)
            step = (mp.log(c) - target) * c * mp.sqrt(mp.pi) * mp.exp(x * x) / 2
            x += step
            if abs(step) < mpf(10) ** -75:
                break
        return x / s


with mp.workdps(80):
    ROOT = mp.findroot(mp.digamma, mpf("1.4616321449683623"))

print("""//! Coefficients, made by `tools/coefficients.py`, which says how; not to be edited by hand.
#![allow(clippy::approx_constant, clippy::excessive_precision, reason = "coefficients, not constants")]

use super::double::Double;
use super::pieces::Pieces;""")
constant("INVERSE_LN_2", "`1 / ln 2`", 1 / mp.log(2))
constant("LN_PI", "`ln pi`", mp.log(mp.pi))
constant("HALF_LN_2_PI", "`ln(2 pi) / 2`", mp.log(2 * mp.pi) / 2)
constant("DIGAMMA_ROOT", "The positive zero of the digamma function", ROOT)
single("ASIN_TAIL", "`(asin t - t) / t^3` in powers of `t^2`, for `t` up to 1/2", asin_tail, 0, mpf(1) / 4, target=mpf(2) ** -58)
single("ATAN_TAIL", "`(atan t - t) / t^3` in powers of `t^2`, for `t` up to `tan(pi/8)`", atan_tail, 0, mpf("0.1716"), target=mpf(2) ** -58)
single("STIRLING", "`x` times what Stirling's formula leaves of `ln Gamma(x)`, in powers of `1/x^2`, for `x` from 8", stirling, mpf(10) ** -12, mpf(1) / 64, target=mpf(2) ** -56)
single("DIGAMMA_TAIL", "`x^2 (ln x - 1/(2x) - digamma(x))` in powers of `1/x^2`, for `x` from 8", digamma_tail, mpf(10) ** -12, mpf(1) / 64, target=mpf(2) ** -56)
pieces("ERF_SMALL", "`erf(x) / x` for `x` below 1", near(lambda x: mp.erf(x) / x, 0, 2 / mp.sqrt(mp.pi)), 0, 1, 2)
pieces("ERF_LARGE", "`erf(x)` for `x` from 1 to 6", mp.erf, 1, 6, 2)
pieces("ERFCX", "`e^(x^2) erfc(x)` for `x` from 1/2 to 28", erfcx, mpf(1) / 2, 28, 2)
pieces("ERF_INV_SMALL", "`erf_inv(x) / x` for `x` below 3/4", near(lambda x: mp.erfinv(x) / x, 0, mp.sqrt(mp.pi) / 2), 0, mpf(3) / 4, 3)
pieces("ERF_INV_TAIL", "`erf_inv(1 - t) / s` with `s = sqrt(-ln t)`, for `s` from 1 to 6.2", erf_inv_tail, 1, mpf("6.2"), 2)
pieces("LN_GAMMA", "`ln Gamma(x) / ((x - 1)(x - 2))` for `x` from 1/2 to 8", lambda x: mp.loggamma(x) / ((x - 1) * (x - 2)), mpf(1) / 2, 8, 3)
pieces("DIGAMMA", "`digamma(x) / (x - root)` for `x` from 1 to 8", lambda x: mp.digamma(x) / (x - ROOT), 1, 8, 3)
pieces("I0", "`e^-x I0(x)` for `x` up to 16", lambda x: mp.exp(-x) * mp.besseli(0, x), 0, 16, 2)
pieces("I1", "`e^-x I1(x) / x` for `x` up to 16", near(lambda x: mp.exp(-x) * mp.besseli(1, x) / x, 0, mpf(1) / 2), 0, 16, 2)
pieces("LN_I0", "`ln I0(x) / x^2` for `x` up to 16", near(i0_log, 0, mpf(1) / 4), 0, 16, 2)
scaled = lambda order: near(lambda t: mp.exp(-1 / t) * mp.besseli(order, 1 / t) / mp.sqrt(t), 0, 1 / mp.sqrt(2 * mp.pi))
pieces("I0_TAIL", "`sqrt(x) e^-x I0(x)` as a function of `t = 1/x`, for `x` from 16", scaled(0), 0, mpf(1) / 16, 4)
pieces("I1_TAIL", "`sqrt(x) e^-x I1(x)` as a function of `t = 1/x`, for `x` from 16", scaled(1), 0, mpf(1) / 16, 4)
short("EXP_SHORT", "`(e^r - 1 - r) / r^2` for `r` up to `ln 2 / 2`, and a little more", near(lambda r: (mp.expm1(r) - r) / r**2, 0, mpf(1) / 2), mpf("-0.35"), mpf("0.35"), mpf(2) ** -22)
short("SIN_SHORT", "`(sin t - t) / t^3` in powers of `t^2`, for `t` up to `pi/4`, and a little more", near(lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, 0, mpf(-1) / 6), 0, mpf("0.6232"), mpf(2) ** -26)
short("COS_SHORT", "`(cos t - 1 + t^2/2) / t^4` in powers of `t^2`, likewise", near(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, 0, mpf(1) / 24), 0, mpf("0.6232"), mpf(2) ** -24)
