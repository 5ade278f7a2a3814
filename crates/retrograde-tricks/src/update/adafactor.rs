//! Adafactor: the mean of squares of a matrix in the memory of its rows and columns. Its row is in [`super::adam`].
//!
//! ```text
//! ρ_t = 1 − t^−0.8                       R ← ρ_t R + (1 − ρ_t) mean over columns of g² + ε₁
//! V = R Cᵀ / mean R                      C ← ρ_t C + (1 − ρ_t) mean over rows    of g² + ε₁
//! u = g / √V,   u ← u / max(1, RMS u)    w ← w − η max(ε₂, RMS w) u
//! ```
//!
//! Arrays of rank 2 or more are factored along their last two axes, others keep all their squares. The rate is relative to the size of
//! the parameters. Conventions as in the paper and optax (whose `adafactor` works out t^−0.8 in f32); torch.optim caps η at 1/√t and has
//! another ε₁, which changes nothing in the ordinary range. Law: exact. Cost: for a matrix [m, n], m + n numbers.

use retrograde_core::trace::Var;
use retrograde_core::trace::var::full;

use super::map::{Given, Leaves, Rule, State, Update, as_dtype, named, no_steps};
use super::schedule::{IntoRate, descend};

/// Regularises the squares. This, the exponent, the threshold and the smallest scale are those of Shazeer and Stern (2018), algorithm 4
/// and section 9.
const EPSILON_1: f64 = 1e-30;
/// The least scale of a parameter.
const EPSILON_2: f64 = 1e-3;
/// How fast the memory grows.
const EXPONENT: f64 = 0.8;

#[derive(Debug)]
struct Factored;

fn mean_over(x: Var, axis: usize) -> Var {
    x.sum_axes(&[axis]) / x.shape()[axis] as f64
}

/// The mean of squares: RMS².
fn mean_square(x: Var) -> Var {
    (x * x).mean()
}

impl Rule for Factored {
    fn name(&self) -> String {
        "adafactor direction".into()
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let without = |w: Var, from_end: usize| {
            let mut shape = w.shape().to_vec();
            shape.remove(shape.len() - from_end);
            full(w.dtype(), shape, 0.0)
        };
        let (matrices, others): (Vec<_>, Vec<_>) =
            parameters.0.iter().cloned().partition(|(_, w)| w.rank() >= 2);
        let of = |all: &[(String, Var)], f: &dyn Fn(Var) -> Var| {
            Leaves(all.iter().map(|(path, w)| (path.clone(), f(*w))).collect())
        };
        State::new(&self.name())
            .with("row", of(&matrices, &|w| without(w, 1)))
            .with("column", of(&matrices, &|w| without(w, 2)))
            .with("square", of(&others, &|w| full(w.dtype(), w.shape(), 0.0)))
            .with_number("count", no_steps())
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let (before, count) = state.counted();
        let new_share = (before + 1.0).pow(-EXPONENT);
        let mix = |old: Var, new: Var| {
            let share = as_dtype(new_share, old.dtype());
            (1.0 - share) * old + share * new
        };
        let (mut rows, mut columns, mut squares) = (vec![], vec![], vec![]);
        let (mut old_matrices, mut old_squares) =
            (state.slot("row").0.iter().zip(&state.slot("column").0), state.slot("square").0.iter());
        let expect = "as many states as parameters; this is a bug in retrograde";
        let pairs = given.gradient.0.iter().zip(&given.parameters.0);
        let steps = pairs.map(|((path, g), (_, w))| {
            let (g, new) = (*g, *g * *g + EPSILON_1);
            let rank = g.rank();
            let u = if rank >= 2 {
                let ((_, row), (_, column)) = old_matrices.next().expect(expect);
                let (row, column) =
                    (mix(*row, mean_over(new, rank - 1)), mix(*column, mean_over(new, rank - 2)));
                rows.push((path.clone(), row));
                columns.push((path.clone(), column));
                let shape = g.shape();
                let batch: Vec<usize> = (0..rank - 2).collect();
                let mean = mean_over(row, rank - 2);
                let whole = row / mean.broadcast(row.shape(), &batch);
                let row_axes: Vec<usize> = (0..rank - 1).collect();
                let column_axes: Vec<usize> = batch.iter().copied().chain([rank - 1]).collect();
                g * whole.rsqrt().broadcast(shape.clone(), &row_axes)
                    * column.rsqrt().broadcast(shape, &column_axes)
            } else {
                let square = mix(old_squares.next().expect(expect).1, new);
                squares.push((path.clone(), square));
                g * square.rsqrt()
            };
            // √ of at least 1 and of at least ε₂²: no root of 0.
            let u = u / mean_square(u).max(1.0).sqrt();
            (path.clone(), mean_square(*w).max(EPSILON_2 * EPSILON_2).sqrt() * u)
        });
        let steps = Leaves(steps.collect());
        let next = State::new(&self.name())
            .with("row", Leaves(rows))
            .with("column", Leaves(columns))
            .with("square", Leaves(squares))
            .with_number("count", count);
        (steps, next)
    }
}

/// Adafactor with a rate relative to the size of the parameters; 0.01 is the paper's at most.
///
/// ```
/// use retrograde_array::{Array, DType, array};
/// use retrograde_core::trace::tree::leaves;
/// use retrograde_tricks::update::adafactor::adafactor;
/// let (w, update) = (Array::full(DType::F64, [4, 8], 1.0.into()), adafactor(0.01));
/// let state = update.init(&w)?;
/// let remembered: usize = leaves(&state).iter().map(|(_, array)| array.size()).sum();
/// assert_eq!(remembered, 4 + 8 + 1); // and not 32
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn adafactor(rate: impl IntoRate) -> Update {
    named("adafactor", vec![Update::new(Factored, vec![]), descend(rate)])
}
