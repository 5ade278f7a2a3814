//! What inverse curvature refuses: what was measured, and what to change by how much.

use retrograde_solve::curvature::{Batches, Cause, CurvatureError, Preconditioner, RightSide, inverse_hvp};

use super::*;

/// Curvature diag(3, 1, s).
fn with_third(s: f64) -> impl Fn(Var, Var) -> Var + Copy {
    move |p: Var, x: Var| {
        let scale = retrograde_core::trace::var::constant(&array([3.0, 1.0, s]));
        0.5 * (scale * p * p).sum() * x.mean()
    }
}

struct Setup {
    batches: Batches<Array>,
    p: Array,
    g: Array,
}

/// Batches of one of two rows whose mean is one.
fn setup(spread: f64) -> Setup {
    let data = array([[1.0 - spread], [1.0 + spread]]);
    Setup { batches: Batches::of(&data, 1).unwrap(), p: array([1.0, 1.0, 1.0]), g: array([1.0, 1.0, 1.0]) }
}

fn cause<T>(result: Result<T, CurvatureError>) -> (Cause, String) {
    let error = result.err().expect("it is refused");
    (*error.cause.clone(), error.to_string())
}

#[test]
fn curvature_of_both_signs_is_refused_with_the_damping_that_it_takes() {
    let Setup { batches, p, g } = setup(0.1);
    let here = line!() + 1;
    let ask = |mu: f64| inverse_hvp(with_third(-0.5), &p, &g).stochastic(&batches).steps(50).damping(mu);
    let (found, text) = cause(ask(0.0).solve());
    let Cause::Indefinite { smallest, .. } = found else { panic!("{text}") };
    assert!((smallest + 0.5).abs() < 1e-9, "{text}");
    assert!(text.contains(&format!("refusals.rs:{here}:")), "{text}");
    assert!(
        text.contains("say `.damping(7.5000e-1)`, take `.gauss_newton()`, or `.normal_form()`"),
        "{text}"
    );
    // What it says works; less does not.
    assert!(ask(0.75).solve().is_ok());
    assert!(matches!(cause(ask(0.4).solve()).0, Cause::Indefinite { .. }));
}

#[test]
fn singular_curvature_is_refused_unless_g_has_no_part_there() {
    let Setup { batches, p, g } = setup(0.1);
    let (found, text) = cause(inverse_hvp(with_third(0.0), &p, &g).stochastic(&batches).solve());
    assert!(matches!(found, Cause::Singular { .. }), "{text}");
    assert!(text.contains("say `.damping(3.0000e-3)`"), "{text}");
    assert!(inverse_hvp(with_third(0.0), &p, &array([1.0, 1.0, 0.0])).stochastic(&batches).solve().is_ok());
    assert!(inverse_hvp(with_third(0.0), &p, &g).stochastic(&batches).damping(0.1).solve().is_ok());
}

#[test]
fn a_step_too_large_for_the_mean_is_refused_before_it_runs() {
    let Setup { batches, p, g } = setup(0.1);
    let ask = |eta: f64| inverse_hvp(with_third(0.5), &p, &g).stochastic(&batches).steps(50).eta(eta);
    let (found, text) = cause(ask(0.7).solve());
    let Cause::StepTooLarge { limit, .. } = found else { panic!("{text}") };
    assert!((limit - 2.0 / 3.0).abs() < 1e-9, "{text}");
    assert!(text.contains("say `.eta(3.3333e-1)`"), "{text}");
    assert!(ask(1.0 / 3.0).solve().is_ok());
}

