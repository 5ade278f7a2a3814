//! Rows to train on, to stop early by, and to test on: parts that keep the shares of the classes.

use std::collections::BTreeMap;

use crate::data::Targets;
use crate::diagnosis::short;

/// One way to divide the rows. The lists ascend and have no row in common.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fold {
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows that decide when to stop, and are not trained on.
    pub validation: Vec<usize>,
    /// Rows to test on.
    pub test: Vec<usize>,
}

/// Why the rows cannot be divided.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SplitError {
    /// One fold leaves nothing to train on.
    #[error(
        "error: found {found} folds, expected at least 2\n  --> --folds {found}\n  help: try `--folds 5`, or leave it out"
    )]
    TooFewFolds {
        /// How many were asked for.
        found: usize,
    },
    /// A class would be missing from some test rows.
    #[error(
        "error: found {found} rows of the class \"{class}\", expected at least one for each of the {n_folds} folds\n  \
         --> --folds {n_folds}\n  help: ask for fewer folds, bring more rows of the class, or leave the class out"
    )]
    TooFewRows {
        /// The name of the class.
        class: String,
        /// Its rows.
        found: usize,
        /// The folds asked for.
        n_folds: usize,
    },
    /// Fewer rows than folds.
    #[error(
        "error: found {found} rows, expected at least one for each of the {n_folds} folds\n  --> --folds {n_folds}\n  \
         help: ask for fewer folds, or bring more rows"
    )]
    FewerRowsThanFolds {
        /// The rows.
        found: usize,
        /// The folds asked for.
        n_folds: usize,
    },
}

/// Divides the rows into `n_folds` test sets, each row in exactly one. The sizes of the test sets differ by at most one,
/// and so do the numbers of rows of any one class in them. Rows whose targets are numbers are of one class.
///
/// `permute(n)` gives a permutation of `0..n`; it is called once for each class, labels ascending, and is the only
/// source of chance: the caller brings the keyed one.
///
/// # Errors
/// Fewer than two folds, no rows, a class with fewer rows than folds.
pub fn stratified_folds(
    targets: &Targets,
    n_folds: usize,
    permute: &mut dyn FnMut(usize) -> Vec<usize>,
) -> Result<Vec<Fold>, SplitError> {
    if n_folds < 2 {
        return Err(SplitError::TooFewFolds { found: n_folds });
    }
    let n_rows = targets.len();
    if n_rows < n_folds {
        return Err(SplitError::FewerRowsThanFolds { found: n_rows, n_folds });
    }
    let classes = rows_by_class(targets, &(0..n_rows).collect::<Vec<_>>());
    // Dealt like cards: each class goes on where the one before it stopped, which keeps the sizes even.
    let mut fold_of = vec![0; n_rows];
    let mut next = 0;
    for (class, rows) in &classes {
        if rows.len() < n_folds {
            // Numbers are of one class, which has as many rows as there are.
            let class = match targets {
                Targets::Classes { names, .. } => short(&names[*class as usize]),
                Targets::Values(_) => String::new(),
            };
            return Err(SplitError::TooFewRows { class, found: rows.len(), n_folds });
        }
        for from in permutation(rows.len(), permute) {
            fold_of[rows[from]] = next;
            next = (next + 1) % n_folds;
        }
    }
    let fold = |fold_idx| {
        let (test, train) = (0..n_rows).partition(|&row_idx| fold_of[row_idx] == fold_idx);
        Fold { train, validation: vec![], test }
    };
    Ok((0..n_folds).map(fold).collect())
}

/// Divides some rows into those kept and those held out, about `share` of them and of each class; a class with more than
/// one row keeps at least one. Both lists ascend.
///
/// `permute` as in [`stratified_folds`].
pub fn hold_out(
    targets: &Targets,
    rows: &[usize],
    share: f64,
    permute: &mut dyn FnMut(usize) -> Vec<usize>,
) -> (Vec<usize>, Vec<usize>) {
    let (mut kept, mut held_out) = (vec![], vec![]);
    let mut n_seen = 0;
    for rows in rows_by_class(targets, rows).into_values() {
        n_seen += rows.len();
        // What rounding took from one class it gives to the next.
        let due = ((share * n_seen as f64).round() as usize).saturating_sub(held_out.len());
        let n_out = due.min(rows.len() - 1);
        for (place, from) in permutation(rows.len(), permute).into_iter().enumerate() {
            if place < n_out { held_out.push(rows[from]) } else { kept.push(rows[from]) }
        }
    }
    kept.sort_unstable();
    held_out.sort_unstable();
    (kept, held_out)
}

fn rows_by_class(targets: &Targets, rows: &[usize]) -> BTreeMap<u32, Vec<usize>> {
    let mut classes = BTreeMap::<u32, Vec<usize>>::new();
    for &row_idx in rows {
        let class = targets.labels().map_or(0, |labels| labels[row_idx]);
        classes.entry(class).or_default().push(row_idx);
    }
    classes
}

