//! A bound on the variance of a derivative over the draws of its tape.
//!
//! A weighted sum f of the results of the backward part is linear in each entry q_i of a drawn coefficient with all others
//! held. For a function of independent numbers Efron and Stein give Var f ≤ Σ E[(∂f/∂q_i)² Var q_i], and Var q_i is at
//! most a quarter of the squared distance h_i of the points of its grid. The program made here computes
//! Σ (∂f/∂q_i)² h_i² / 4 at the draws of one tape; the mean of that over tapes is at least the variance.
//!
//! # Source
//! B. Efron and C. Stein 1981, The jackknife estimate of variance, Annals of Statistics 9.

use std::sync::Arc;

use super::lower::Lowered;
use crate::ir::{Equation, Op, Type, ValueId};
use crate::prim::dequantise::Dequantise;
use crate::prim::scan::Scan;
use crate::prim::slice::Slice;
use crate::prim::{Builder, Prim, Program, Rule, Transforms, bodies};
use crate::transform::{Standard, linearize};
use retrograde_array::DType;
use retrograde_array::ops::QUANTISE_BLOCK;

/// (inputs.., tape.., seeds.., weights.. -> the bound, f64[]), with one weight for each entry of each result of the backward
/// part. `None` where that computes states again, or has no draws.
///
/// # Cost
/// Of the program: three to four backward parts.
///
/// ```
/// use retrograde_core::ir::parse;
/// use retrograde_core::tape::{Tape, lower, variance_bound};
/// let program = parse("program(x:f32[99], s:f32[99]) {
///   a:f32[99] = sin x
///   b:f32[99] = cos x
///   c:f32[99] = mul s b
///   return a, c
/// }")?;
/// let lowered = lower(&program, 1, 1, Tape::Quantise { bits: 8, seed: 0 })?;
/// // x, codes, grids, the seed and a weight for each entry of c.
/// assert_eq!(variance_bound(&lowered).unwrap().inputs.len(), 5);
/// assert!(variance_bound(&lower(&program, 1, 1, Tape::Store)?).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn variance_bound(lowered: &Lowered) -> Option<Program> {
    let (exposed, drawn) = expose(&lowered.backward)?;
    let n_given = lowered.backward.inputs.len();
    let results = lowered.backward.output_types();
    let weights: Vec<Type> = results.iter().filter(|ty| ty.is_float()).cloned().collect();
    let coefficients: Vec<Type> = drawn.iter().map(|d| d.ty.clone()).collect();
    let params = [lowered.backward.input_types(), weights.clone(), coefficients].concat();
    let n_exact = n_given + weights.len();
    let sum = bodies::build(&params, |b, p| {
        let results = b.inline(&exposed, &[&p[..n_given], &p[n_exact..]].concat());
        let mut r = Rule { b, cx: &Standard };
        let floats: Vec<ValueId> = results.into_iter().filter(|v| r.b.ty(*v).is_float()).collect();
        let terms: Vec<ValueId> =
            floats.iter().zip(&p[n_given..n_exact]).map(|(&v, &w)| weighted(&mut r, v, w)).collect();
        let sum = terms.into_iter().reduce(|a, b| r.add(a, b));
        vec![sum.unwrap_or_else(|| r.zeros(&Type::array(DType::F64, [])))]
    });
    let active: Vec<bool> = (0..params.len()).map(|i| i >= n_exact).collect();
    let lin = linearize(&sum, &active, &[true]);
    let transposed = Standard.transpose(&lin.linear, lin.n_residuals);
    Some(bodies::build(&params[..n_exact], |b, p| {
        let values: Vec<ValueId> = drawn.iter().map(|d| d.value(b, p)).collect();
        let residuals = b.inline(&lin.forward, &[p, &values].concat()).split_off(1);
        let mut r = Rule { b, cx: &Standard };
        let one = r.full(&Type::array(DType::F64, []), 1.0);
        let slopes = r.b.inline(&transposed, &[&residuals[..], &[one]].concat());
        let terms: Vec<ValueId> =
            drawn.iter().zip(slopes).map(|(d, slope)| d.variance(&mut r, p, slope)).collect();
        let sum = terms.into_iter().reduce(|a, b| r.add(a, b));
        vec![sum.expect("there are draws")]
    }))
}

/// Σ w v in f64.
fn weighted(r: &mut Rule<'_>, v: ValueId, w: ValueId) -> ValueId {
    let (v, w) = (r.convert(v, DType::F64), r.convert(w, DType::F64));
    let product = r.mul(v, w);
    total(r, product)
}

fn total(r: &mut Rule<'_>, v: ValueId) -> ValueId {
    let axes: Vec<usize> = (0..r.b.ty(v).shape.rank()).collect();
    if axes.is_empty() { v } else { r.sum(v, &axes) }
}

/// A coefficient that was drawn, or a stack of them, and where the backward part has its codes and grids.
struct Drawn {
    codes: usize,
    grids: usize,
    op: Dequantise,
    length: Option<usize>,
    ty: Type,
}

