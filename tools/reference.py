"""True values of the functions of crates/retrograde-array/src/map, which is what they are measured against.

    pip install mpmath gmpy2
    python3 tools/reference.py < rows

`cargo xtask evidence ulp` and `cargo xtask reference` run it. A row is a function and its arguments, as the bits of f64 in
hexadecimal; the same row comes back with the f64 nearest to the true value and, in units in the last place of that, how far the
true value lies above it. mpmath computes with 200 bits, and with more until two precisions agree where digits cancel.
"""

import math
import multiprocessing
import struct
import sys

from mpmath import mp, mpf

mp.prec = 200


def log_i0(x):
    x = abs(x)
    # The series, where the logarithm would cancel.
    return x**2 / 4 - x**4 / 64 if x < mpf(2) ** -60 else mp.log(mp.besseli(0, x))


def scaled_bessel(order, x):
    if abs(x) < 10**6:
        return mp.exp(-abs(x)) * mp.besseli(order, x)
    # Abramowitz and Stegun 1964, 9.7.1
    mu, term, total = 4 * order**2, mpf(1), mpf(0)
    for k in range(1, 30):
        total += term
        term *= -(mu - (2 * k - 1) ** 2) / (8 * k * abs(x))
    return total / mp.sqrt(2 * mp.pi * abs(x)) * (mp.sign(x) if order else 1)


def erf_inv(x):
    if abs(x) < mpf(10) ** -20:
        return x * mp.sqrt(mp.pi) / 2
    y = mpf(mp.erfinv(x)) if abs(x) < 0.9 else mp.sign(x) * mp.sqrt(-mp.log(1 - abs(x)))
    for _ in range(40):
        c = mp.erfc(abs(y))
        step = mp.sign(x) * mp.log(c / (1 - abs(x))) * c * mp.sqrt(mp.pi) * mp.exp(y * y) / 2
        y += step
        if abs(step) < abs(y) * mpf(2) ** -150:
            break
    return y


def pow_(x, y):
    return mp.power(x, int(y)) if x < 0 else mp.exp(y * mp.log(x))


def lgamma(x):
    if x > 10**30:
        return (x - mpf(1) / 2) * mp.log(x) - x
    return mp.log(abs(mp.gamma(x))) if abs(x) < 50 else mp.re(mp.loggamma(x))


def digamma(x):
    if x > 10**30:
        return mp.log(x) - 1 / (2 * x)
    return -1 / x if abs(x) < mpf(10) ** -40 else mp.digamma(x)


def atanh(x):
    return (mp.log1p(x) - mp.log1p(-x)) / 2


FUNCTIONS = {
    "sqrt": mp.sqrt,
    "rsqrt": lambda x: 1 / mp.sqrt(x),
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "exp": mp.exp,
    "exp2": lambda x: mp.power(2, x),
    "expm1": mp.expm1,
    "log": mp.log,
    "log2": lambda x: mp.log(x) / mp.log(2),
    "log1p": mp.log1p,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "asinh": mp.asinh,
    "acosh": mp.acosh,
    "atanh": atanh,
    "logistic": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "erf": mp.erf,
    "erfc": mp.erfc,
    "erf_inv": erf_inv,
    "lgamma": lgamma,
    "digamma": digamma,
    "bessel_i0e": lambda x: scaled_bessel(0, x),
    "bessel_i1e": lambda x: scaled_bessel(1, x),
    "log_bessel_i0": log_i0,
    "pow": pow_,
    "atan2": mp.atan2,
}


def true_value(f, args):
    """Precision doubles until two values agree to 2^-80."""
    precision, last = 200, None
    while True:
        with mp.workprec(precision):
            value = f(*map(mpf, args))
        if last is not None and (value == last or abs(value - last) <= abs(value) * mpf(2) ** -80):
            return value
        last, precision = value, precision * 2 if last is not None else precision + 120


def answer(row):
    name, *words = row.split()
    args = [struct.unpack(">d", bytes.fromhex(word))[0] for word in words]
    try:
        value = true_value(FUNCTIONS[name], args)
        nearest = float(value) if abs(value) < mpf(2) ** 1025 else math.copysign(math.inf, value)
        infinite = math.isinf(nearest)
        rest = 0.0 if infinite else float((value - mpf(nearest)) / mpf(math.ulp(nearest)))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        sys.exit(f"{row.strip()}: {error}")
    return f"{' '.join([name, *words])} {struct.pack('>d', nearest).hex()} {rest:.4f}"


if __name__ == "__main__":
    with multiprocessing.Pool() as pool:
        for line in pool.imap(answer, sys.stdin, chunksize=64):
            print(line)