fn permutation(n: usize, permute: &mut dyn FnMut(usize) -> Vec<usize>) -> Vec<usize> {
    let order = permute(n);
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..n), "not a permutation of 0..{n}; this is a bug in retrograde");
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stride permutation: `step` has no factor in common with any n used here.
    fn stride(step: usize) -> impl FnMut(usize) -> Vec<usize> {
        move |n| (0..n).map(|i| (i * step + 1) % n).collect()
    }

    fn classes(labels: &[u32]) -> Targets {
        Targets::Classes { labels: labels.to_vec(), names: (0..8).map(|class| class.to_string()).collect() }
    }

    #[test]
    fn held_out_rows_keep_the_shares_of_the_classes() {
        let targets = crate::digits().targets;
        let labels = targets.labels().unwrap();
        let all = (0..labels.len()).step_by(2).collect::<Vec<_>>();
        let (kept, held_out) = hold_out(&targets, &all, 0.3, &mut stride(101));
        let mut both = [kept.clone(), held_out.clone()].concat();
        both.sort_unstable();
        assert_eq!(both, all);
        assert!(kept.is_sorted() && held_out.is_sorted());
        assert!((held_out.len() as f64 - 0.3 * all.len() as f64).abs() <= 0.5);
        for class in 0..10 {
            let of = |rows: &[usize]| rows.iter().filter(|&&row_idx| labels[row_idx] == class).count() as f64;
            assert!((of(&held_out) - 0.3 * of(&all)).abs() <= 1.0);
        }
        // A class of one row is trained on, and numbers are of one class.
        assert_eq!(hold_out(&classes(&[0, 1, 1, 1]), &[0, 1, 2, 3], 0.5, &mut stride(1)).1.len(), 2);
        assert_eq!(hold_out(&classes(&[0, 1]), &[0, 1], 0.9, &mut stride(1)).0, [0, 1]);
        assert_eq!(hold_out(&Targets::Values(vec![0.5; 10]), &[0, 1, 2, 3], 0.25, &mut stride(1)).1.len(), 1);
    }

    #[test]
    fn every_row_is_tested_once_and_classes_keep_their_shares() {
        let targets = crate::digits().targets;
        let labels = targets.labels().unwrap();
        let folds = stratified_folds(&targets, 5, &mut stride(101)).unwrap();
        let mut tested = folds.iter().flat_map(|fold| fold.test.clone()).collect::<Vec<_>>();
        tested.sort_unstable();
        assert!(tested.into_iter().eq(0..labels.len()));
        let spread = |counts: Vec<usize>| counts.iter().max().unwrap() - counts.iter().min().unwrap();
        assert!(spread(folds.iter().map(|fold| fold.test.len()).collect()) <= 1);
        for class in 0..10 {
            let members = |fold: &Fold| fold.test.iter().filter(|&&row_idx| labels[row_idx] == class).count();
            assert!(spread(folds.iter().map(members).collect()) <= 1);
        }
        for fold in &folds {
            let mut all = [fold.train.clone(), fold.test.clone()].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..labels.len()));
            assert!(fold.train.is_sorted() && fold.test.is_sorted());
        }
    }

    #[test]
    fn folds_depend_on_the_permutation_and_on_nothing_else() {
        let targets = crate::digits().targets;
        let folds = |step| stratified_folds(&targets, 5, &mut stride(step)).unwrap();
        assert_eq!(folds(101), folds(101));
        assert_ne!(folds(101), folds(103));
    }

    #[test]
    fn wrong_requests_say_what_is_wrong() {
        let check = |labels: &[u32], n_folds, expected: &str| {
            let error = stratified_folds(&classes(labels), n_folds, &mut stride(1)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(
            &[0, 1],
            1,
            "error: found 1 folds, expected at least 2\n  --> --folds 1\n  help: try `--folds 5`, or leave it out",
        );
        for n_rows in [0, 4] {
            check(
                &vec![0; n_rows],
                5,
                &format!(
                    "error: found {n_rows} rows, expected at least one for each of the 5 folds\n  --> --folds 5\n  help: ask \
                     for fewer folds, or bring more rows"
                ),
            );
        }
        check(
            &[0, 0, 7],
            2,
            "error: found 1 rows of the class \"7\", expected at least one for each of the 2 folds\n  --> --folds 2\n  help: \
             ask for fewer folds, bring more rows of the class, or leave the class out",
        );
    }

    #[test]
    #[should_panic(expected = "this is a bug in retrograde")]
    fn a_wrong_permutation_is_our_bug() {
        let _ = stratified_folds(&classes(&[0, 0, 0]), 2, &mut |n| vec![0; n]);
    }
}
