"""Computes LEVELS in crates/retrograde-sample/src/lossy.rs.

    pip install mpmath
    python3 tools/hotelling.py

For a number n of draws of p = 4 projections: the T² that is exceeded with probability 0.01 where there is no bias, which is
p (n - 1) / (n - p) times a quantile of the F distribution, and the noncentrality n b' S^-1 b at which a bias b makes T²
exceed it with probability 0.9 (noncentral F as a Poisson mixture: Johnson, Kotz and Balakrishnan, Continuous Univariate
Distributions 2, 1995, chapter 30).
"""

from mpmath import betainc, exp, findroot, log, loggamma, mp, mpf

mp.dps = 20
P, LEVEL, POWER = 4, mpf("0.01"), mpf("0.9")


def below(x, a, b):
    """P(F <= x) where the beta parameters are a and b and the degrees of freedom P and 2 b."""
    return betainc(a, b, 0, P * x / (P * x + 2 * b), regularized=True)


def power(noncentrality, b, critical):
    weight = lambda k: exp(-noncentrality / 2 + k * log(noncentrality / 2) - loggamma(k + 1))
    return sum(weight(k) * (1 - below(critical, mpf(P) / 2 + k, b)) for k in range(200))


for n in (400, 2000, 4000):
    b = mpf(n - P) / 2
    quantile = findroot(lambda x: below(x, mpf(P) / 2, b) - (1 - LEVEL), (2, 6), solver="anderson")
    needed = findroot(lambda d: power(d, b, quantile) - POWER, (15, 25), solver="anderson")
    print(n, P * (n - 1) * quantile / (n - P), needed)
