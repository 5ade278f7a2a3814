//! Momentum on a quadratic, and what early stopping does there.

use retrograde_array::array;
use retrograde_tricks::update::adam::{Adam, Variant, adamw};
use retrograde_tricks::update::map::Update;
use retrograde_tricks::update::momentum::{best_for_quadratic, momentum, nesterov, sgd};
use retrograde_tricks::update::weight_decay::ridge_of_early_stopping;

use crate::{distance, numbers, shaped};

/// The iterates of a diagonal quadratic ½ Σ h w² from 1.
fn descent(update: &Update, h: &[f64], n_steps: usize) -> Vec<Vec<f64>> {
    let mut w = shaped(&[h.len()], vec![1.0; h.len()]);
    let mut state = update.init(&w).unwrap();
    let mut all = vec![];
    for _ in 0..n_steps {
        let g = shaped(&[h.len()], numbers(&w).iter().zip(h).map(|(w, h)| w * h).collect());
        (w, state) = update.step(&g, state, w).unwrap();
        all.push(numbers(&w));
    }
    all
}

/// The t-th iterate of w ← (1 − a + β) w − β w₋ with roots r, s of x² − (1 − a + β) x + β (Nesterov: a β more), in closed form.
fn closed(trace: f64, product: f64, first: f64, t: usize) -> f64 {
    let (mid, square) = (trace / 2.0, trace * trace / 4.0 - product);
    if square >= 0.0 {
        let (r, s) = (mid + square.sqrt(), mid - square.sqrt());
        // A rᵗ + B sᵗ with the values 1 and `first` at 0 and 1.
        let a = (first - s) / (r - s);
        a * r.powi(t as i32) + (1.0 - a) * s.powi(t as i32)
    } else {
        let (size, angle) = (product.sqrt(), ((-square).sqrt()).atan2(mid));
        let b = (first / size - angle.cos()) / angle.sin();
        size.powi(t as i32) * ((t as f64 * angle).cos() + b * (t as f64 * angle).sin())
    }
}

#[test]
fn momentum_on_a_quadratic_is_its_closed_form() {
    let (eta, beta) = (0.1, 0.5);
    let h = [0.2, 1.0, 3.0, 7.0];
    for (name, iterates) in [
        ("momentum", descent(&momentum(eta, beta), &h, 40)),
        ("nesterov", descent(&nesterov(eta, beta), &h, 40)),
    ] {
        for (i, h) in h.iter().enumerate() {
            for (t, w) in iterates.iter().enumerate() {
                let a = eta * h;
                let expected = if name == "momentum" {
                    closed(1.0 - a + beta, beta, 1.0 - a, t + 1)
                } else {
                    closed((1.0 - a) * (1.0 + beta), beta * (1.0 - a), 1.0 - a * (1.0 + beta), t + 1)
                };
                assert!(
                    (w[i] - expected).abs() < 1e-12,
                    "{name}, h = {h}, step {t}: {} and {expected}",
                    w[i]
                );
            }
        }
    }
    // Nesterov's is not momentum's.
    let (plain, ahead) = (descent(&momentum(eta, beta), &h, 3), descent(&nesterov(eta, beta), &h, 3));
    assert!(distance(&plain[2], &ahead[2]) > 1e-2);

    // The best settings: at both ends of the spectrum the roots have the modulus (√κ − 1)/(√κ + 1).
    let (low, high) = (1.0, 100.0);
    let (eta, beta) = best_for_quadratic(low, high);
    let rate = (10.0 - 1.0) / (10.0 + 1.0);
    let errors = descent(&momentum(eta, beta), &[low, 10.0, high], 400);
    let size = |w: &Vec<f64>| w.iter().map(|w| w.abs()).fold(0.0, f64::max);
    // Double roots: t rᵗ, so that the quotient over n steps is rⁿ times t/(t − n).
    let per_step = (size(&errors[399]) / size(&errors[199]) / 2.0).powf(1.0 / 200.0);
    assert!((per_step - rate).abs() < 1e-4, "{per_step} and {rate}");
    // A little more or less momentum is slower.
    for worse in [0.95 * beta, 1.05 * beta] {
        let errors = descent(&momentum(eta, worse), &[low, 10.0, high], 400);
        assert!(
            size(&errors[399]) > 10.0 * size(&descent(&momentum(eta, beta), &[low, 10.0, high], 400)[399])
        );
    }
}

