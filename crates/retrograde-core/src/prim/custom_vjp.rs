//! `custom_vjp`: a function with a derivative of the user's own, given as a pair of programs for reverse mode.
//!
//! `forward` maps inputs to (results, residuals), `backward` maps (residuals, cotangents of the floating-point
//! results) to cotangents of the floating-point inputs. Forward mode is `tangent` where there is one: (inputs, tangents of the
//! floating-point ones) to tangents of the floating-point results. Else it exists where `backward` is linear in the cotangents: it is
//! its transpose. `law` is `exact` or says how the derivative deviates.

use super::bodies::{self, build, instantiate};
use super::custom_jvp::floats;
use super::linear_call::LinearCall;
use super::{Args, EvalError, Evaluate, Program, Row, Rule, Rules, Transforms, Value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use std::sync::Arc;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CustomVjp {
    /// What it computes.
    pub primal: Arc<Program>,
    /// Results and residuals.
    pub forward: Arc<Program>,
    /// Residuals and cotangents to cotangents.
    pub backward: Arc<Program>,
    /// Inputs and tangents to tangents: forward mode, where it is not the transpose of `backward`.
    pub tangent: Option<Arc<Program>>,
    /// `exact`, or what deviates.
    pub law: String,
}

/// The transpose of a program that is linear in all inputs but the first `n_known`, whatever its loops carry.
fn transposed(cx: &dyn Transforms, program: &Program, n_known: usize) -> Program {
    if !program.equations.iter().any(|e| e.op.has_bodies()) {
        return cx.transpose(program, n_known);
    }
    let (coefficients, linear) = bodies::split_linear(cx, program, n_known);
    let turned = cx.transpose(&linear, coefficients.outputs.len());
    let params = [&program.input_types()[..n_known], &program.output_types()].concat();
    build(&params, |b, p| {
        let (known, cts) = p.split_at(n_known);
        let residuals = b.inline(&coefficients, known);
        b.inline(&turned, &[&residuals[..], cts].concat())
    })
}

impl Rules for CustomVjp {
    const NAME: &'static str = "custom_vjp";
    fn fields(&self) -> Fields<super::Prim> {
        let mut fields: Fields<super::Prim> = vec![
            ("law", Field::Text(self.law.clone())),
            ("primal", Field::Program(self.primal.clone())),
            ("forward", Field::Program(self.forward.clone())),
            ("backward", Field::Program(self.backward.clone())),
        ];
        if let Some(tangent) = &self.tangent {
            fields.push(("tangent", Field::Program(tangent.clone())));
        }
        fields
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(CustomVjp {
            law: args.text("law")?,
            primal: args.program("primal")?,
            forward: args.program("forward")?,
            backward: args.program("backward")?,
            tangent: args.optional_program("tangent")?,
        })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        bodies::expect_types("parameter", inputs, &self.primal.input_types())?;
        bodies::expect_types("parameter of the forward program", &self.forward.input_types(), inputs)?;
        let outs = self.primal.output_types();
        let forward = self.forward.output_types();
        if forward.len() < outs.len() {
            return Err(Mismatch::new(format!("forward program: found {} results, expected at least {}", forward.len(), outs.len())));
        }
        let (results, residuals) = forward.split_at(outs.len());
        bodies::expect_types("result of the forward program", results, &outs)?;
        let cts = bodies::marked(&outs, &floats(&outs));
        bodies::expect_types("parameter of the backward program", &self.backward.input_types(), &[residuals, &cts].concat())?;
        let of_inputs = bodies::marked(inputs, &floats(inputs));
        bodies::expect_types("result of the backward program", &self.backward.output_types(), &of_inputs)?;
        if let Some(tangent) = &self.tangent {
            bodies::expect_types("parameter of the tangent program", &tangent.input_types(), &[inputs, &of_inputs].concat())?;
            bodies::expect_types("result of the tangent program", &tangent.output_types(), &cts)?;
        }
        Ok(outs)
    }
    fn eval(&self, cx: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        cx.run(&self.primal, inputs)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        unreachable!("custom_vjp has its own jvp rule")
    }
    fn jvp(&self, r: &mut Rule<'_>, inputs: &[ValueId], tangents: &[Option<ValueId>], _split: bool) -> (Vec<ValueId>, Vec<Option<ValueId>>) {
        let out = r.b.inline(&self.forward, inputs);
        let outs = self.primal.output_types();
        let (results, residuals) = out.split_at(outs.len());
        let dots = instantiate(r, inputs, tangents, &floats(&self.primal.input_types()));
        let n_known = residuals.len();
        if let Some(tangent) = &self.tangent {
            // Each half has its own coefficients, behind one another.
            let (of_inputs, linear) = bodies::split_linear(r.cx, tangent, inputs.len());
            let coefficients = r.b.inline(&of_inputs, inputs);
            let known = [residuals, &coefficients].concat();
            let known_types: Vec<Type> = known.iter().map(|v| r.ty(*v)).collect();
            let dot_types = bodies::marked(&self.primal.input_types(), &floats(&self.primal.input_types()));
            let apply = build(&[&known_types[..], &dot_types].concat(), |b, p| b.inline(&linear, &p[n_known..]));
            let ct_types = bodies::marked(&outs, &floats(&outs));
            let transposed = build(&[&known_types[..], &ct_types].concat(), |b, p| {
                b.inline(&self.backward, &[&p[..n_known], &p[known.len()..]].concat())
            });
            let op = LinearCall { n_known: known.len(), apply: Some(Arc::new(apply)), transposed: Arc::new(transposed), is_apart: true };
            let out_dots = r.b.emit(op.into(), &[known, dots].concat());
            return (results.to_vec(), bodies::spread_tangents(&floats(&outs), &out_dots));
        }
        let apply = r.cx.is_linear(&self.backward, n_known).then(|| Arc::new(transposed(r.cx, &self.backward, n_known)));
        let op = LinearCall { n_known: residuals.len(), apply, transposed: self.backward.clone(), is_apart: false };
        let out_dots = r.b.emit(op.into(), &[residuals, &dots].concat());
        (results.to_vec(), bodies::spread_tangents(&floats(&outs), &out_dots))
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let inputs = r.all_batched(inputs, batched, n);
        let over = |p: &Program| {
            let v = r.cx.vmap(p, &vec![true; p.inputs.len()], &vec![true; p.outputs.len()], n);
            Arc::new(v.program)
        };
        let op = CustomVjp {
            primal: over(&self.primal),
            forward: over(&self.forward),
            backward: over(&self.backward),
            tangent: self.tangent.as_deref().map(over),
            law: self.law.clone(),
        };
        let n_out = self.primal.outputs.len();
        (r.b.emit(op.into(), &inputs), vec![true; n_out])
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Self {
        CustomVjp {
            primal: Arc::new(f(&self.primal)),
            forward: Arc::new(f(&self.forward)),
            backward: Arc::new(f(&self.backward)),
            tangent: self.tangent.as_ref().map(|p| Arc::new(f(p))),
            law: self.law.clone(),
        }
    }
    fn rows() -> Vec<Row> {
        // exp, which keeps its result
        let v = Type::array(DType::F64, [3]);
        let primal = build(std::slice::from_ref(&v), |b, p| vec![b.emit1(super::exp::Exp.into(), p)]);
        let forward = build(std::slice::from_ref(&v), |b, p| {
            let y = b.emit1(super::exp::Exp.into(), p);
            vec![y, y]
        });
        let backward = build(&[v.clone(), v.clone()], |b, p| vec![b.emit1(super::mul::Mul.into(), &[p[1], p[0]])]);
        // the same, with forward mode said as well
        let tangent = build(&[v.clone(), v.clone()], |b, p| {
            let y = b.emit1(super::exp::Exp.into(), &p[..1]);
            vec![b.emit1(super::mul::Mul.into(), &[p[1], y])]
        });
        let op = CustomVjp {
            primal: Arc::new(primal),
            forward: Arc::new(forward),
            backward: Arc::new(backward),
            tangent: None,
            law: "exact".into(),
        };
        let both = CustomVjp { tangent: Some(Arc::new(tangent)), ..op.clone() };
        vec![Row::new(op, std::slice::from_ref(&v)), Row::new(both, &[v])]
    }
}
