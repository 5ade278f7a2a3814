//! Jacobian colouring: columns that share no row are found along one direction together.
//!
//! ```text
//! columns i and j get different colours where a row has entries in both;   B = J S, S[i, c] = 1 where column i has colour c
//! J[r, i] = B[r, colour of i]
//! ```
//!
//! Law: exact; χ directions instead of n. A pattern that misses an entry would give a wrong Jacobian: one direction more, at random,
//! finds that out.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::trace::Error;
use retrograde_core::trace::Var;
use retrograde_core::trace::function::Function;
use retrograde_engine::{jacobian, jit, jvp, vmap};

use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`coloured_jacobian`].
pub const COLOURING: Trick = Trick {
    id: "C16",
    name: "Jacobian colouring",
    formula: "J from B = J S with a column of S for each colour",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "A. R. Curtis and M. J. D. Powell and J. K. Reid",
            title: "On the Estimation of Sparse Jacobian Matrices",
            venue: "IMA Journal of Applied Mathematics 13",
            year: 1974,
        },
        Source {
            authors: "T. F. Coleman and J. J. Moré",
            title: "Estimation of sparse Jacobian matrices and graph coloring problems",
            venue: "SIAM Journal on Numerical Analysis 20",
            year: 1983,
        },
    ],
    file: file!(),
    example: "coloured_jacobian",
    property: Property {
        claim: "the Jacobian from χ directions has the entries of that from n",
        test: "a_jacobian_from_few_colours_is_that_of_all_directions",
        found: "equal numbers from 3 colours for 40 columns with three diagonals, and 5 to 7 for a grid of 42; every missed entry is an error",
    },
};

/// Which entries of a Jacobian may differ from zero.   m rows, n columns.
///
/// ```
/// use retrograde_tricks::tape::colouring::Pattern;
/// let pattern = Pattern { n_columns: 3, rows: vec![vec![0, 1], vec![1, 2]] };
/// assert_eq!(pattern.colours(), [1, 0, 1]); // the first and the last share no row
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    /// n
    pub n_columns: usize,
    /// The columns of the entries of each row, ascending.
    pub rows: Vec<Vec<usize>>,
}

impl Pattern {
    /// The entries that differ from zero at one of `points`. Entries of a function without branches that are zero there by chance are
    /// missed with probability zero where a point is random.
    ///
    /// # Errors
    /// Mistakes in the function; errors while running.
    /// # Cost
    /// n directions for each point, once.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::tape::colouring::Pattern;
    /// let pattern = Pattern::of(&|x: Var| x * x, &[array([1.0, 2.0])])?;
    /// assert_eq!(pattern.rows, [[0], [1]]);
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn of(f: &impl Fn(Var) -> Var, points: &[Array]) -> Result<Pattern, Error> {
        let dense = jacobian(f).forward();
        let mut pattern = Pattern { n_columns: 0, rows: vec![] };
        for point in points {
            let j = dense.call(point)?;
            let (m, n) = (j.shape()[0], j.shape()[1]);
            pattern.n_columns = n;
            pattern.rows.resize(m, vec![]);
            let entries = ops::convert(&j, DType::F64).to_vec::<f64>().unwrap_or_default();
            for (row, found) in pattern.rows.iter_mut().zip(entries.chunks(n.max(1))) {
                let here = (0..n).filter(|&i| found[i] != 0.0);
                let mut all: Vec<usize> = row.iter().copied().chain(here).collect();
                all.sort_unstable();
                all.dedup();
                *row = all;
            }
        }
        Ok(pattern)
    }

    /// A colour for each column, greedily, the columns with most neighbours first (Welsh and Powell 1967). At most one more than there are
    /// neighbours of a column; the least number is hard to find.
    pub fn colours(&self) -> Vec<usize> {
        let mut rows_of = vec![vec![]; self.n_columns];
        for (r, row) in self.rows.iter().enumerate() {
            row.iter().for_each(|&i| rows_of[i].push(r));
        }
        let neighbours = |i: usize| rows_of[i].iter().flat_map(|&r| self.rows[r].iter().copied());
        let mut order: Vec<usize> = (0..self.n_columns).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(neighbours(i).count()));
        let mut colours = vec![usize::MAX; self.n_columns];
        for i in order {
            let taken: Vec<usize> = neighbours(i).map(|j| colours[j]).collect();
            colours[i] = (0..).find(|colour| !taken.contains(colour)).unwrap_or(0);
        }
        colours
    }
}

