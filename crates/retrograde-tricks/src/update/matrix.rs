//! Updates that know a matrix is one: Shampoo, Muon, K-FAC and EKFAC.
//!
//! ```text
//! Shampoo   L ← L + G Gᵀ,  R ← R + Gᵀ G         s = L^(−1/4) G R^(−1/4); of a vector: s = L^(−1/2) g, L ← L + g gᵀ
//! Muon      m ← β m + (1 − β) G,  M = β m̂ + (1 − β) Ĝ        s = q(q(…q(M/‖M‖))) √max(1, n/m), q X = a X + b X XᵀX + c X XᵀX XᵀX
//! K-FAC     A = mean a aᵀ,  D = mean δ δᵀ         s = (A + √μ)⁻¹ G (D + √μ)⁻¹
//! EKFAC     A = U Λ Uᵀ,  D = V Μ Vᵀ               s = U ((Uᵀ G V) / (S + μ)) Vᵀ,  S = mean of (Uᵀ a δᵀ V)²
//! ```
//!
//! G, a gradient of a weight `[n_in, n_out]`, is the mean of a δᵀ over examples: a the inputs `[n, n_in]` of the layer, δ the
//! adjoints `[n, n_out]` of its outputs. The Fisher matrix of the layer is A ⊗ D where a and δ are independent, and K-FAC then divides by it
//! exactly; EKFAC keeps its diagonal right in the basis of the factors, the nearest matrix of that basis. Shampoo of a vector is Adagrad with a full matrix,
//! and so is that of a matrix whose gradients are multiples of one of rank 1. Muon takes matrices only ([`by_rank`] gives the rest to another
//! update); conventions as in optax, while torch.optim works in bf16. Law: exact. SOAP is not built. Cost: Shampoo two eigendecompositions
//! in each step and two square matrices; Muon five times two products and one array; K-FAC two systems.

use retrograde_array::DType;
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::linalg::{eigh, eye, solve};
use retrograde_core::trace::{Var, mistake};

use super::map::{
    Given, Leaves, Rule, State, Update, as_dtype, expect_decay, expect_not_negative, expect_positive, named,
    no_steps, power, scaled,
};
use super::schedule::{IntoRate, descend};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of preconditioners of matrices.
pub const MATRIX: Trick = Trick {
    id: "E4",
    name: "preconditioners of matrices: K-FAC, EKFAC, Shampoo, Muon",
    formula: "A^-1 G D^-1; L^-1/4 G R^-1/4; Newton-Schulz of the momentum",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "J. Martens and R. Grosse",
            title: "Optimizing Neural Networks with Kronecker-factored Approximate Curvature",
            venue: "ICML",
            year: 2015,
        },
        Source {
            authors: "T. George and C. Laurent and X. Bouthillier and N. Ballas and P. Vincent",
            title: "Fast Approximate Natural Gradient Descent in a Kronecker-factored Eigenbasis",
            venue: "NeurIPS",
            year: 2018,
        },
        Source {
            authors: "V. Gupta and T. Koren and Y. Singer",
            title: "Shampoo: Preconditioned Stochastic Tensor Optimization",
            venue: "ICML",
            year: 2018,
        },
        Source {
            authors: "K. Jordan and others",
            title: "Muon: An optimizer for hidden layers in neural networks",
            venue: "https://kellerjordan.github.io/posts/muon/",
            year: 2024,
        },
    ],
    file: file!(),
    example: "kfac",
    property: Property {
        claim: "K-FAC divides by the Fisher matrix of a linear layer whose inputs and adjoints are independent, and EKFAC is never farther from it; singular values of Muon's steps lie in [0.68, 1.21]; Shampoo of rank 1 is full Adagrad",
        test: "kfac_divides_by_the_fisher_matrix_of_independent_factors",
        found: "",
    },
};

#[derive(Debug)]
struct Shampoo {
    epsilon: f64,
}

/// S^(−1/p) of a symmetric positive matrix.
fn inverse_root(s: Var, p: f64) -> Var {
    let (values, vectors) = eigh(s);
    let scaled = vectors * values.pow(-1.0 / p).broadcast(vectors.shape(), &[1]);
    scaled.dot(vectors.t())
}