/// The mean contracts, its square does not: rows of curvature 0.02 and 1.98 times the mean, a step that is safe for the mean.
#[test]
fn chains_that_grow_are_found_though_their_mean_does_not() {
    let data = array([[0.0], [0.0], [0.0], [4.0]]);
    let batches = Batches::of(&data, 1).unwrap();
    let (p, g) = (array([1.0, 1.0, 1.0]), array([1.0, 1.0, 1.0]));
    let ask =
        |eta: f64| inverse_hvp(with_third(0.5), &p, &g).stochastic(&batches).steps(300).eta(eta).chains(64);
    let (found, text) = cause(ask(0.6).solve());
    assert!(matches!(found, Cause::Diverged { .. }), "{text}");
    assert!(
        text.contains("say `.eta(3.0000e-1)`, draw batches of 2 rows or more, or precondition"),
        "{text}"
    );
    // A quarter of it settles: E (1 - 12 η λ/3 ..)² is below one.
    assert!(ask(0.1).solve().is_ok());
    // A roulette finds it by its own measure.
    let (found, text) =
        cause(inverse_hvp(with_third(0.5), &p, &g).stochastic(&batches).roulette(None).eta(0.6).solve());
    assert!(matches!(found, Cause::StepTooLarge { of_batches: true, .. }), "{text}");
}

#[test]
fn a_roulette_of_infinite_variance_is_refused_with_the_least_q() {
    let Setup { batches, p, g } = setup(0.5);
    let ask = |q: f64| inverse_hvp(with_third(0.5), &p, &g).stochastic(&batches).roulette(q).eta(0.2);
    let (found, text) = cause(ask(0.7).solve());
    let Cause::Roulette { rho2, .. } = found else { panic!("{text}") };
    // Slowest: curvature ½, E (1 - 0.1 s)² with s of mean 1 and deviation ½ = 0.81 + 0.0025.
    assert!((rho2 - 0.8125).abs() < 0.01, "{text}");
    assert!(text.contains("or `.roulette(None)` for (1 + ρ₂)/2"), "{text}");
    assert!(ask(0.5 * (1.0 + rho2)).solve().is_ok());
    assert!(matches!(cause(ask(1.0).solve()).0, Cause::Roulette { .. }));
}

#[test]
fn batches_that_cannot_be_are_refused() {
    let Setup { p, g, .. } = setup(0.1);
    let here = line!() + 1;
    let (found, text) = cause(Batches::of(&Array::zeros(DType::F64, [0, 1]), 2));
    assert!(
        matches!(found, Cause::EmptyBatch { .. }) && text.contains("expected at least one row"),
        "{text}"
    );
    assert!(text.contains(&format!("refusals.rs:{here}:")), "{text}");
    let (_, text) = cause(Batches::of(&(array([1.0, 2.0]), array([1.0])), 2));
    assert!(text.contains("found rows of shapes f64[2], f64[1]"), "{text}");
    assert!(matches!(cause(Batches::given(Vec::<Array>::new())).0, Cause::EmptyBatch { .. }));
    let uneven = vec![array([[1.0]]), array([[1.0], [2.0]])];
    assert!(matches!(cause(Batches::given(uneven)).0, Cause::Uneven { .. }));
    let empty = vec![Array::zeros(DType::F64, [0, 1])];
    assert!(matches!(cause(Batches::given(empty)).0, Cause::EmptyBatch { .. }));
    let few = Batches::given(vec![array([[1.0]]); 10]).unwrap();
    let ask = || inverse_hvp(with_third(0.5), &p, &g).stochastic(&few).chains(2);
    let (found, text) = cause(ask().steps(6).solve());
    assert!(matches!(found, Cause::TooFewBatches { found: 10, needed: 12, .. }), "{text}");
    assert!(text.contains("take at most 5 steps, fewer chains, or `Batches::of(&data, size)`"), "{text}");
    assert!(ask().steps(5).solve().is_ok());
    assert!(matches!(cause(ask().steps(5).check().solve()).0, Cause::TooFewBatches { needed: 20, .. }));
    let (_, text) = cause(inverse_hvp(with_third(0.5), &p, &g).solve());
    assert!(text.contains("found no batches"), "{text}");
    let (_, text) = cause(inverse_hvp(with_third(0.5), &p, &g).stochastic(&few).roulette(None).solve());
    assert!(text.contains("found given batches for a roulette"), "{text}");
}

