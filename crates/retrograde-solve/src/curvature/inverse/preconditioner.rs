//! Preconditioners: fixed, symmetric, positive definite approximations of `(H + μ)⁻¹`. They change how fast an answer comes, not
//! which.
//!
//! | | from | makes |
//! |---|---|---|
//! | diagonal | a given or estimated diagonal | 1/(d + μ) |
//! | Nyström | r products with random vectors on some rows | exact on r directions, a multiple of one beside them |
//! | subsampled | the whole matrix of some rows | its damped inverse |
//! | Kronecker factors | activations and cotangents of dense layers | (A + a)⁻¹ ⊗ (G + b)⁻¹ for each |
//!
//! Source: Z. Frangella, J. A. Tropp, M. Udell, Randomized Nyström preconditioning, SIAM J. Matrix Anal. Appl. 44 (2023), algorithm
//! 2.1 and eq. 1.3; J. Martens, R. Grosse, Optimizing neural networks with Kronecker-factored approximate curvature, ICML 2015,
//! sections 3 and 6.3.

use retrograde_array::ops::{self, DotDims};
use retrograde_array::rng::{Key, uniform};
use retrograde_array::{Array, DType};
use retrograde_core::exec::Executor;
use retrograde_core::ir::simplify;
use retrograde_core::prim::dot_general::DotGeneral;
use retrograde_core::prim::{Program, Rule, Value, bodies};
use retrograde_core::trace::function::Function;
use retrograde_core::trace::var::concat;
use retrograde_core::trace::{Error, Var};
use retrograde_core::transform::{self, Standard};
use retrograde_engine::{Engine, jit, vmap};

use super::problem::{Problem, Rows};
use crate::curvature::batch::Batch;
use crate::curvature::error::Cause;
use crate::curvature::hutch_plus_plus::orthonormal;
use crate::curvature::hutchinson;
use crate::curvature::layers::{Elsewhere, Side, Weight, layers, rows_of_dense, sweep};
use crate::curvature::probe::normals;
use crate::linear::LinearError;
use crate::linear::dense::{cholesky, cholesky_solve, symmetric_eigen};
use crate::linear::flat::{add_scaled, dot, numbers, scaled};

/// What to precondition with; `T` is the tree of the parameters.
#[derive(Clone, Debug, Default)]
pub enum Preconditioner<T> {
    /// Nothing.
    #[default]
    None,
    /// One over a diagonal of curvature, all of it positive, and damping.
    Diagonal(T),
    /// One over the diagonal estimated with so many products with random signs.
    EstimatedDiagonal {
        /// How many.
        n_probes: usize,
    },
    /// A low rank from products with random vectors on some rows.
    Nystrom {
        /// How many vectors.
        rank: usize,
        /// How many rows.
        n_rows: usize,
    },
    /// The inverse of the whole curvature of some rows; for at most some thousand parameters.
    Subsampled {
        /// How many rows.
        n_rows: usize,
    },
    /// Kronecker factors of the dense layers, from the gradients of some rows; others share one number.
    KroneckerFactored {
        /// How many rows.
        n_rows: usize,
    },
}

/// The largest matrix that is made: its Cholesky factor takes d³/3 operations, three seconds.
const LARGEST: usize = 2048;
/// Damping of a subsampled inverse, in units of the largest curvature over the number of rows: what the sample is off by
/// (M. A. Erdogdu, A. Montanari, Convergence rates of sub-sampled Newton methods, NIPS 2015, section 3).
const SAMPLE_DAMPING: f64 = 0.1;
/// The least that is added, in units of the largest curvature: a preconditioner amplifies noise by its condition.
const LEAST_DAMPING: f64 = 1e-4;

/// A preconditioner that is made.
#[derive(Clone, Debug)]
pub(super) enum Applied {
    None,
    Diagonal(Array),
    /// scale I + Uᵀ diag(w) U, U: `[r, d]`
    LowRank {
        scale: f64,
        u: Array,
        w: Array,
    },
    Dense(Array),
    Blocks(Vec<Block>),
}

/// A part of the vector and what it is multiplied with.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// As a matrix of rows by columns, from both sides.
    Sides {
        left: Array,
        right: Array,
    },
    /// From one side.
    Matrix(Array),
    Number {
        size: usize,
        factor: f64,
    },
}