impl Drawn {
    fn value(&self, b: &mut Builder, p: &[ValueId]) -> ValueId {
        let operands = [p[self.codes], p[self.grids]];
        let Some(length) = self.length else { return b.emit1(self.op.clone().into(), &operands) };
        let rows: Vec<Type> = operands.iter().map(|v| b.ty(*v).unstacked()).collect();
        let body = bodies::build(&rows, |b, p| b.emit(self.op.clone().into(), p));
        let scan = Scan {
            body: Arc::new(body),
            length: Some(length),
            reverse: false,
            n_consts: 0,
            n_carry: 0,
            policy: None,
        };
        b.emit1(scan.into(), &operands)
    }
    /// Σ slope² h² / 4
    fn variance(&self, r: &mut Rule<'_>, p: &[ValueId], slope: ValueId) -> ValueId {
        let n_rows = self.length.unwrap_or(1);
        let n: usize = self.op.shape.iter().product();
        let n_blocks = n.div_ceil(QUANTISE_BLOCK);
        let grids = r.reshape(p[self.grids], &[n_rows, n_blocks, 2]);
        let part = |r: &mut Rule<'_>, v, starts: &[usize], limits: &[usize]| {
            let strides = vec![1; starts.len()];
            r.emit(Slice { starts: starts.to_vec(), limits: limits.to_vec(), strides }, &[v])
        };
        let steps = part(r, grids, &[0, 0, 1], &[n_rows, n_blocks, 2]);
        let steps = r.reshape(steps, &[n_rows, n_blocks]);
        let steps = r.convert(steps, DType::F64);
        let half = r.number(steps, 0.5);
        let half_steps = r.mul(steps, half);
        let half_steps = r.broadcast(half_steps, &[n_rows, n_blocks, QUANTISE_BLOCK], &[0, 1]);
        let half_steps = r.reshape(half_steps, &[n_rows, n_blocks * QUANTISE_BLOCK]);
        let half_steps = part(r, half_steps, &[0, 0], &[n_rows, n]);
        let slope = r.reshape(slope, &[n_rows, n]);
        let slope = r.convert(slope, DType::F64);
        let product = r.mul(slope, half_steps);
        let square = r.mul(product, product);
        total(r, square)
    }
}

/// The program with one more parameter for each `dequantise`, in place of its result.
fn expose(program: &Program) -> Option<(Program, Vec<Drawn>)> {
    let mut b = Builder::new();
    let mut map: Vec<Option<ValueId>> = vec![None; program.types.len()];
    for &v in &program.inputs {
        map[v.index()] = Some(b.input(program.ty(v).clone()));
    }
    let position = |v: ValueId| program.inputs.iter().position(|i| *i == v);
    let mut drawn: Vec<Drawn> = vec![];
    for equation in &program.equations {
        let mut inputs: Vec<ValueId> =
            equation.inputs.iter().map(|v| map[v.index()].expect("defined before use")).collect();
        let outputs = match &equation.op {
            Prim::Dequantise(op) => {
                let ty = program.ty(equation.outputs[0]).clone();
                let [codes, grids] = [position(equation.inputs[0])?, position(equation.inputs[1])?];
                drawn.push(Drawn { codes, grids, op: op.clone(), length: None, ty: ty.clone() });
                vec![b.input(ty)]
            }
            Prim::Scan(scan) if mentions_draws(&scan.body) => {
                let length = scan.length?;
                let head = scan.n_consts + scan.n_carry;
                let (body, of_body) = expose(&scan.body)?;
                for d in of_body {
                    if d.codes.min(d.grids) < head || d.length.is_some() {
                        return None;
                    }
                    let [codes, grids] =
                        [position(equation.inputs[d.codes])?, position(equation.inputs[d.grids])?];
                    let ty = d.ty.stacked(length);
                    inputs.push(b.input(ty.clone()));
                    drawn.push(Drawn { codes, grids, length: Some(length), ty, ..d });
                }
                b.emit(Scan { body: Arc::new(body), ..scan.clone() }.into(), &inputs)
            }
            Prim::Replay(_) => return None,
            op if op.has_bodies() && has_draws_inside(op) => return None,
            op => b.emit(op.clone(), &inputs),
        };
        equation.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
    }
    if drawn.is_empty() {
        return None;
    }
    let outputs = program.outputs.iter().map(|v| map[v.index()].expect("defined before use")).collect();
    Some((b.finish(outputs), drawn))
}

fn mentions_draws(program: &Program) -> bool {
    let inside = |e: &Equation<Prim>| matches!(e.op, Prim::Dequantise(_)) || has_draws_inside(&e.op);
    program.equations.iter().any(inside)
}

fn has_draws_inside(op: &Prim) -> bool {
    let mut any = false;
    op.map_bodies(&mut |body| {
        any |= mentions_draws(body);
        body.clone()
    });
    any
}