#[test]
fn early_stopping_is_ridge() {
    // ½ h (w − 1)² from 0 is ½ h u² from 1 with w = 1 − u.
    let h = [0.01, 0.1, 0.5, 1.0, 3.0];
    let eta = 0.2;
    for n_steps in [1, 5, 20, 60] {
        let w = &descent(&sgd(eta), &h, n_steps)[n_steps - 1];
        for (u, h) in w.iter().zip(h) {
            let lambda = ridge_of_early_stopping(h, eta, n_steps as u64);
            let ridge = h / (h + lambda);
            assert!((1.0 - u - ridge).abs() < 1e-12, "{n_steps} steps, h = {h}: {} and {ridge}", 1.0 - u);
            // One step off is another penalty.
            let other = h / (h + ridge_of_early_stopping(h, eta, n_steps as u64 + 1));
            assert!((1.0 - u - other).abs() > 1e-12 || (1.0 - ridge) < 1e-5);
        }
    }
}

/// Exact arithmetic on halves: three steps of Adam with β₁ = ½, β₂ = ¾ and gradients whose squares have rational roots.
#[test]
fn three_steps_of_adam_are_those_by_hand() {
    let update = Adam { beta_1: 0.5, beta_2: 0.75, epsilon: 0.0, variant: Variant::Plain }.update(1.0);
    let w = array([0.0]);
    let mut state = update.init(&w).unwrap();
    let (mut m, mut v, mut found, mut expected) = (0.0, 0.0, vec![], vec![]);
    for (t, g) in [1.0, -3.0, 2.0].into_iter().enumerate() {
        let (step, next) = update.update(&array([g]), &state, &w).unwrap();
        found.extend(numbers(&step));
        state = next;
        // Sums of dyadic numbers: exact. One division each, one root, one division: within two units.
        (m, v) = (0.5 * m + 0.5 * g, 0.75 * v + 0.25 * g * g);
        let unit = |beta: f64| 1.0 - beta.powi(t as i32 + 1);
        expected.push(-(m / unit(0.5)) / (v / unit(0.75)).sqrt());
    }
    // -1; (-5/4)/(3/4) / √((39/16)/(7/16)); …
    assert!((expected[1] - (5.0 / 3.0) / (39.0_f64 / 7.0).sqrt()).abs() < 1e-15);
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= 2.0 * f64::EPSILON * expected.abs(), "{found} and {expected}");
    }
}

#[test]
fn the_first_step_of_adam_is_the_sign_and_adamw_shrinks_exactly() {
    let (w, g) = (array([4.0, -2.0, 8.0]), array([1e3, -1e-3, 2.0]));
    let update = Adam { epsilon: 0.0, ..Adam::default() }.update(0.25);
    let step = numbers(&update.update(&g, &update.init(&w).unwrap(), &w).unwrap().0);
    assert!(distance(&step, &[-0.25, 0.25, -0.25]) < 1e-15);
    // No gradient: w (1 − ηλ), to the bit.
    let update = adamw(0.25, 0.5);
    let (moved, _) = update.step(&array([0.0, 0.0, 0.0]), update.init(&w).unwrap(), w.clone()).unwrap();
    assert_eq!(moved, array([3.5, -1.75, 7.0]));
}

/// Reddi, Kale and Kumar (2018), section 3: on [−1, 1] with gradients C, −1, −1, C, −1, −1, … and C = 3, β₁ = 0, β₂ = 1/(1 + C²), the
/// best point is −1; Adam goes to 1, AMSGrad does not.
#[test]
fn amsgrad_solves_the_example_that_adam_does_not() {
    let end = |variant: Variant| {
        let update = Adam { beta_1: 0.0, beta_2: 0.1, epsilon: 0.0, variant }.direction();
        let mut w = 0.0_f64;
        let mut state = update.init(&array(w)).unwrap();
        for t in 1..=3000 {
            let g = if t % 3 == 1 { 3.0 } else { -1.0 };
            let (step, next) = update.update(&array(g), &state, &array(w)).unwrap();
            state = next;
            w = (w - 0.1 / f64::from(t).sqrt() * step.item::<f64>().unwrap()).clamp(-1.0, 1.0);
        }
        w
    };
    let (plain, largest) = (end(Variant::Plain), end(Variant::AmsGrad));
    assert!(plain > 0.9, "{plain}");
    assert!(largest < -0.9, "{largest}");
}