#[test]
fn trees_that_do_not_fit_are_refused() {
    let Setup { batches, p, g } = setup(0.1);
    let wrong = array([1.0, 2.0]);
    let (_, text) = cause(inverse_hvp(with_third(0.5), &p, &wrong).data(&batches).solve());
    assert!(text.contains("g: the value is f64[2], expected f64[3]"), "{text}");
    let ask = |which: Preconditioner<Array>| {
        inverse_hvp(with_third(0.5), &p, &g).data(&batches).preconditioner(which)
    };
    let (_, text) = cause(ask(Preconditioner::Diagonal(wrong)).solve());
    assert!(text.contains("preconditioner: the value is f64[2], expected f64[3]"), "{text}");
    let (_, text) = cause(ask(Preconditioner::Diagonal(array([1.0, 0.0, 1.0]))).solve());
    assert!(
        text.contains("preconditioner: found a diagonal with 0 at entry 1, expected positive numbers"),
        "{text}"
    );
    let (_, text) = cause(ask(Preconditioner::Nystrom { rank: 0, n_rows: 2 }).solve());
    assert!(text.contains("preconditioner: found a rank of 0, expected at least one"), "{text}");
    let (_, text) = cause(ask(Preconditioner::KroneckerFactored { n_rows: 2 }).solve());
    assert!(text.contains("found no dense layer with a gradient"), "{text}");
    let indefinite = inverse_hvp(with_third(-0.5), &p, &g).data(&batches);
    let (_, text) = cause(indefinite.preconditioner(Preconditioner::Subsampled { n_rows: 2 }).solve());
    assert!(text.contains("found curvature of both signs in the sample"), "{text}");
    let broken = array([1.0, f64::NAN, 1.0]);
    let (_, text) = cause(inverse_hvp(with_third(0.5), &p, &broken).data(&batches).solve());
    assert!(text.contains("found a right-hand side that is not finite"), "{text}");
}

#[test]
fn settings_out_of_range_and_against_each_other_are_refused() {
    let Setup { batches, p, g } = setup(0.1);
    let ask = || inverse_hvp(with_third(0.5), &p, &g).stochastic(&batches);
    for (text, expected) in [
        (cause(ask().damping(-1.0).solve()).1, "found a damping of -1"),
        (cause(ask().eta(0.0).solve()).1, "found a step size of 0"),
        (cause(ask().steps(0).solve()).1, "found no steps"),
        (cause(ask().chains(0).solve()).1, "found no chains"),
        (cause(ask().spectrum_steps(0).solve()).1, "found a spectrum of no steps"),
        (cause(ask().normal_form().roulette(None).solve()).1, "found a normal form with another method"),
        (
            cause(ask().normal_form().preconditioner(Preconditioner::Nystrom { rank: 1, n_rows: 1 }).solve())
                .1,
            "found a preconditioner of H for the normal form",
        ),
        (
            cause(ask().roulette(None).right_side(RightSide::Fresh).solve()).1,
            "found fresh gradients for a roulette",
        ),
        (
            cause(ask().right_side(RightSide::Fresh).solve()).1,
            "found a g that differs from the gradient of the loss by",
        ),
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let slow = |p: Var, x: Var| {
        let scale = retrograde_core::trace::var::constant(&array([1.0, 1e-3, 1e-6]));
        0.5 * (scale * p * p).sum() * x.mean()
    };
    let (found, text) = cause(inverse_hvp(slow, &p, &g).stochastic(&batches).solve());
    assert!(
        matches!(found, Cause::TooSlow { .. }) && text.contains("found a condition of 1.000e6"),
        "{text}"
    );
    let zero = Array::zeros(DType::F64, [3]);
    assert_eq!(ask().solve().unwrap().1.question, "H⁻¹ g");
    assert_eq!(inverse_hvp(with_third(0.5), &p, &zero).stochastic(&batches).solve().unwrap().0, zero);
}