impl Rule for Shampoo {
    fn name(&self) -> String {
        "shampoo direction".into()
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let square = |w: Var, n: usize| self.epsilon * eye(w.dtype(), n);
        let rows = parameters.each(|w| square(w, *w.shape().first().unwrap_or(&1)));
        let columns = Leaves(
            parameters.0.iter().filter(|(_, w)| w.rank() == 2).cloned().collect::<Vec<(String, Var)>>(),
        );
        let columns = columns.each(|w| square(w, w.shape()[1]));
        State::new(&self.name()).with("rows", rows).with("columns", columns)
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let mut columns = vec![];
        let mut old_columns = state.slot("columns").0.iter();
        let mut rows = vec![];
        let pairs = given.gradient.0.iter().zip(&state.slot("rows").0);
        let steps = pairs.map(|((path, g), (_, left))| {
            let (g, shape) = (*g, g.shape());
            let (matrix, is_matrix) = match shape.rank() {
                2 => (g, true),
                0 | 1 => (g.reshape([shape.size(), 1]), false),
                _ => {
                    let what = format!(
                        "shampoo: found leaf `{path}` {}, expected numbers, vectors and matrices",
                        g.ty()
                    );
                    mistake(
                        Diagnostic::new(what, None)
                            .help("give other leaves to another update with `matrix::by_rank`"),
                    );
                    return (path.clone(), g);
                }
            };
            let left = *left + matrix.dot(matrix.t());
            rows.push((path.clone(), left));
            let step = if is_matrix {
                let right =
                    old_columns.next().expect("a state for each matrix; this is a bug in retrograde").1
                        + matrix.t().dot(matrix);
                columns.push((path.clone(), right));
                inverse_root(left, 4.0).dot(matrix).dot(inverse_root(right, 4.0))
            } else {
                inverse_root(left, 2.0).dot(matrix).reshape(shape)
            };
            (path.clone(), step)
        });
        let steps = Leaves(steps.collect());
        (steps, State::new(&self.name()).with("rows", Leaves(rows)).with("columns", Leaves(columns)))
    }
}

/// Shampoo; its matrices begin at `epsilon` times the identity.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::matrix::shampoo;
/// let (w, update) = (array([[0.0, 0.0], [0.0, 0.0]]), shampoo(1.0, 1e-30));
/// let (step, _) = update.update(&array([[9.0, 0.0], [0.0, 4.0]]), &update.init(&w)?, &w)?;
/// let step = step.to_vec::<f64>().unwrap();
/// assert!((step[0] + 1.0).abs() < 1e-12 && (step[3] + 1.0).abs() < 1e-12); // the first step is orthogonal
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn shampoo(rate: impl IntoRate, epsilon: f64) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = expect_positive("shampoo", "epsilon", epsilon, location).into_iter().collect();
    named("shampoo", vec![Update::new(Shampoo { epsilon }, mistakes), descend(rate)])
}

/// Coefficients of the quintic q and how often it is applied: Jordan and others (2024), which make its slope at 0 large.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
/// See [`QUINTIC`].
const N_QUINTICS: usize = 5;
/// Added to the norm that is divided by, as in optax.
const MUON_EPSILON: f64 = 1e-8;

/// A matrix with the same singular vectors and all singular values near 1, by five products of Newton–Schulz type.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::door::jit;
/// use retrograde_tricks::update::matrix::orthogonalised;
/// let found = jit(orthogonalised).call(&array([[100.0, 0.0], [0.0, -30.0]]))?.to_vec::<f64>().unwrap();
/// assert!((found[0] - 1.0).abs() < 0.33 && (found[3] + 1.0).abs() < 0.33 && found[1] == 0.0);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn orthogonalised(x: Var) -> Var {
    let is_tall = x.shape()[0] > x.shape()[1];
    let x = if is_tall { x.t() } else { x };
    let norm = as_dtype((x * x).sum(), DType::F64);
    let mut x = scaled(x, 1.0 / (super::adam::root(norm) + MUON_EPSILON));
    let [a, b, c] = QUINTIC;
    for _ in 0..N_QUINTICS {
        let square = x.dot(x.t());
        let sum = b * square + (c * square).dot(square);
        x = a * x + sum.dot(x);
    }
    if is_tall { x.t() } else { x }
}

#[derive(Debug)]
struct Muon {
    beta: f64,
    location: Location,
}

