//! Compositions of drifts `q += c h v` and kicks `v += c h a(q)`: the separable symplectic methods.
//!
//! Each line updates one variable by the other, so `Tape::Reverse` turns a step round exactly and keeps only what rounding
//! destroyed.

use retrograde_core::trace::Var;

use super::method::{Facts, Field, Method, Step};

/// One update of a step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Part {
    /// Positions move by this part of a step: `q += c h v`.
    Drift(f64),
    /// Velocities change by this part of a step: `v += c h a(q)`.
    Kick(f64),
}

/// A method for q'' = a(q) as a list of drifts and kicks.
#[derive(Clone, Copy, Debug)]
pub struct Composition {
    /// What it declares.
    pub facts: Facts,
    /// Before the first step.
    pub opening: &'static [Part],
    /// Each step.
    pub parts: &'static [Part],
    /// After the last step.
    pub closing: &'static [Part],
}

impl Method for Composition {
    fn facts(&self) -> Facts {
        self.facts
    }
    fn open(&self, field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var> {
        update(self.opening, field, y, h)
    }
    fn step(&self, field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var> {
        update(self.parts, field, y, h)
    }
    fn close(&self, field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var> {
        update(self.closing, field, y, h)
    }
}

fn update(parts: &[Part], field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var> {
    let [mut q, mut v] = y[..] else { return y };
    let h = Step::Given(h);
    for part in parts {
        match *part {
            Part::Drift(c) => q = field.own(|| q + h.times(c, v)),
            Part::Kick(c) => {
                let a = field.at(&[q])[0];
                v = field.own(|| v + h.times(c, a));
            }
        }
    }
    vec![q, v]
}