impl Applied {
    /// What programs take.
    pub(super) fn arrays(&self) -> Vec<Array> {
        match self {
            Applied::None => vec![],
            Applied::Diagonal(d) => vec![d.clone()],
            Applied::LowRank { u, w, .. } => vec![u.clone(), w.clone()],
            Applied::Dense(m) => vec![m.clone()],
            Applied::Blocks(blocks) => blocks
                .iter()
                .flat_map(|block| match block {
                    Block::Sides { left, right } => vec![left.clone(), right.clone()],
                    Block::Matrix(m) => vec![m.clone()],
                    Block::Number { .. } => vec![],
                })
                .collect(),
        }
    }
}

/// P x in traced code, with the arrays of [`Applied::arrays`].
pub(super) fn apply(form: &Applied, arrays: &[Var], x: Var) -> Var {
    match form {
        Applied::None => x,
        Applied::Diagonal(_) => arrays[0] * x,
        Applied::LowRank { scale, .. } => {
            let along = arrays[1] * arrays[0].dot(x);
            *scale * x + along.dot(arrays[0])
        }
        Applied::Dense(_) => arrays[0].dot(x),
        Applied::Blocks(blocks) => {
            let (mut start, mut next) = (0, arrays.iter().copied());
            let mut array = || next.next().expect("one value per array; this is a bug in retrograde");
            let parts: Vec<Var> = blocks
                .iter()
                .map(|block| {
                    let mut cut = |size: usize| {
                        start += size;
                        x.slice(0, start - size..start)
                    };
                    match block {
                        Block::Sides { left, right } => {
                            let shape = [left.shape()[0], right.shape()[0]];
                            let (left, right) = (array(), array());
                            let part = cut(shape[0] * shape[1]).reshape(shape);
                            left.dot(part).dot(right).reshape([shape[0] * shape[1]])
                        }
                        Block::Matrix(m) => array().dot(cut(m.shape()[0])),
                        Block::Number { size, factor } => cut(*size) * *factor,
                    }
                })
                .collect();
            concat(&parts, 0)
        }
    }
}

/// Makes a preconditioner; says how many passes over all examples that took, in products.
pub(super) fn make<T>(
    problem: &Problem<'_>,
    which: &Preconditioner<T>,
    diagonal: impl FnOnce(&T) -> Result<Vec<f64>, Error>,
    program_of_row: impl FnOnce() -> Result<Option<Program>, Error>,
    key: Key,
) -> Result<(Applied, f64), Cause> {
    let d = problem.size();
    match which {
        Preconditioner::None => Ok((Applied::None, 0.0)),
        Preconditioner::Diagonal(tree) => {
            let entries = diagonal(tree)?;
            let inverse: Vec<f64> = entries.iter().map(|x| 1.0 / (x + problem.damping)).collect();
            if let Some(i) = inverse.iter().position(|x| !(x.is_finite() && *x > 0.0)) {
                return Err(Cause::Preconditioner {
                    found: format!("a diagonal with {} at entry {i}", entries[i]),
                    expected: "positive numbers, after damping",
                    help: "take absolute values, add damping, or `Preconditioner::EstimatedDiagonal { n_probes: 10 }`",
                });
            }
            Ok((Applied::Diagonal(Array::vector(inverse)), 0.0))
        }
        Preconditioner::EstimatedDiagonal { n_probes } => {
            hutchinson::at_least("preconditioner", "number of probes", *n_probes, 1, "at least one")?;
            let product = problem.product();
            let mut product = |v: &[f64]| Ok(product(v)?);
            let (mean, _) = hutchinson::diagonal(&mut product, d, *n_probes, key)?;
            // Damping is in the product already.
            let largest = mean.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            let inverse = mean.iter().map(|x| 1.0 / x.abs().max(LEAST_DAMPING * largest)).collect::<Vec<_>>();
            Ok((Applied::Diagonal(Array::vector(inverse)), *n_probes as f64))
        }
        Preconditioner::Nystrom { rank, n_rows } => {
            hutchinson::at_least("preconditioner", "rank", *rank, 1, "at least one")?;
            let (rank, sample) = ((*rank).min(d), Sample::new(problem, *n_rows, key.fold_in(0))?);
            let directions = (0..rank).map(|i| normals(key.fold_in(1 + i as u64), d)).collect();
            let made = nystrom(&orthonormal(directions), &mut |v| sample.product(v), problem.damping)?;
            Ok((made, rank as f64 * sample.passes))
        }
        Preconditioner::Subsampled { n_rows } => {
            if d > LARGEST {
                return Err(Cause::Preconditioner {
                    found: format!("a matrix of {d} rows"),
                    expected: "at most 2048",
                    help: "take `Preconditioner::Nystrom { rank: 50, n_rows }`, which makes no matrix",
                });
            }
            let sample = Sample::new(problem, *n_rows, key)?;
            let mut matrix = sample.matrix()?;
            let largest = (0..d).map(|i| matrix[i][i]).fold(0.0, f64::max);
            let added = problem.damping + (SAMPLE_DAMPING / *n_rows as f64).max(LEAST_DAMPING) * largest;
            (0..d).for_each(|i| matrix[i][i] += added);
            let inverse = inverse(&matrix).ok_or_else(not_positive)?;
            Ok((Applied::Dense(inverse), d as f64 * sample.passes))
        }
        Preconditioner::KroneckerFactored { n_rows } => {
            let program = program_of_row()?.ok_or(Cause::NoBatches { method: "Kronecker factors" })?;
            let sample = Sample::new(problem, *n_rows, key)?;
            // A gradient of each row: half a product.
            Ok((kronecker(problem, &program, &sample)?, 0.5 * sample.passes))
        }
    }
}

