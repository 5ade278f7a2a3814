//! `linear_call`: a linear function given by its transpose, and by itself where that is known.
//!
//! Operands: coefficients, then linear operands (one for each result of the transpose). What `custom_vjp` becomes when
//! it is linearised. Derivative: that of the function, inlined. Errors: forward mode where only the transpose is known.

use super::bodies::{self, build};
use super::{Args, EvalError, Evaluate, Operand, Program, Row, Rule, Rules, Value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use std::sync::Arc;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LinearCall {
    /// How many coefficients there are.
    pub n_known: usize,
    /// (coefficients, linear operands) -> results
    pub apply: Option<Arc<Program>>,
    /// (coefficients, cotangents of the results) -> cotangents of the linear operands
    pub transposed: Arc<Program>,
    /// `transposed` is the user's own and not that of `apply`, perhaps not linear: two equal ones are not one.
    pub is_apart: bool,
}

impl LinearCall {
    /// The cotangents of the linear operands where some results have none. A zero in the place of a missing one would be a term
    /// that is not linear; the derivative of the transpose, which is linear and so its own derivative, does without.
    fn of_some_results(&self, r: &mut Rule<'_>, known: &[ValueId], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let asked = vec![false; self.n_known].into_iter().chain(cts.iter().map(Option::is_some));
        let n_out = self.transposed.outputs.len();
        let lin = r.cx.linearize(&self.transposed, &asked.collect::<Vec<bool>>(), &vec![false; n_out]);
        let types = self.transposed.input_types().split_off(self.n_known);
        let zeros: Vec<ValueId> = types.iter().map(|ty| r.zeros(ty)).collect();
        let residuals = r.b.inline(&lin.forward, &[known, &zeros].concat()).split_off(n_out);
        let present: Vec<ValueId> = cts.iter().flatten().copied().collect();
        let out = r.b.inline(&lin.linear, &[residuals, present].concat());
        bodies::spread_tangents(&lin.active, &out)
    }
}

impl Rules for LinearCall {
    const NAME: &'static str = "linear_call";
    fn fields(&self) -> Fields<super::Prim> {
        let mut fields: Fields<super::Prim> = vec![("known", Field::Int(self.n_known as i64))];
        if let Some(apply) = &self.apply {
            fields.push(("apply", Field::Program(apply.clone())));
        }
        if self.is_apart {
            fields.push(("apart", Field::Bool(true)));
        }
        fields.push(("transposed", Field::Program(self.transposed.clone())));
        fields
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(LinearCall {
            n_known: args.size("known")?,
            apply: args.optional_program("apply")?,
            is_apart: args.optional_bool("apart")?.unwrap_or(false),
            transposed: args.program("transposed")?,
        })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let of_transposed = self.transposed.input_types();
        if self.n_known > inputs.len() || self.n_known > of_transposed.len() {
            return Err(Mismatch::new(format!("found {} operands, expected at least {}", inputs.len(), self.n_known)));
        }
        let (known, linear) = inputs.split_at(self.n_known);
        bodies::expect_types("coefficient", known, &of_transposed[..self.n_known])?;
        bodies::expect_types("linear operand", linear, &self.transposed.output_types())?;
        let outs = of_transposed[self.n_known..].to_vec();
        if let Some(apply) = &self.apply {
            bodies::expect_types("parameter", inputs, &apply.input_types())?;
            bodies::expect_types("result", &apply.output_types(), &outs)?;
        }
        Ok(outs)
    }
    fn eval(&self, cx: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        match &self.apply {
            Some(apply) => cx.run(apply, inputs),
            None => Err(EvalError::Broken(
                "a custom_vjp whose backward program is linear in the cotangents for forward mode; use reverse mode".into(),
            )),
        }
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        unreachable!("linear_call has its own jvp rule")
    }
    fn jvp(&self, r: &mut Rule<'_>, inputs: &[ValueId], tangents: &[Option<ValueId>], split: bool) -> (Vec<ValueId>, Vec<Option<ValueId>>) {
        if let Some(apply) = &self.apply {
            let body = super::call::Call::new("custom derivative", (**apply).clone());
            return body.jvp(r, inputs, tangents, split);
        }
        // Unknown in forward mode: results that report it when they are computed.
        let outs = r.b.emit(self.clone().into(), inputs);
        let dots = r.b.emit(self.clone().into(), inputs);
        (outs, dots.into_iter().map(Some).collect())
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        !linear[..self.n_known].contains(&true)
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        if cts.iter().all(Option::is_none) {
            return vec![None; inputs.len()];
        }
        let known: Vec<ValueId> = inputs[..self.n_known].iter().map(Operand::known).collect();
        let of_linear = if cts.contains(&None) && r.cx.is_linear(&self.transposed, self.n_known) {
            self.of_some_results(r, &known, cts)
        } else {
            // A transpose of the user's that is not linear (clipping) gets the zeros themselves.
            let types = self.transposed.input_types().split_off(self.n_known);
            let zeros_for = |(ct, ty): (&Option<ValueId>, &Type)| ct.unwrap_or_else(|| r.zeros(ty));
            let all: Vec<ValueId> = cts.iter().zip(&types).map(zeros_for).collect();
            r.b.inline(&self.transposed, &[known, all].concat()).into_iter().map(Some).collect()
        };
        let linear = inputs[self.n_known..].iter().zip(of_linear).map(|(i, d)| d.filter(|_| i.is_linear()));
        vec![None; self.n_known].into_iter().chain(linear).collect()
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let inputs = r.all_batched(inputs, batched, n);
        let over = |p: &Program| {
            let v = r.cx.vmap(p, &vec![true; p.inputs.len()], &vec![true; p.outputs.len()], n);
            Arc::new(v.program)
        };
        let op = LinearCall { apply: self.apply.as_deref().map(over), transposed: over(&self.transposed), ..self.clone() };
        let out = r.b.emit(op.into(), &inputs);
        let all = vec![true; out.len()];
        (out, all)
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Self {
        LinearCall {
            apply: self.apply.as_ref().map(|p| Arc::new(f(p))),
            transposed: Arc::new(f(&self.transposed)),
            ..self.clone()
        }
    }
    fn rows() -> Vec<Row> {
        let v = Type::array(DType::F64, [3]);
        let product = Arc::new(build(&[v.clone(), v.clone()], |b, p| vec![b.emit1(super::mul::Mul.into(), &[p[1], p[0]])]));
        let op = LinearCall { n_known: 1, apply: Some(product.clone()), transposed: product, is_apart: false };
        // Two results of two linear operands: u = a x + y, v = a y; transposed a u, u + a v.
        let two = |transposed: bool| {
            Arc::new(build(&[v.clone(), v.clone(), v.clone()], |b, p| {
                let [first, second] = [1, 2].map(|i| b.emit1(super::mul::Mul.into(), &[p[i], p[0]]));
                if transposed {
                    vec![first, b.emit1(super::add::Add.into(), &[p[1], second])]
                } else {
                    vec![b.emit1(super::add::Add.into(), &[first, p[2]]), second]
                }
            }))
        };
        let both = LinearCall { n_known: 1, apply: Some(two(false)), transposed: two(true), is_apart: false };
        vec![Row::new(op, &[v.clone(), v.clone()]), Row::new(both, &[v.clone(), v.clone(), v])]
    }
}
