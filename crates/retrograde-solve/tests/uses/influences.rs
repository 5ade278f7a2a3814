//! Which examples a fit rests on.

use super::*;
use retrograde_solve::linear::LinearError;
use retrograde_solve::uses::{Scores, factored, influence};

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let dot = |f: &dyn Fn(usize) -> f64| (0..a.len()).map(f).sum::<f64>();
    dot(&|i| (a[i] - ma) * (b[i] - mb))
        / (dot(&|i| (a[i] - ma).powi(2)) * dot(&|i| (b[i] - mb).powi(2))).sqrt()
}

/// Scores by conjugate gradients to this tolerance.
fn scores(p: &Array, train: &Arrays, test: &Arrays, tolerance: f64) -> Scores<f64> {
    let curvature = hvp(penalised);
    influence(logistic)
        .rows_at_once(32)
        .on_loss(p, train, test, |g| {
            let found = cg(|v| curvature.call((p, train), v), g).tolerance(tolerance).solve()?;
            let residual = *found.residuals.last().unwrap();
            Ok::<_, LinearError>((found.x, residual))
        })
        .unwrap()
}

/// Fitted again without each of the rows. The first term of the series is right to O(1/n).
#[test]
fn predicted_changes_are_those_of_fits_without_the_example() {
    let (n, d) = (120, 6);
    let (train, test) = (sample(1, n, d), sample(2, 20, d));
    let p = fit(&array(vec![0.0; d]), &train);
    let found = scores(&p, &train, &test, 1e-10);
    assert!(found.certificate <= 1e-10);
    let before = grad_free(&p, &test);
    let actual: Vec<f64> = (0..n)
        .map(|row| {
            let mut without = train.clone();
            without.2.make_mut::<f64>().unwrap()[row] = 0.0;
            grad_free(&fit(&p, &without), &test) - before
        })
        .collect();
    let correlation = correlation(&found.changes, &actual);
    assert!(correlation > 0.99, "{correlation}");
    // Not only in proportion: a missing factor 1/n or a wrong sign would be seen.
    let slope = found.changes.iter().zip(&actual).map(|(a, b)| a * b).sum::<f64>()
        / found.changes.iter().map(|a| a * a).sum::<f64>();
    assert!((slope - 1.0).abs() < 0.1, "{slope}");
    // A group's change is near the sum, of the same sign.
    let group: Vec<usize> = found.most_helpful(4);
    let mut without = train.clone();
    group.iter().for_each(|&row| without.2.make_mut::<f64>().unwrap()[row] = 0.0);
    let together = grad_free(&fit(&p, &without), &test) - before;
    let sum = found.groups(&[group]).unwrap()[0];
    assert!(together > 0.0 && close(sum, together, 0.3), "{sum} {together}");
}

/// The loss itself.
fn grad_free(p: &Array, batch: &Arrays) -> f64 {
    retrograde_engine::jit(logistic).call((p, batch)).unwrap().item::<f64>().unwrap()
}

/// A residual ρ of the solve moves a score by at most ‖gᵢ‖ ‖ρ‖ / (n λ), λ at least the penalty.
#[test]
fn a_loose_solve_moves_scores_by_no_more_than_its_certificate_says() {
    let (n, d) = (80, 12);
    let (train, test) = (sample(3, n, d), sample(4, 5, d));
    let p = fit(&array(vec![0.0; d]), &train);
    let exact = scores(&p, &train, &test, 1e-13);
    let slope = length(&grad(logistic).call((&p, &test)).unwrap());
    let norms = retrograde_solve::curvature::per_example_gradients(logistic).call((&p, &train)).unwrap();
    for tolerance in [1e-1, 1e-3, 1e-6] {
        let loose = scores(&p, &train, &test, tolerance);
        let mut moved = 0.0_f64;
        for row in 0..n {
            let bound = length(&norms.row(row)) * loose.certificate * slope / (n as f64 * PENALTY);
            let apart = (loose.changes[row] - exact.changes[row]).abs();
            assert!(apart <= bound * (1.0 + 1e-9), "{tolerance} {row}: {apart} {bound}");
            moved = moved.max(apart);
        }
        assert!(moved > 0.0);
    }
}

#[test]
fn parts_of_rows_and_gradients_of_rows_give_the_same_scores() {
    let (train, test) = (sample(5, 37, 4), sample(6, 1, 4));
    let p = fit(&array(vec![0.0; 4]), &train);
    let curvature = hvp(penalised);
    let matrix = factored(|v| curvature.call((&p, &train), v), &p, 0.0).unwrap();
    let inverse = |g: &Array| matrix.solve(g).map(|x| (x, ()));
    let of =
        |rows: usize| influence(logistic).rows_at_once(rows).on_loss(&p, &train, &test, inverse).unwrap();
    let (whole, parts) = (of(37), of(5));
    let x = matrix.solve(&grad(logistic).call((&p, &test)).unwrap()).unwrap();
    let each = retrograde_solve::curvature::per_example_gradients(logistic).call((&p, &train)).unwrap();
    for row in 0..37 {
        let product: f64 = numbers(&each.row(row)).iter().zip(numbers(&x)).map(|(g, x)| g * x).sum();
        assert!(close(whole.changes[row], product / 37.0, 1e-12), "{row}");
        assert!(close(parts.changes[row], product / 37.0, 1e-12), "{row}");
    }
    // The influence of an example on its own loss.
    let own = influence(logistic).on_themselves(&p, &train, inverse).unwrap();
    for row in [0, 17, 36] {
        let alone = (train.0.row(row), train.1.row(row), train.2.row(row));
        let alone = (
            alone.0.reshaped([1, 4]).unwrap(),
            alone.1.reshaped([1]).unwrap(),
            alone.2.reshaped([1]).unwrap(),
        );
        let of_it = influence(logistic).on_loss(&p, &train, &alone, inverse).unwrap();
        assert!(close(own[row], of_it.changes[row], 1e-12) && own[row] > 0.0, "{row}");
    }
}