impl Rule for Muon {
    fn name(&self) -> String {
        "muon direction".into()
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        for (path, w) in parameters.0.iter().filter(|(_, w)| w.rank() != 2) {
            let what = format!("muon: found leaf `{path}` {}, expected matrices", w.ty());
            let help = "give the others to another update: `by_rank(2, muon(..), adam(..))`";
            mistake(Diagnostic::new(what, Some(self.location)).help(help));
        }
        State::new(&self.name()).with("mean", parameters.zeros()).with_number("count", no_steps())
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let (before, count) = state.counted();
        let mean = state.slot("mean").zip(&given.gradient, |m, g| self.beta * m + (1.0 - self.beta) * g);
        let unit = |t: f64| 1.0 / (1.0 - power(self.beta, before + t));
        let (now, ahead) = (unit(1.0), unit(2.0));
        let step = mean.zip(&given.gradient, |m, g| {
            if g.rank() != 2 {
                return g;
            }
            let upper = self.beta * scaled(m, ahead) + (1.0 - self.beta) * scaled(g, now);
            let (n_in, n_out) = (g.shape()[0] as f64, g.shape()[1] as f64);
            (n_out / n_in).max(1.0).sqrt() * orthogonalised(upper)
        });
        (step, State::new(&self.name()).with("mean", mean).with_number("count", count))
    }
}

/// Muon: the momentum of a matrix, orthogonalised; with Nesterov's look ahead.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::{adam::adam, matrix::{by_rank, muon}};
/// let update = by_rank(2, muon(0.02, 0.95), adam(1e-3));
/// let w = (array([[1.0, 0.0], [0.0, 1.0]]), array([0.0, 0.0]));
/// let (step, _) = update.update(&w, &update.init(&w)?, &w)?;
/// assert!(step.0.to_vec::<f64>().unwrap()[0] < -0.01 && step.1 == array([-0.0, -0.0]));
/// let error = muon(0.02, 0.95).init(&w).unwrap_err();
/// assert!(error.to_string().contains("found leaf `1` f64[2], expected matrices"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn muon(rate: impl IntoRate, beta: f64) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = expect_decay("muon", "beta", beta, location).into_iter().collect();
    named("muon", vec![Update::new(Muon { beta, location }, mistakes), descend(rate)])
}

#[derive(Debug)]
struct ByRank {
    rank: usize,
    update: Update,
    other: Update,
}

impl ByRank {
    fn part(&self, leaves: &Leaves<Var>, is_of_rank: bool, like: &Leaves<Var>) -> Leaves<Var> {
        let pairs = leaves.0.iter().zip(&like.0);
        let chosen = pairs.filter(|(_, (_, w))| (w.rank() == self.rank) == is_of_rank);
        Leaves(chosen.map(|(leaf, _)| leaf.clone()).collect())
    }
}

impl Rule for ByRank {
    fn name(&self) -> String {
        format!("by rank({}, {})", self.update.name(), self.other.name())
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let part = |is_of_rank| self.part(parameters, is_of_rank, parameters);
        let parts = vec![self.update.rule_init(&part(true)), self.other.rule_init(&part(false))];
        State { parts, ..State::new(&self.name()) }
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let w = &given.parameters;
        let of = |is_of_rank| Given {
            gradient: self.part(&given.gradient, is_of_rank, w),
            parameters: self.part(w, is_of_rank, w),
            curvature: given.curvature.as_ref().map(|h| self.part(h, is_of_rank, w)),
        };
        let (first, first_state) = self.update.rule_update(&of(true), &state.parts[0]);
        let (second, second_state) = self.other.rule_update(&of(false), &state.parts[1]);
        let (mut first, mut second) = (first.0.into_iter(), second.0.into_iter());
        let steps = w.0.iter().map(|(_, w)| {
            let next = if w.rank() == self.rank { first.next() } else { second.next() };
            next.expect("a step for each leaf; this is a bug in retrograde")
        });
        let steps = Leaves(steps.collect());
        (steps, State { parts: vec![first_state, second_state], ..State::new(&self.name()) })
    }
    fn needs_curvature(&self) -> bool {
        self.update.wants_curvature() || self.other.wants_curvature()
    }
}

/// One update for the leaves of a rank, another for the rest.
#[track_caller]
pub fn by_rank(rank: usize, update: Update, other: Update) -> Update {
    let mistakes = [update.mistakes(), other.mistakes()].concat();
    Update::new(ByRank { rank, update, other }, mistakes)
}

/// (A, D): the means of a aᵀ and δ δᵀ.   inputs: `[n, n_in]`, adjoints: `[n, n_out]`.
fn factors(inputs: Var, adjoints: Var) -> (Var, Var) {
    let mean = |x: Var| x.t().dot(x) / x.shape()[0] as f64;
    (mean(inputs), mean(adjoints))
}

#[track_caller]
fn damped(what: &str, damping: f64) {
    let location = Location(std::panic::Location::caller());
    if let Some(found) = expect_not_negative(what, "damping", damping, location) {
        mistake(found);
    }
}