fn not_positive() -> Cause {
    Cause::Preconditioner {
        found: "curvature of both signs in the sample".into(),
        expected: "a positive definite matrix",
        help: "add damping, or take `.gauss_newton()`",
    }
}

/// The inverse of a positive definite matrix.
fn inverse(matrix: &[Vec<f64>]) -> Option<Array> {
    let n = matrix.len();
    let factor = cholesky(&matrix.to_vec())?;
    let mut entries = Vec::with_capacity(n * n);
    for i in 0..n {
        let unit: Vec<f64> = (0..n).map(|j| f64::from(u8::from(i == j))).collect();
        entries.extend(cholesky_solve(&factor, &unit));
    }
    Some(Array::new([n, n], entries).expect("n rows of n entries"))
}

/// Some rows of the data.
struct Sample<'p, 'a> {
    problem: &'p Problem<'a>,
    data: Vec<Array>,
    /// What part of all examples they are.
    passes: f64,
}

impl<'p, 'a> Sample<'p, 'a> {
    fn new(problem: &'p Problem<'a>, n_rows: usize, key: Key) -> Result<Self, Cause> {
        hutchinson::at_least("preconditioner", "number of rows", n_rows, 1, "at least one")?;
        let (data, passes) = match problem.rows {
            Rows::None => (vec![], 1.0),
            Rows::Drawn { n_rows: all, .. } if n_rows >= all => (problem.data.clone(), 1.0),
            Rows::Drawn { n_rows: all, .. } => {
                let u = uniform(key, [n_rows]).to_vec::<f64>().expect("uniform draws are f64");
                let at: Vec<i64> =
                    u.into_iter().map(|u| ((u * all as f64) as i64).min(all as i64 - 1)).collect();
                let at = Array::vector(at);
                let rows =
                    |leaf: &Array| ops::gather(leaf, &at, 0, 0).expect("positions are within the rows");
                (problem.data.iter().map(rows).collect(), n_rows as f64 / all as f64)
            }
            Rows::Given { n_batches, size } => {
                let n = n_rows.div_ceil(size.max(1)).min(n_batches);
                let rows = |leaf: &Array| {
                    let shape = [&[n * size][..], &leaf.shape()[2..]].concat();
                    super::spectrum::first_rows(leaf, n).compact().reshaped(shape).expect("the same entries")
                };
                (problem.data.iter().map(rows).collect(), n as f64 / n_batches as f64)
            }
        };
        Ok(Sample { problem, data, passes })
    }
    /// Their curvature times a vector, without damping.
    fn product(&self, v: &[f64]) -> Result<Vec<f64>, LinearError> {
        let rows = self.times(&[v.to_vec()])?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }
    fn matrix(&self) -> Result<Vec<Vec<f64>>, LinearError> {
        let d = self.problem.size();
        let units: Vec<Vec<f64>> =
            (0..d).map(|i| (0..d).map(|j| f64::from(u8::from(i == j))).collect()).collect();
        self.times(&units)
    }
    fn times(&self, vectors: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, LinearError> {
        let d = self.problem.size();
        let run = jit(|fixed: Vec<Var>, data: Vec<Var>, all: Var| {
            vmap(|x: Var| self.problem.undamped(&fixed, Batch::new(data.clone()), x)).apply((all,))
        });
        let all = Array::new([vectors.len(), d], vectors.concat()).expect("vectors of d numbers");
        let found = run.call((&self.problem.fixed(), &self.data, &all))?;
        Ok(numbers(&found).chunks(d).map(<[f64]>::to_vec).collect())
    }
}

/// Frangella, Tropp & Udell 2023, algorithm 2.1.
fn nystrom(
    omega: &[Vec<f64>],
    product: &mut dyn FnMut(&[f64]) -> Result<Vec<f64>, LinearError>,
    damping: f64,
) -> Result<Applied, Cause> {
    let r = omega.len();
    let mut y = vec![];
    for v in omega {
        y.push(product(v)?);
    }
    // A shift that keeps the factor positive under rounding, taken off the eigenvalues again.
    let shift = f64::EPSILON * y.iter().map(|v| dot(v, v)).sum::<f64>().sqrt() * 10.0;
    y.iter_mut().zip(omega).for_each(|(y, v)| add_scaled(y, shift, v));
    let gram: Vec<Vec<f64>> = (0..r).map(|i| (0..r).map(|j| dot(&omega[i], &y[j])).collect()).collect();
    let symmetric: Vec<Vec<f64>> =
        (0..r).map(|i| (0..r).map(|j| 0.5 * (gram[i][j] + gram[j][i])).collect()).collect();
    let factor = cholesky(&symmetric).ok_or_else(not_positive)?;
    // B = Y L⁻ᵀ, one column after the other.
    let mut b: Vec<Vec<f64>> = vec![];
    for j in 0..r {
        let mut column = y[j].clone();
        b.iter().enumerate().for_each(|(k, before)| add_scaled(&mut column, -factor[j][k], before));
        b.push(scaled(1.0 / factor[j][j], &column));
    }
    let gram = (0..r).map(|i| (0..r).map(|j| dot(&b[i], &b[j])).collect()).collect();
    let (squares, vectors) = symmetric_eigen(&gram);
    let values: Vec<f64> = squares.iter().map(|s| (s - shift).max(0.0)).collect();
    let damping = damping.max(LEAST_DAMPING * values[r - 1]);
    let scale = 1.0 / (values[0] + damping);
    let (mut u, mut w) = (vec![], vec![]);
    for i in 0..r {
        let mut direction = vec![0.0; b[0].len()];
        vectors[i].iter().zip(&b).for_each(|(part, column)| add_scaled(&mut direction, *part, column));
        u.extend(scaled(1.0 / squares[i].sqrt(), &direction));
        w.push(1.0 / (values[i] + damping) - scale);
    }
    let u = Array::new([r, b[0].len()], u).expect("r rows of d numbers");
    Ok(Applied::LowRank { scale, u, w: Array::vector(w) })
}

/// Martens & Grosse 2015: A = E a aᵀ of the activations, G = E z̄ z̄ᵀ of the cotangents, of each example.
fn kronecker(problem: &Problem<'_>, program: &Program, sample: &Sample<'_, '_>) -> Result<Applied, Cause> {
    let n_leaves = problem.parameters.len();
    let mut found = layers(program, n_leaves, Elsewhere::Yes);
    // As matrices weights have their contracted axes first or last.
    found.retain(|layer| match &layer.weight {
        Weight::Conv(_) => false,
        Weight::Dense(dot, side) => {
            of_weight(dot, *side).is_sorted() && layout(program, layer.leaf, dot, *side).is_some()
        }
    });
    let both = bodies::build(&program.input_types(), |b, inputs| {
        let (sides, _) = sweep(b, program, &found, &[], inputs);
        let mut r = Rule { b, cx: &Standard };
        let mut all = vec![];
        for (layer, sides) in found.iter().zip(&sides) {
            let Weight::Dense(dot, side) = &layer.weight else { continue };
            let (a, z) = rows_of_dense(&mut r, dot, *side, sides);
            all.push(r.convert(a, DType::F64));
            all.push(r.convert(z, DType::F64));
        }
        all
    });
    let n = sample.data.first().map_or(1, |leaf| leaf.shape()[0]);
    let mut batched = vec![false; n_leaves];
    batched.resize(program.inputs.len(), true);
    let mapped = transform::vmap(&both, &batched, &vec![true; both.outputs.len()], n).program;
    let inputs = problem.parameters.iter().chain(&sample.data).cloned().map(Value::Array).collect();
    let (out, _) = Engine::default().run(&simplify(&mapped), inputs).map_err(Error::from)?;
    let out: Vec<Array> = out
        .into_iter()
        .map(|v| v.into_array().expect("a result is an array; this is a bug in retrograde"))
        .collect();
    // Second moments over examples; rows of an example are summed for G and averaged for A.
    let moment = |rows: &Array, per: f64| -> Vec<Vec<f64>> {
        let width = rows.shape()[2];
        let flat = rows.compact().reshaped([rows.size() / width.max(1), width]).expect("the same entries");
        let dims = DotDims { lhs_contract: vec![0], rhs_contract: vec![0], ..DotDims::default() };
        numbers(&ops::dot_general(&flat, &flat, &dims))
            .chunks(width.max(1))
            .map(|row| scaled(1.0 / per, row))
            .collect()
    };
    let mut blocks: Vec<Option<Block>> = vec![None; n_leaves];
    let mut typical = 0.0;
    for (i, layer) in found.iter().enumerate() {
        let Weight::Dense(dot, side) = &layer.weight else { continue };
        let (a, z) = (&out[2 * i], &out[2 * i + 1]);
        let t = a.shape()[1];
        let (a, g) = (moment(a, (n * t) as f64), moment(z, n as f64));
        let (mean_a, mean_g) = (mean_of_diagonal(&a), mean_of_diagonal(&g));
        typical += mean_a * mean_g / found.len() as f64;
        // Section 6.3: damping γ of the product split between the factors, π² = (tr A / k) / (tr G / m).
        let gamma = problem.damping.max(LEAST_DAMPING * mean_a * mean_g);
        let ratio = (mean_a / mean_g).sqrt();
        let damped = |m: &[Vec<f64>], by: f64| {
            let mut m = m.to_vec();
            (0..m.len()).for_each(|i| m[i][i] += by);
            inverse(&m).ok_or_else(not_positive)
        };
        if !(ratio.is_finite() && ratio > 0.0) {
            continue;
        }
        let (a, g) = (damped(&a, gamma.sqrt() * ratio)?, damped(&g, gamma.sqrt() / ratio)?);
        if let Some(bias) = layer.bias {
            // Its activation is one.
            blocks[bias] = Some(Block::Matrix(g.clone()));
        }
        blocks[layer.leaf] = Some(match layout(program, layer.leaf, dot, *side) {
            Some(Layout::ContractedFirst) => Block::Sides { left: a, right: g },
            _ => Block::Sides { left: g, right: a },
        });
    }
    if typical == 0.0 {
        return Err(Cause::Preconditioner {
            found: "no dense layer with a gradient".into(),
            expected: "weights that are used once, as one factor of a product",
            help: "take `Preconditioner::Nystrom { rank: 20, n_rows }`, which asks for no layers",
        });
    }
    let factor = 1.0 / (typical + problem.damping);
    let blocks = blocks.into_iter().zip(&problem.parameters);
    Ok(Applied::Blocks(
        blocks.map(|(block, leaf)| block.unwrap_or(Block::Number { size: leaf.size(), factor })).collect(),
    ))
}

fn mean_of_diagonal(m: &[Vec<f64>]) -> f64 {
    (0..m.len()).map(|i| m[i][i]).sum::<f64>() / m.len().max(1) as f64
}

/// Where a weight's contracted axes stand.
enum Layout {
    ContractedFirst,
    ContractedLast,
}

fn of_weight(dot: &DotGeneral, side: Side) -> &[usize] {
    if side == Side::Right { &dot.dims.rhs_contract } else { &dot.dims.lhs_contract }
}

fn layout(program: &Program, leaf: usize, dot: &DotGeneral, side: Side) -> Option<Layout> {
    let contracted = of_weight(dot, side);
    let (n, rank) = (contracted.len(), program.ty(program.inputs[leaf]).shape.rank());
    if contracted.iter().copied().eq(0..n) {
        Some(Layout::ContractedFirst)
    } else if contracted.iter().copied().eq(rank - n..rank) {
        Some(Layout::ContractedLast)
    } else {
        None
    }
}
