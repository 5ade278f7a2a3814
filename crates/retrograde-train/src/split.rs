//! Cross-validation folds that keep the shares of the classes.

use std::collections::BTreeMap;

/// One way to divide the rows. Both lists ascend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fold {
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows to test on.
    pub test: Vec<usize>,
}

/// Why the rows cannot be divided.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SplitError {
    /// One fold leaves nothing to train on.
    #[error("found {found} folds, expected at least 2")]
    TooFewFolds {
        /// How many were asked for.
        found: usize,
    },
    /// A class would be missing from some test rows.
    #[error(
        "class {label} has {found} rows, expected at least one for each of the {n_folds} folds; ask for fewer folds"
    )]
    TooFewRows {
        /// The class.
        label: i64,
        /// Its rows.
        found: usize,
        /// The folds asked for.
        n_folds: usize,
    },
    /// There is nothing to divide.
    #[error("found no rows to divide into folds")]
    NoRows,
}

/// Divides the rows into `n_folds` test sets, each row in exactly one. The sizes of the test sets differ by at most one,
/// and so do the numbers of rows of any one class in them.
///
/// `permute(n)` gives a permutation of `0..n`; it is called once for each class, labels ascending, and is the only
/// source of chance: the caller brings the keyed one.
///
/// # Errors
/// Fewer than two folds, no rows, a class with fewer rows than folds.
pub fn stratified_folds(
    labels: &[i64],
    n_folds: usize,
    permute: &mut dyn FnMut(usize) -> Vec<usize>,
) -> Result<Vec<Fold>, SplitError> {
    if n_folds < 2 {
        return Err(SplitError::TooFewFolds { found: n_folds });
    }
    if labels.is_empty() {
        return Err(SplitError::NoRows);
    }
    let mut classes = BTreeMap::<i64, Vec<usize>>::new();
    for (row_idx, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(row_idx);
    }
    // Dealt like cards: each class goes on where the one before it stopped, which keeps the sizes even.
    let mut fold_of = vec![0; labels.len()];
    let mut next = 0;
    for (&label, rows) in &classes {
        if rows.len() < n_folds {
            return Err(SplitError::TooFewRows { label, found: rows.len(), n_folds });
        }
        for from in permutation(rows.len(), permute) {
            fold_of[rows[from]] = next;
            next = (next + 1) % n_folds;
        }
    }
    let fold = |fold_idx| {
        let (test, train) = (0..labels.len()).partition(|&row_idx| fold_of[row_idx] == fold_idx);
        Fold { train, test }
    };
    Ok((0..n_folds).map(fold).collect())
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

    #[test]
    fn every_row_is_tested_once_and_classes_keep_their_shares() {
        let labels = crate::digits().labels;
        let folds = stratified_folds(&labels, 5, &mut stride(101)).unwrap();
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
        let labels = crate::digits().labels;
        let folds = |step| stratified_folds(&labels, 5, &mut stride(step)).unwrap();
        assert_eq!(folds(101), folds(101));
        assert_ne!(folds(101), folds(103));
    }

    #[test]
    fn wrong_requests_say_what_is_wrong() {
        let check = |labels: &[i64], n_folds, expected: &str| {
            let error = stratified_folds(labels, n_folds, &mut stride(1)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(&[0, 1], 1, "found 1 folds, expected at least 2");
        check(&[], 5, "found no rows to divide into folds");
        check(
            &[0, 0, 7],
            2,
            "class 7 has 1 rows, expected at least one for each of the 2 folds; ask for fewer folds",
        );
    }

    #[test]
    #[should_panic(expected = "this is a bug in retrograde")]
    fn a_wrong_permutation_is_our_bug() {
        let _ = stratified_folds(&[0, 0, 0], 2, &mut |n| vec![0; n]);
    }
}
