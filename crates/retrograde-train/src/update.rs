//! How the gradient of a minibatch changes the parameters: the chain of updates that a recipe names, and its learning rates.
//!
//! The chain is clipping, decay of the weights (not of biases, shifts and scales, but by `lion`, `lars` and `lamb`, which decay
//! all), the update itself, and an average. Its learning
//! rate stands in its state, where [`Rates`] puts that of each step.

use retrograde_array::{Array, array};
use retrograde_core::trace::{Error, Var};
use retrograde_engine::jit;
use retrograde_tricks::update::adafactor::adafactor;
use retrograde_tricks::update::adagrad::{adagrad, rmsprop};
use retrograde_tricks::update::adam::{Adam, Variant};
use retrograde_tricks::update::averaging::{averaged, ema, lookahead, polyak_ruppert};
use retrograde_tricks::update::clip::clip_by_global_norm;
use retrograde_tricks::update::curvature::lion;
use retrograde_tricks::update::map::{State, Update, chain};
use retrograde_tricks::update::matrix::{by_rank, muon, shampoo};
use retrograde_tricks::update::momentum::velocity;
use retrograde_tricks::update::schedule::{Schedule, descend, held};
use retrograde_tricks::update::trust::{lamb, lars};
use retrograde_tricks::update::weight_decay::weight_decay_of;

use crate::model::Layers;
use crate::recipe::{self, Average, Recipe, Rule};

/// What the paths of weights end with: all that is multiplied by inputs.
const WEIGHTS: [&str; 3] = ["weight", "kernel", "recurrent"];
/// Steps between two returns of `lookahead`, and how far it goes. Source: M. R. Zhang et al. 2019, section 4.
const LOOKAHEAD: (u64, f64) = (5, 0.5);
/// What the sum of squares of `adagrad` begins with, and what is added to its root: the defaults of torch.optim.
const ADAGRAD: (f64, f64) = (0.0, 1e-10);
/// What the matrices of `shampoo` begin with: far below the squares of gradients of a loss near 1, so that roots exist and no more.
const SHAMPOO_START: f64 = 1e-6;

/// The chain of a recipe whose update goes by a rule; its learning rate is 0 until [`set_rate`].
pub(crate) fn chain_of(recipe: &Recipe, rule: Rule, total_steps: u64) -> Update {
    let mut links = vec![];
    if recipe.clip_norm > 0.0 {
        links.push(clip_by_global_norm(recipe.clip_norm));
    }
    let decay = || WEIGHTS.map(|ending| weight_decay_of(recipe.weight_decay, ending));
    let decays = recipe.weight_decay > 0.0;
    let is_decoupled = matches!(rule, Rule::AdamW | Rule::Lion | Rule::Lars | Rule::Lamb);
    if decays && !is_decoupled {
        links.extend(decay());
    }
    let adam = |variant| {
        Adam { beta_1: recipe.momentum, beta_2: recipe.beta_2, variant, ..Adam::default() }.direction()
    };
    let rate = || held(0.0);
    links.extend(match rule {
        Rule::Sgd => vec![velocity(recipe.momentum, false), descend(rate())],
        Rule::Nesterov => vec![velocity(recipe.momentum, true), descend(rate())],
        Rule::Adam => vec![adam(Variant::Plain), descend(rate())],
        Rule::AmsGrad => vec![adam(Variant::AmsGrad), descend(rate())],
        Rule::Nadam => vec![adam(Variant::Nesterov), descend(rate())],
        Rule::Yogi => vec![adam(Variant::Yogi), descend(rate())],
        Rule::AdamW => {
            let decay = if decays { decay().to_vec() } else { vec![] };
            [vec![adam(Variant::Plain)], decay, vec![descend(rate())]].concat()
        }
        Rule::RmsProp => vec![rmsprop(rate(), recipe.beta_2)],
        Rule::AdaGrad => vec![adagrad(rate(), ADAGRAD.0, ADAGRAD.1)],
        Rule::Adafactor => vec![adafactor(rate())],
        Rule::Lion => vec![lion(rate(), recipe.weight_decay)],
        Rule::Muon => {
            let rest = chain((adam(Variant::Plain), descend(rate())));
            vec![by_rank(2, muon(rate(), recipe.momentum), rest)]
        }
        Rule::Shampoo => {
            let rest = chain((adam(Variant::Plain), descend(rate())));
            vec![by_rank(2, shampoo(rate(), SHAMPOO_START), rest)]
        }
        Rule::Lars => vec![lars(rate(), recipe.weight_decay)],
        Rule::Lamb => vec![lamb(rate(), recipe.weight_decay)],
    });
    match recipe.average {
        Average::None => {}
        Average::Ema => links.push(ema(recipe.average_decay)),
        Average::Swa => links.push(polyak_ruppert(total_steps - total_steps / 4)),
        Average::Lookahead => links.push(lookahead(LOOKAHEAD.0, LOOKAHEAD.1)),
    }
    chain(links)
}

