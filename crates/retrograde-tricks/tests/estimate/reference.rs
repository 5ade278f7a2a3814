//! Made by tools/estimate.py with JAX 0.10.2, mpmath 1.3.0, SciPy 1.17.1.

/// alpha, z, ln p: scipy.stats.gamma.logpdf.
#[rustfmt::skip]
pub(crate) const GAMMA_LOG_DENSITY: &[[f64; 3]] = &[
    [0.3, 0.02, 1.6226181089816265],
    [0.3, 1.4, -2.7313285604529245],
    [1.0, 0.5, -0.5],
    [2.5, 1.0, -1.2846828704729192],
    [2.5, 9.0, -5.98884600446859],
    [7.0, 5.5, -1.8507626585795496],
    [30.0, 41.0, -4.5634490327430655],
];

/// alpha, z, dz/dalpha: jax.lax.random_gamma_grad; the same with mpmath.
#[rustfmt::skip]
pub(crate) const GAMMA_SLOPE: &[[f64; 4]] = &[
    [0.3, 0.02, 0.25419430208458904, 0.25419430208458904],
    [0.3, 1.4, 3.130048107989367, 3.1300481079893623],
    [1.0, 0.5, 0.806979116825318, 0.806979116825318],
    [2.5, 1.0, 0.650793859686282, 0.6507938596862822],
    [2.5, 9.0, 1.891711800090848, 1.891711800090848],
    [7.0, 5.5, 0.9055089865424202, 0.9055089865424198],
    [30.0, 41.0, 1.1707773380786781, 1.1707773380786755],
];

/// a, b, z, ln p: scipy.stats.beta.logpdf.
#[rustfmt::skip]
pub(crate) const BETA_LOG_DENSITY: &[[f64; 4]] = &[
    [0.5, 0.5, 0.1, 0.059242918476535955],
    [2.0, 3.0, 0.4, 0.5469646703818638],
    [8.0, 1.5, 0.97, 1.3184608963141489],
];

/// kappa, z, ln p: scipy.stats.vonmises.logpdf.
#[rustfmt::skip]
pub(crate) const VON_MISES_LOG_DENSITY: &[[f64; 3]] = &[
    [0.01, 2.0, -1.8420635346185685],
    [0.7, -1.3, -1.769568490282736],
    [2.0, 0.4, -0.8197486198865314],
    [2.0, 3.0, -4.641855601093193],
    [20.0, 0.3, -0.32075771214149906],
    [100.0, -0.15, 0.2594980372522997],
];

/// kappa, z, dz/dkappa: mpmath, by quadrature.
#[rustfmt::skip]
pub(crate) const VON_MISES_SLOPE: &[[f64; 3]] = &[
    [0.01, 2.0, -0.9111768661376055],
    [0.7, -1.3, 0.814168480826681],
    [2.0, 0.4, -0.12313913052288394],
    [2.0, 3.0, -0.23674249160413252],
    [20.0, 0.3, -0.007658729202006278],
    [100.0, -0.15, 0.0007533178265414562],
];

/// mean, deviation, z, ln p: scipy.stats.norm.logpdf.
#[rustfmt::skip]
pub(crate) const NORMAL_LOG_DENSITY: &[[f64; 4]] = &[
    [0.0, 1.0, 0.3, -0.9639385332046727],
    [-2.0, 0.1, -1.5, -11.116353440210627],
    [5.0, 30.0, 0.0, -4.334024803755717],
];

/// logit, z, ln p: scipy.stats.bernoulli.logpmf of p = expit(logit), by mpmath where that rounds.
#[rustfmt::skip]
pub(crate) const BERNOULLI_LOG_DENSITY: &[[f64; 3]] = &[
    [-3.0, 0.0, -0.04858735157374206],
    [-3.0, 1.0, -3.048587351573742],
    [0.1, 0.0, -0.7443966600735709],
    [0.1, 1.0, -0.6443966600735709],
    [0.7, 0.0, -1.103186048885458],
    [0.7, 1.0, -0.4031860488854579],
    [40.0, 0.0, -40.0],
    [40.0, 1.0, -4.248354255291561e-18],
];

/// class, ln p for logits 0.3, -1, 2: jax.nn.log_softmax.
#[rustfmt::skip]
pub(crate) const CATEGORICAL_LOG_DENSITY: &[[f64; 2]] = &[
    [0.0, -1.9090207665450603],
    [1.0, -3.20902076654506],
    [2.0, -0.20902076654506024],
];

/// three log-weights, ln of the mean weight: scipy.special.logsumexp - ln 3.
#[rustfmt::skip]
pub(crate) const LOG_MEAN_EXP: &[[f64; 4]] = &[
    [-1.0, 2.0, 0.5, 1.1426990079890473],
    [-800.0, -801.0, -790.0, -791.0985501889659],
];

/// noise of two classes, logits of two, temperature, first entry: jax.nn.softmax.
#[rustfmt::skip]
pub(crate) const GUMBEL_SOFTMAX: &[[f64; 6]] = &[
    [0.2, 1.3, 0.8, 0.0, 0.5, 0.3543436937742045],
    [-0.4, 0.1, 2.0, -1.0, 3.0, 0.6970592839654073],
];