/// (A + √μ)⁻¹ G (D + √μ)⁻¹ of a layer.   inputs: `[n, n_in]`, adjoints: `[n, n_out]`, gradient: `[n_in, n_out]` → the same, μ: `damping`.
///
/// The adjoints of the outputs are the gradient with respect to something that is added to them and is 0:
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}, var::full};
/// use retrograde_tricks::update::matrix::{ekfac, kfac};
/// let step = |w: Var, a: Var| {
///     let loss = |w: Var, shift: Var| { let y = a.dot(w) + shift; 0.5 * (y * y).sum() };
///     let shift = full(w.dtype(), [a.shape()[0], w.shape()[1]], 0.0);
///     let adjoints = grad(loss).wrt::<1>().at((w, shift));
///     let gradient = grad(loss).at((w, shift)) / a.shape()[0] as f64;
///     (kfac(a, adjoints, gradient, 1e-3), ekfac(a, adjoints, gradient, 1e-3))
/// };
/// let (w, a) = (array([[0.5], [1.0]]), array([[1.0, 0.0], [1.0, 2.0], [0.0, 3.0]]));
/// let (by_factors, in_their_basis) = jit(step).call((&w, &a))?;
/// assert_eq!((by_factors.size(), in_their_basis.size()), (2, 2));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn kfac(inputs: Var, adjoints: Var, gradient: Var, damping: f64) -> Var {
    damped("kfac", damping);
    let (a, d) = factors(inputs, adjoints);
    let with_damping = |x: Var| x + damping.sqrt() * eye(x.dtype(), x.shape()[0]);
    let left = solve(with_damping(a), gradient);
    solve(with_damping(d), left.t()).t()
}

/// EKFAC of a layer; as [`kfac`], with the damping added to the diagonal in the basis of the factors.
#[track_caller]
pub fn ekfac(inputs: Var, adjoints: Var, gradient: Var, damping: f64) -> Var {
    damped("ekfac", damping);
    let (a, d) = factors(inputs, adjoints);
    let ((_, u), (_, v)) = (eigh(a), eigh(d));
    let scales = ekfac_scales(inputs.dot(u), adjoints.dot(v));
    let rotated = u.t().dot(gradient).dot(v) / (scales + damping);
    u.dot(rotated).dot(v.t())
}

/// S: the mean over examples of (Uᵀ a δᵀ V)².   inputs: `[n, n_in]` and adjoints: `[n, n_out]` in the basis of the factors.
fn ekfac_scales(inputs: Var, adjoints: Var) -> Var {
    (inputs * inputs).t().dot(adjoints * adjoints) / inputs.shape()[0] as f64
}

/// The matrices of row-major weights by which [`kfac`] and [`ekfac`] divide without damping, and the Fisher matrix that they stand for: each
/// `[n_in n_out, n_in n_out]`. For small layers, to see how far they are off.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::door::jit;
/// use retrograde_tricks::update::matrix::fisher_and_approximations;
/// let (a, d) = (array([[1.0], [-1.0]]), array([[2.0], [2.0]]));
/// let (fisher, kfac, ekfac) = jit(|a, d| { let [f, k, e] = fisher_and_approximations(a, d); (f, k, e) }).call((&a, &d))?;
/// assert_eq!((fisher, kfac, ekfac), (array([[4.0]]), array([[4.0]]), array([[4.0]])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn fisher_and_approximations(inputs: Var, adjoints: Var) -> [Var; 3] {
    let (n, n_in, n_out) = (inputs.shape()[0], inputs.shape()[1], adjoints.shape()[1]);
    let size = n_in * n_out;
    let outer = |x: Var, y: Var| {
        let shape = [n, n_in, n_out];
        (x.broadcast(shape, &[0, 1]) * y.broadcast(shape, &[0, 2])).reshape([n, size])
    };
    let gradients = outer(inputs, adjoints);
    let fisher = gradients.t().dot(gradients) / n as f64;
    let kronecker = |x: Var, y: Var| {
        let shape = [x.shape()[0], y.shape()[0], x.shape()[1], y.shape()[1]];
        (x.broadcast(shape, &[0, 2]) * y.broadcast(shape, &[1, 3])).reshape([size, size])
    };
    let (a, d) = factors(inputs, adjoints);
    let ((_, u), (_, v)) = (eigh(a), eigh(d));
    let basis = kronecker(u, v);
    let scales = ekfac_scales(inputs.dot(u), adjoints.dot(v)).reshape([size]);
    let ekfac = (basis * scales.broadcast([size, size], &[1])).dot(basis.t());
    [fisher, kronecker(a, d), ekfac]
}