/// Why there is no Jacobian.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ColouringError {
    /// The function could not be traced or run.
    #[error(transparent)]
    Run(#[from] Error),
    /// The pattern is of another function.
    #[error(
        "the pattern has {rows} rows and {columns} columns, but the function takes {found_columns} numbers to {found_rows}"
    )]
    Shape {
        /// Of the pattern.
        rows: usize,
        /// Of the pattern.
        columns: usize,
        /// Of the function.
        found_rows: usize,
        /// Of the function.
        found_columns: usize,
    },
    /// There are entries outside of the pattern.
    #[error(
        "row {row} of the Jacobian has entries outside of the pattern: along a random direction it gives {found}, expected {expected}; \
         find the pattern at more points, or add the entries"
    )]
    Missed {
        /// The first such row.
        row: usize,
        /// By the pattern.
        found: f64,
        /// Along the direction.
        expected: f64,
    },
}

/// The Jacobian of a function of a vector, from as many directions as there are colours, and one more that checks the pattern.
/// f: `[n]` → `[m]` → `[m, n]`.
///
/// # Errors
/// [`ColouringError`].
/// # Cost
/// χ + 1 directions.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::tape::colouring::{ColouringError, Pattern, coloured_jacobian};
/// let f = |x: Var| x * x;
/// let diagonal = Pattern { n_columns: 3, rows: vec![vec![0], vec![1], vec![2]] };
/// let j = coloured_jacobian(&f, &diagonal, &array([1.0, 2.0, 3.0]))?;
/// assert_eq!(j, array([[2.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 6.0]]));
/// let missed = coloured_jacobian(&|x: Var| x * x.sum(), &diagonal, &array([1.0, 2.0, 3.0]));
/// assert!(matches!(missed, Err(ColouringError::Missed { row: 0, .. })));
/// # Ok::<(), ColouringError>(())
/// ```
pub fn coloured_jacobian(
    f: &impl Fn(Var) -> Var,
    pattern: &Pattern,
    x: &Array,
) -> Result<Array, ColouringError> {
    let (n, m) = (pattern.n_columns, pattern.rows.len());
    let colours = pattern.colours();
    let n_colours = colours.iter().max().map_or(0, |most| most + 1);
    // A row for each colour, and the check.
    let mut seeds: Vec<f64> = (0..n_colours)
        .flat_map(|colour| colours.iter().map(move |&of| f64::from(u8::from(of == colour))))
        .collect();
    // Any fixed key: the direction has to be in general position, not secret.
    let check = normal(Key::from_seed(0), [n]).to_vec::<f64>().unwrap_or_default();
    seeds.extend(&check);
    let shape_error = |found_rows: usize| ColouringError::Shape {
        rows: m,
        columns: n,
        found_rows,
        found_columns: x.size(),
    };
    if x.rank() != 1 || x.size() != n {
        return Err(shape_error(m));
    }
    let seeds = array(seeds).reshaped([n_colours + 1, n]).map_err(|_| shape_error(m))?;
    let along = jit(|x: Var, seeds: Var| vmap(|seed: Var| jvp(f).at(x, &seed).1[0]).apply((seeds,)));
    let found = along.call((x, &ops::convert(&seeds, x.dtype())))?;
    if found.size() != (n_colours + 1) * m {
        return Err(shape_error(found.size() / (n_colours + 1)));
    }
    let wide = ops::convert(&found, DType::F64).to_vec::<f64>().unwrap_or_default();
    let mut j = vec![0.0; m * n];
    for (r, row) in pattern.rows.iter().enumerate() {
        row.iter().for_each(|&i| j[r * n + i] = wide[colours[i] * m + r]);
    }
    // Half the digits of the function's type: rounding stays below.
    let tolerance =
        if x.dtype() == DType::F64 { f64::EPSILON.sqrt() } else { f64::from(f32::EPSILON).sqrt() };
    for r in 0..m {
        let terms = (0..n).map(|i| j[r * n + i] * check[i]);
        let (found, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
        let expected = wide[n_colours * m + r];
        if (found - expected).abs() > tolerance * (size + expected.abs()) {
            return Err(ColouringError::Missed { row: r, found, expected });
        }
    }
    let j = array(j).reshaped([m, n]).map_err(|_| shape_error(m))?;
    Ok(ops::convert(&j, x.dtype()))
}
