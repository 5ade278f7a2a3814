//! All methods behind one type, each on a problem whose solution is known.

use retrograde_array::{Array, array};
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_engine::jit;
use retrograde_solve::ode::{self, Facts, FirstOrder, Method, SecondOrder, problems};

type Advance = Box<dyn Fn(Vec<Var>, f64, usize, Tape) -> Vec<Var>>;

/// A method on a problem.
pub(crate) struct Solver {
    pub(crate) facts: Facts,
    pub(crate) start: Vec<Array>,
    /// A time, and all entries then, by mpmath's Taylor series in 30 digits.
    pub(crate) truth: (f64, &'static [f64]),
    /// Steps of a size, so many, remembered so.
    pub(crate) advance: Advance,
}

impl Solver {
    /// All entries after `n_steps` steps of size `h` from `start`.
    pub(crate) fn end(&self, start: &Vec<Array>, h: f64, n_steps: usize) -> Vec<Array> {
        jit(|y: Vec<Var>| (self.advance)(y, h, n_steps, Tape::Store)).call(start).unwrap()
    }
}

pub(crate) fn numbers(leaves: &[Array]) -> Vec<f64> {
    leaves.iter().flat_map(|leaf| leaf.to_vec::<f64>().unwrap()).collect()
}

pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

type Field = fn(Vec<Var>) -> Vec<Var>;

fn lotka_volterra(y: Vec<Var>) -> Vec<Var> {
    y.into_iter().map(problems::lotka_volterra).collect()
}

fn first<M: Method + Copy + 'static>(solver: FirstOrder<M, Field>) -> Solver {
    Solver {
        facts: solver.facts(),
        start: vec![array([1.5, 0.5])],
        truth: (1.0, &[1.948_108_112_258_907_5, 1.117_753_788_537_661_4]),
        advance: Box::new(move |y, h, n, tape| solver.step(h).run(y, n).tape(tape).end()),
    }
}

fn second<M: Method + Copy + 'static>(solver: SecondOrder<M, fn(Var) -> Var>) -> Solver {
    Solver {
        facts: solver.facts(),
        start: vec![array([0.3, -0.2]), array([0.1, 0.25])],
        truth: (
            2.0,
            &[
                -0.013_687_159_138_461_312,
                0.216_331_315_891_262_5,
                -0.355_442_466_153_394_5,
                0.071_942_914_370_879_6,
            ],
        ),
        advance: Box::new(move |y, h, n, tape| solver.step(h).run(y, n).tape(tape).end()),
    }
}

pub(crate) fn all() -> Vec<Solver> {
    let f: Field = lotka_volterra;
    let a: fn(Var) -> Var = problems::henon_heiles;
    vec![
        first(ode::euler(f)),
        first(ode::midpoint(f)),
        first(ode::heun(f)),
        first(ode::rk4(f)),
        first(ode::bosh3(f)),
        first(ode::dopri5(f)),
        first(ode::tsit5(f)),
        first(ode::implicit_midpoint(f)),
        first(ode::rodas3(f)),
        first(ode::reversible_heun(f)),
        second(ode::symplectic_euler(a)),
        second(ode::leapfrog(a)),
        second(ode::leapfrog_kdk(a)),
        second(ode::velocity_verlet(a)),
        second(ode::yoshida4(a)),
        second(ode::yoshida6(a)),
    ]
}
