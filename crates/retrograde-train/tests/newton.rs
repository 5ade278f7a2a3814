//! Stochastic Newton spends no more passes than its recipe did, on the sets that the recipe was made on.
#![forbid(unsafe_code)]

use std::path::Path;

use retrograde_tricks::update::finite_sum::StochasticNewton;

#[path = "../examples/newton_convergence/sets.rs"]
#[allow(dead_code, reason = "the example uses the rest")]
mod sets;

use sets::{RECIPE, SLACK, development, least, medians};

#[test]
fn stochastic_newton_spends_what_its_recipe_does() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    for (set, (name, recipe)) in development(&data).unwrap().iter().zip(RECIPE) {
        assert_eq!(set.name, name);
        let problem = set.problem().unwrap();
        let least = least(&problem).unwrap();
        let found = medians(&problem, least, &StochasticNewton::default());
        println!("{name}: {found:?}, {recipe:?}");
        for (found, recipe) in found.iter().zip(recipe) {
            assert!(
                *found <= SLACK * recipe,
                "{name}: found {found} passes, expected at most {SLACK} × {recipe}"
            );
        }
        // Without secants and with a curvature that is never made anew the bound is missed.
        let poor = StochasticNewton { memory: 0, refresh_every: 1000, ..StochasticNewton::default() };
        assert!(
            medians(&problem, least, &poor)[1] > SLACK * recipe[1],
            "{name}: the bound holds without the recipe"
        );
    }
}
