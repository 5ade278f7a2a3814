//! `custom_jvp`: a function with a derivative of the user's own, given as a forward rule.
//!
//! The rule maps (inputs, tangents of the floating-point inputs) to (results, tangents of the floating-point results)
//! and is linear in the tangents. It is the derivative of the results at every order: derivatives of derivatives come from it again, and
//! from differentiating it. `law` is `exact` or says how the derivative deviates; reports carry it.

use super::bodies::{self, build, instantiate};
use super::{Args, EvalError, Evaluate, Program, Row, Rule, Rules, Value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use std::sync::Arc;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CustomJvp {
    /// What it computes.
    pub primal: Arc<Program>,
    /// Results and tangents together.
    pub rule: Arc<Program>,
    /// `exact`, or what deviates.
    pub law: String,
}

/// Which types have derivatives.
pub(super) fn floats(types: &[Type]) -> Vec<bool> {
    types.iter().map(Type::is_float).collect()
}

impl Rules for CustomJvp {
    const NAME: &'static str = "custom_jvp";
    fn fields(&self) -> Fields<super::Prim> {
        vec![
            ("law", Field::Text(self.law.clone())),
            ("primal", Field::Program(self.primal.clone())),
            ("rule", Field::Program(self.rule.clone())),
        ]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(CustomJvp { law: args.text("law")?, primal: args.program("primal")?, rule: args.program("rule")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        bodies::expect_types("parameter", inputs, &self.primal.input_types())?;
        let outs = self.primal.output_types();
        let dots = bodies::marked(inputs, &floats(inputs));
        bodies::expect_types("parameter of the rule", &self.rule.input_types(), &[inputs, &dots].concat())?;
        let out_dots = bodies::marked(&outs, &floats(&outs));
        bodies::expect_types("result of the rule", &self.rule.output_types(), &[&outs[..], &out_dots].concat())?;
        Ok(outs)
    }
    fn eval(&self, cx: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        cx.run(&self.primal, inputs)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        unreachable!("custom_jvp has its own jvp rule")
    }
    fn jvp(&self, r: &mut Rule<'_>, inputs: &[ValueId], tangents: &[Option<ValueId>], split: bool) -> (Vec<ValueId>, Vec<Option<ValueId>>) {
        let marks = floats(&self.primal.input_types());
        let dots = instantiate(r, inputs, tangents, &marks);
        let outs = self.primal.output_types();
        // By the same equation once more, so that the next derivative of the results is by the rule too.
        let results = r.b.emit(self.clone().into(), inputs);
        if split && self.rule.equations.iter().any(|e| e.op.has_bodies()) {
            // The rule's loops may carry results and tangents together: take them apart.
            let all = vec![true; self.rule.inputs.len()];
            let out_dots = &self.rule.outputs[outs.len()..];
            let (coefficients, linear) = bodies::split_linear(r.cx, &bodies::restrict(&self.rule, &all, out_dots), inputs.len());
            let residuals = r.b.inline(&coefficients, inputs);
            let out_dots = r.b.inline(&linear, &[&residuals[..], &dots].concat());
            return (results, bodies::spread_tangents(&floats(&outs), &out_dots));
        }
        let out = r.b.inline(&self.rule, &[inputs, &dots].concat());
        (results, bodies::spread_tangents(&floats(&outs), &out[outs.len()..]))
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let inputs = r.all_batched(inputs, batched, n);
        let over = |p: &Program| {
            let v = r.cx.vmap(p, &vec![true; p.inputs.len()], &vec![true; p.outputs.len()], n);
            Arc::new(v.program)
        };
        let op = CustomJvp { primal: over(&self.primal), rule: over(&self.rule), law: self.law.clone() };
        let n_out = self.primal.outputs.len();
        (r.b.emit(op.into(), &inputs), vec![true; n_out])
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Self {
        CustomJvp { primal: Arc::new(f(&self.primal)), rule: Arc::new(f(&self.rule)), law: self.law.clone() }
    }
    fn rows() -> Vec<Row> {
        // exp, whose rule reuses the result
        let v = Type::array(DType::F64, [3]);
        let primal = build(std::slice::from_ref(&v), |b, p| vec![b.emit1(super::exp::Exp.into(), p)]);
        let rule = build(&[v.clone(), v.clone()], |b, p| {
            let y = b.emit1(super::exp::Exp.into(), &p[..1]);
            vec![y, b.emit1(super::mul::Mul.into(), &[p[1], y])]
        });
        let op = CustomJvp { primal: Arc::new(primal), rule: Arc::new(rule), law: "exact".into() };
        vec![Row::new(op, &[v])]
    }
}
