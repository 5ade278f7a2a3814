//! Stochastic Newton spends no more passes than its recipe did, on the sets that the recipe was made on.

use retrograde_tricks::update::finite_sum::StochasticNewton;

use super::sets::{RECIPE, development, least, medians};

/// What may be spent beyond the passes of the recipe.
const SLACK: f64 = 1.1;

#[test]
fn stochastic_newton_spends_what_its_recipe_does() {
    for (set, (name, recipe)) in development().unwrap().iter().zip(RECIPE) {
        assert_eq!(set.name, name);
        let problem = set.problem().unwrap();
        let least = least(&problem).unwrap();
        let found = medians(&problem, least, &StochasticNewton::default());
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