/// Puts the learning rate of a step in its place.
pub(crate) fn set_rate(state: &mut State<Array>, rate: f64) {
    assert!(
        state.set("rate", &array(rate)),
        "an update without a learning rate; this is a bug in retrograde"
    );
}

/// The parameters to be tested and kept: the average, if the recipe wants one.
pub(crate) fn kept(recipe: &Recipe, state: &State<Array>, last: &Layers<Array>) -> Layers<Array> {
    let average = match recipe.average {
        Average::None | Average::Lookahead => None,
        Average::Ema | Average::Swa => averaged(state, last),
    };
    average.unwrap_or_else(|| last.clone())
}

/// The learning rates of a run.
pub(crate) struct Rates {
    schedule: Schedule,
}

impl Rates {
    /// By the recipe's schedule, after its warmup.
    pub(crate) fn new(recipe: &Recipe, total_steps: u64) -> Rates {
        let steps_per_epoch = (total_steps / u64::from(recipe.epochs)).max(1);
        let n_up = u64::from(recipe.warmup) * steps_per_epoch;
        let n_steps = total_steps.saturating_sub(n_up).max(1);
        let rate = recipe.learning_rate;
        let main = match recipe.schedule {
            recipe::Schedule::Constant => Schedule::constant(rate),
            recipe::Schedule::Cosine => Schedule::cosine(rate, 0.0, n_steps),
            recipe::Schedule::Linear => Schedule::linear(rate, 0.0, n_steps),
            recipe::Schedule::Step => {
                let every = u64::from(recipe.decay_every).saturating_mul(steps_per_epoch);
                Schedule::step(rate, recipe.decay_factor, every)
            }
            recipe::Schedule::OneCycle => {
                let n_rising = (3 * n_steps / 10).max(1);
                Schedule::one_cycle(rate, n_steps.max(n_rising + 1), n_rising)
            }
        };
        let schedule = if n_up == 0 { main } else { Schedule::linear(0.0, rate, n_up).then(n_up, main) };
        Rates { schedule }
    }

