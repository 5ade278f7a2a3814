"""Reference values for the distributions and estimators of `retrograde-tricks`.

Run:   python tools/estimate.py > crates/retrograde-tricks/tests/estimate/reference.rs
Needs: jax, mpmath, scipy; their versions are written to the first line.
"""

import jax
import mpmath
import scipy
import scipy.stats as stats
import scipy.stats.qmc

jax.config.update("jax_enable_x64", True)
mpmath.mp.dps = 30


def rows(name, doc, width, values):
    print(f"\n/// {doc}")
    print("#[rustfmt::skip]")
    print(f"pub(crate) const {name}: &[[f64; {width}]] = &[")
    for row in values:
        print("    [" + ", ".join(repr(float(x)) for x in row) + "],")
    print("];")


def gamma_slope(alpha, z):
    """-dF/dalpha / p of the gamma distribution."""
    def cdf(a):
        return mpmath.gammainc(a, 0, z, regularized=True)

    return -mpmath.diff(cdf, alpha) / (mpmath.mpf(z) ** (alpha - 1) * mpmath.exp(-z) / mpmath.gamma(alpha))


def von_mises_slope(kappa, z):
    """-dF/dkappa / p of the von Mises distribution with mean 0, by quadrature."""
    ratio = mpmath.besseli(1, kappa) / mpmath.besseli(0, kappa)
    inside = lambda t: (mpmath.cos(t) - ratio) * mpmath.exp(kappa * (mpmath.cos(t) - mpmath.cos(z)))
    return -mpmath.quad(inside, [-mpmath.pi, -1, -0.1, 0, z])


def main():
    print(f"//! Made by tools/estimate.py with JAX {jax.__version__}, mpmath {mpmath.__version__}, SciPy {scipy.__version__}.")
    gammas = [(0.3, 0.02), (0.3, 1.4), (1.0, 0.5), (2.5, 1.0), (2.5, 9.0), (7.0, 5.5), (30.0, 41.0)]
    rows("GAMMA_LOG_DENSITY", "alpha, z, ln p: scipy.stats.gamma.logpdf.", 3,
         [(a, z, stats.gamma.logpdf(z, a)) for a, z in gammas])
    rows("GAMMA_SLOPE", "alpha, z, dz/dalpha: jax.lax.random_gamma_grad; the same with mpmath.", 4,
         [(a, z, jax.lax.random_gamma_grad(jax.numpy.float64(a), jax.numpy.float64(z)), gamma_slope(a, z)) for a, z in gammas])
    rows("GAMMA_CDF", "alpha, z, F: scipy.stats.gamma.cdf.", 3, [(a, z, stats.gamma.cdf(z, a)) for a, z in gammas])
    betas = [(0.5, 0.5, 0.1), (2.0, 3.0, 0.4), (8.0, 1.5, 0.97)]
    rows("BETA_LOG_DENSITY", "a, b, z, ln p: scipy.stats.beta.logpdf.", 4,
         [(a, b, z, stats.beta.logpdf(z, a, b)) for a, b, z in betas])
    points = scipy.stats.qmc.Halton(d=3, scramble=False).random(6)
    rows("HALTON", "Points 0 to 5: scipy.stats.qmc.Halton(d=3, scramble=False).", 3, points)
    angles = [(0.01, 2.0), (0.7, -1.3), (2.0, 0.4), (2.0, 3.0), (20.0, 0.3), (100.0, -0.15)]
    rows("VON_MISES_LOG_DENSITY", "kappa, z, ln p: scipy.stats.vonmises.logpdf.", 3,
         [(k, z, stats.vonmises.logpdf(z, k)) for k, z in angles])
    rows("VON_MISES_SLOPE", "kappa, z, dz/dkappa: mpmath, by quadrature.", 3,
         [(k, z, von_mises_slope(k, z)) for k, z in angles])
    rows("NORMAL_LOG_DENSITY", "mean, deviation, z, ln p: scipy.stats.norm.logpdf.", 4,
         [(m, s, z, stats.norm.logpdf(z, m, s)) for m, s, z in [(0.0, 1.0, 0.3), (-2.0, 0.1, -1.5), (5.0, 30.0, 0.0)]])
    logits = [-3.0, 0.1, 0.7, 40.0]
    rows("BERNOULLI_LOG_DENSITY", "logit, z, ln p: scipy.stats.bernoulli.logpmf of p = expit(logit), by mpmath where that rounds.", 3,
         [(x, z, -mpmath.log(1 + mpmath.exp(-x if z else x))) for x in logits for z in (0, 1)])
    classes = [0.3, -1.0, 2.0]
    rows("CATEGORICAL_LOG_DENSITY", "class, ln p for logits 0.3, -1, 2: jax.nn.log_softmax.", 2,
         list(enumerate(jax.nn.log_softmax(jax.numpy.array(classes)))))
    rows("LOG_MEAN_EXP", "three log-weights, ln of the mean weight: scipy.special.logsumexp - ln 3.", 4,
         [(*w, scipy.special.logsumexp(w) - float(mpmath.log(3))) for w in [(-1.0, 2.0, 0.5), (-800.0, -801.0, -790.0)]])
    rows("GUMBEL_SOFTMAX", "noise of two classes, logits of two, temperature, first entry: jax.nn.softmax.", 6,
         [(*g, *x, t, jax.nn.softmax((jax.numpy.array(g) + jax.numpy.array(x)) / t)[0])
          for g, x, t in [((0.2, 1.3), (0.8, 0.0), 0.5), ((-0.4, 0.1), (2.0, -1.0), 3.0)]])


main()
