//! `call`: a named sub-program, run as it stands.
//!
//! Operands and results are those of the body. Derivative: that of the body, whose residuals reverse keeps. Names a region for
//! errors and reports. Errors: those of the body.

use super::bodies::{self, build};
use super::{Args, EvalError, Evaluate, Operand, Program, Row, Rule, Rules, Tape, Value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use std::sync::Arc;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Call {
    /// The name of the region.
    pub name: String,
    /// What it computes.
    pub body: Arc<Program>,
    /// What its derivative remembers; `None`: what the front door says.
    pub policy: Option<Tape>,
    /// Whether it is the linear part of a region's derivative, or the transpose of that: what reads the residuals.
    pub is_sweep: bool,
}

impl Call {
    /// A named sub-program without a policy of its own.
    pub fn new(name: &str, body: Program) -> Call {
        Call { name: name.into(), body: Arc::new(body), policy: None, is_sweep: false }
    }
    fn with(&self, body: Program) -> super::Prim {
        Call { body: Arc::new(body), ..self.clone() }.into()
    }
}

impl Rules for Call {
    const NAME: &'static str = "call";
    fn fields(&self) -> Fields<super::Prim> {
        let mut fields: Fields<super::Prim> = vec![("name", Field::Text(self.name.clone()))];
        if let Some(policy) = self.policy {
            fields.push(("policy", Field::Word(policy.to_string())));
        }
        if self.is_sweep {
            fields.push(("sweep", Field::Bool(true)));
        }
        fields.push(("body", Field::Program(self.body.clone())));
        fields
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Call {
            name: args.text("name")?,
            policy: args.optional_word("policy")?.map(|w| w.parse()).transpose()?,
            is_sweep: args.optional_bool("sweep")?.unwrap_or(false),
            body: args.program("body")?,
        })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        bodies::expect_types("parameter", inputs, &self.body.input_types())?;
        Ok(self.body.output_types())
    }
    fn eval(&self, cx: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        cx.run(&self.body, inputs)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        unreachable!("call has its own jvp rule")
    }
    fn jvp(&self, r: &mut Rule<'_>, inputs: &[ValueId], tangents: &[Option<ValueId>], split: bool) -> (Vec<ValueId>, Vec<Option<ValueId>>) {
        let marks: Vec<bool> = tangents.iter().map(Option::is_some).collect();
        let dots: Vec<ValueId> = tangents.iter().flatten().copied().collect();
        let n_out = self.body.outputs.len();
        let none = vec![false; n_out];
        if split {
            let lin = r.cx.linearize(&self.body, &marks, &none);
            let out = r.b.emit(self.with(lin.forward), inputs);
            let sweep = Call { is_sweep: true, body: Arc::new(lin.linear), ..self.clone() };
            let dots = r.b.emit(sweep.into(), &[&out[n_out..], &dots].concat());
            return (out[..n_out].to_vec(), bodies::spread_tangents(&lin.active, &dots));
        }
        let jvp = r.cx.jvp(&self.body, &marks, &none);
        let out = r.b.emit(self.with(jvp.program), &[inputs, &dots].concat());
        (out[..n_out].to_vec(), bodies::spread_tangents(&jvp.active, &out[n_out..]))
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let linear: Vec<bool> = inputs.iter().map(Operand::is_linear).collect();
        let known: Vec<usize> = (0..linear.len()).filter(|&i| !linear[i]).collect();
        let lin = bodies::positions(&linear);
        let types = self.body.input_types();
        let ordered: Vec<Type> = known.iter().chain(&lin).map(|&i| types[i].clone()).collect();
        // Results without a cotangent drop out: a zero in their place would be a term that is not linear.
        let asked: Vec<bool> = cts.iter().map(Option::is_some).collect();
        let reordered = build(&ordered, |b, params| {
            let mut all = vec![ValueId(0); types.len()];
            for (&i, &p) in known.iter().chain(&lin).zip(params) {
                all[i] = p;
            }
            bodies::marked(&b.inline(&self.body, &all), &asked)
        });
        let transposed = r.cx.transpose(&reordered, known.len());
        let mut operands: Vec<ValueId> = known.iter().map(|&i| inputs[i].known()).collect();
        operands.extend(cts.iter().flatten());
        let out = r.b.emit(self.with(transposed), &operands);
        let mut result = vec![None; inputs.len()];
        for (i, d) in lin.into_iter().zip(out) {
            result[i] = Some(d);
        }
        result
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let v = r.cx.vmap(&self.body, batched, &vec![false; self.body.outputs.len()], n);
        (r.b.emit(self.with(v.program), inputs), v.batched)
    }
    fn prune(&self, used: &[bool]) -> Option<(Self, Vec<usize>, Vec<usize>)> {
        let live = bodies::needed_inputs(&self.body, used);
        if live.iter().chain(used).all(|k| *k) {
            return None;
        }
        let body = bodies::restrict(&self.body, &live, &bodies::marked(&self.body.outputs, used));
        let call = Call { body: Arc::new(body), ..self.clone() };
        Some((call, bodies::positions(&live), bodies::positions(used)))
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Self {
        Call { body: Arc::new(f(&self.body)), ..self.clone() }
    }
    fn rows() -> Vec<Row> {
        let v = Type::array(DType::F64, [3]);
        let body = build(&[v.clone(), v.clone()], |b, p| {
            let sine = b.emit1(super::sin::Sin.into(), &[p[0]]);
            vec![b.emit1(super::mul::Mul.into(), &[sine, p[1]])]
        });
        let region = Call { policy: Some(Tape::Recompute), ..Call::new("layer 2", body.clone()) };
        let of = [v.clone(), v];
        vec![Row::new(Call::new("layer 1", body), &of), Row::new(region, &of)]
    }
}
