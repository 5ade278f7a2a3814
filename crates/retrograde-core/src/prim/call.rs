//! `call`: a named sub-program, run as it stands.
//!
//! Operands and results are those of the body. Derivative: that of the body, whose residuals reverse keeps. Names a region for
//! errors and reports. Errors: those of the body.
//!
//! It may declare an inverse: (first n results, operands behind the first n) -> first n operands, n being the number of its
//! results. Whoever uses it runs it on random and adversarial bits first (`exec::verify`). Forward mode that carries tangents along, and
//! transposes, have other results, and no inverse.

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
    /// What the user says undoes it, see the module.
    pub inverse: Option<Arc<Program>>,
}

impl Call {
    /// A named sub-program without a policy of its own.
    pub fn new(name: &str, body: Program) -> Call {
        Call { name: name.into(), body: Arc::new(body), policy: None, is_sweep: false, inverse: None }
    }
    /// Whether the inverse that it declares undoes what the body does, as far as types say.
    fn expect_inverse(&self) -> Result<(), Mismatch> {
        let Some(inverse) = &self.inverse else { return Ok(()) };
        let (inputs, state) = (self.body.input_types(), inverse.output_types());
        let n = state.len();
        if n > inputs.len() || n > self.body.outputs.len() || inverse.inputs.len() > inputs.len() {
            let (body, found) = (inputs.len(), inverse.inputs.len());
            return Err(Mismatch::new(format!("found an inverse of {found} parameters and {n} results for a body of {body} parameters")));
        }
        bodies::expect_types("result of the inverse", &state, &inputs[..n])?;
        bodies::expect_types("result of the body", &self.body.output_types()[..n], &inputs[..n])?;
        bodies::expect_types("parameter of the inverse", &inverse.input_types(), &inputs[..inverse.inputs.len()])
    }
    fn with(&self, body: Program) -> super::Prim {
        Call { body: Arc::new(body), inverse: None, ..self.clone() }.into()
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
        if let Some(inverse) = &self.inverse {
            fields.push(("inverse", Field::Program(inverse.clone())));
        }
        fields.push(("body", Field::Program(self.body.clone())));
        fields
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Call {
            name: args.text("name")?,
            policy: args.optional_word("policy")?.map(|w| w.parse()).transpose()?,
            is_sweep: args.optional_bool("sweep")?.unwrap_or(false),
            inverse: args.optional_program("inverse")?,
            body: args.program("body")?,
        })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        bodies::expect_types("parameter", inputs, &self.body.input_types())?;
        self.expect_inverse()?;
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
            // More results behind the same ones, so the inverse stays.
            let forward = Call { body: Arc::new(lin.forward), ..self.clone() };
            let out = r.b.emit(forward.into(), inputs);
            let sweep = Call { is_sweep: true, inverse: None, body: Arc::new(lin.linear), ..self.clone() };
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
        let none = vec![false; self.body.outputs.len()];
        let Some(inverse) = self.inverse.as_ref().filter(|_| batched.contains(&true)) else {
            let v = r.cx.vmap(&self.body, batched, &none, n);
            return (r.b.emit(self.with(v.program), inputs), v.batched);
        };
        // The whole state is batched, before and after, so that the inverse of a lane is a lane of the inverse.
        let n_state = inverse.outputs.len();
        let marks: Vec<bool> = batched.iter().enumerate().map(|(i, b)| *b || i < n_state).collect();
        let forced: Vec<bool> = (0..none.len()).map(|i| i < n_state).collect();
        let v = r.cx.vmap(&self.body, &marks, &forced, n);
        let undo = r.cx.vmap(inverse, &marks[..inverse.inputs.len()], &vec![true; n_state], n);
        let operands: Vec<ValueId> =
            inputs.iter().enumerate().map(|(i, &x)| if marks[i] { r.batched(x, batched[i], n) } else { x }).collect();
        let op = Call { body: Arc::new(v.program), inverse: Some(Arc::new(undo.program)), ..self.clone() };
        (r.b.emit(op.into(), &operands), v.batched)
    }
    fn invert_whole(
        &self,
        r: &mut Rule<'_>,
        inputs: &[Option<ValueId>],
        outputs: &[Option<ValueId>],
        bits: ValueId,
    ) -> Option<(Vec<ValueId>, ValueId)> {
        let inverse = self.inverse.as_ref()?;
        let n = inverse.outputs.len();
        if inputs[..n].iter().any(Option::is_some) {
            return None;
        }
        let operands: Option<Vec<ValueId>> = outputs[..n].iter().chain(&inputs[n..inverse.inputs.len()]).copied().collect();
        let kept: Vec<bool> = (0..self.body.inputs.len()).map(|i| i < inverse.inputs.len()).collect();
        let needed = bodies::needed_inputs(&self.body, &(0..self.body.outputs.len()).map(|i| i < n).collect::<Vec<_>>());
        if needed.iter().zip(&kept).any(|(needed, kept)| *needed && !kept) {
            return None;
        }
        let step = bodies::restrict(&self.body, &kept, &self.body.outputs[..n]);
        let undo = Call { body: inverse.clone(), inverse: Some(Arc::new(step)), ..Call::new(&format!("undo {}", self.name), (**inverse).clone()) };
        Some((r.b.emit(undo.into(), &operands?), bits))
    }
    fn prune(&self, used: &[bool]) -> Option<(Self, Vec<usize>, Vec<usize>)> {
        let mut live = bodies::needed_inputs(&self.body, used);
        // What an inverse needs stays, where the whole state does.
        let inverse = self.inverse.clone().filter(|inverse| used[..inverse.outputs.len()].iter().all(|u| *u));
        if let Some(inverse) = &inverse {
            live[..inverse.inputs.len()].fill(true);
        }
        if live.iter().chain(used).all(|k| *k) {
            return None;
        }
        let body = bodies::restrict(&self.body, &live, &bodies::marked(&self.body.outputs, used));
        let call = Call { body: Arc::new(body), inverse, ..self.clone() };
        Some((call, bodies::positions(&live), bodies::positions(used)))
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Self {
        Call { body: Arc::new(f(&self.body)), inverse: self.inverse.as_ref().map(|p| Arc::new(f(p))), ..self.clone() }
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