    /// That of a step, counted from 1.
    pub(crate) fn of(&self, step: u64) -> Result<f64, Error> {
        let schedule = &self.schedule;
        let rate = jit(|count: Var| schedule.at(count)).call(&array((step - 1) as f64))?;
        Ok(rate.item().unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use retrograde_array::rng::Key;
    use retrograde_core::trace::{Tree, tree};

    use super::*;
    use crate::choice::Choice;
    use crate::data::Layout;
    use crate::model::{Interface, Model};

    fn layers() -> Layers<Array> {
        let interface = Interface { layout: Layout::Images { height: 4, width: 4 }, n_outputs: 3 };
        Model::named("cnn").unwrap().start(&interface, Key::from_seed(0)).layers
    }

    fn rates(recipe: &Recipe, total_steps: u64) -> Vec<f64> {
        let rates = Rates::new(recipe, total_steps);
        (1..=total_steps).map(|step| rates.of(step).unwrap()).collect()
    }

    #[test]
    fn the_cosine_falls_from_the_learning_rate_towards_zero() {
        let recipe =
            Recipe { learning_rate: 0.2, schedule: recipe::Schedule::Cosine, epochs: 1, ..Recipe::default() };
        let found = rates(&recipe, 10);
        assert!(found[0] == 0.2 && (found[5] - 0.1).abs() < 1e-15 && found[9] > 0.0);
        let warm = Recipe { warmup: 1, epochs: 2, ..recipe.clone() };
        let found = rates(&warm, 8);
        assert_eq!(found[..5], [0.0, 0.05, 0.1, 0.2 * 0.75, 0.2]);
        assert!((found[6] - 0.1).abs() < 1e-15);
        let recipe = Recipe { schedule: recipe::Schedule::Constant, ..recipe };
        assert_eq!(rates(&recipe, 10)[9], 0.2);
    }

    #[test]
    fn steps_fall_after_whole_epochs() {
        let recipe = Recipe {
            learning_rate: 0.5,
            schedule: recipe::Schedule::Step,
            epochs: 5,
            decay_every: 2,
            decay_factor: 0.5,
            ..Recipe::default()
        };
        // Three steps an epoch: epochs 1 and 2, 3 and 4, 5.
        assert_eq!(rates(&recipe, 15), [[0.5; 6].as_slice(), &[0.25; 6], &[0.125; 3]].concat());
    }

    /// One step by a gradient of zeros: what decays loses the rate times the decay, and nothing else moves.
    #[test]
    fn weights_decay_and_biases_do_not() {
        let start = layers();
        let zeros = start.map(&mut |leaf| Array::zeros(leaf.dtype(), leaf.shape().clone()));
        for update in [Rule::Sgd, Rule::AdamW] {
            let recipe = Recipe { weight_decay: 0.5, ..Recipe::default() };
            let chain = chain_of(&recipe, update, 10);
            let mut state = chain.init(&start).unwrap();
            set_rate(&mut state, 0.5);
            let (moved, _) = chain.step(&zeros, state, start.clone()).unwrap();
            let mut n_weights = 0;
            for ((path, before), (_, after)) in tree::leaves(&start).into_iter().zip(tree::leaves(&moved)) {
                let is_weight = path.ends_with("weight") || path.ends_with("kernel");
                n_weights += usize::from(is_weight);
                let factor = if is_weight { 0.75 } else { 1.0 };
                let (before, after) = (before.to_vec::<f32>().unwrap(), after.to_vec::<f32>().unwrap());
                assert!(before.iter().zip(&after).all(|(b, a)| *a == b * factor), "{update} {path}");
            }
            assert_eq!(n_weights, 6);
        }
    }

    /// Every update and every average takes a step, remembers it by name, and is named by the recipe.
    #[test]
    fn every_update_and_average_moves_the_parameters() {
        let start = layers();
        let ones = start.map(&mut |leaf| Array::full(leaf.dtype(), leaf.shape().clone(), 1.0_f32.into()));
        for &update in Rule::ALL {
            for &average in Average::ALL {
                let recipe = Recipe { average, clip_norm: 1.0, ..Recipe::default() };
                let chain = chain_of(&recipe, update, 10);
                let mut state = chain.init(&start).unwrap();
                set_rate(&mut state, 0.1);
                let (moved, state) = chain.step(&ones, state, start.clone()).unwrap();
                let pairs = || tree::leaves(&start).into_iter().zip(tree::leaves(&moved));
                assert!(pairs().all(|((_, before), (_, after))| before != after), "{update} {average}");
                let kept = kept(&recipe, &state, &moved);
                let is_last = tree::leaves(&kept) == tree::leaves(&moved);
                // Swa follows the parameters until its quarter begins.
                assert_eq!(is_last, average != Average::Ema, "{update} {average}");
            }
        }
    }
}
