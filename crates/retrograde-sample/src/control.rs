//! Loops, branches and calls with random bodies.
//!
//! Carried floats pass through sin or tanh in every step, so they stay small however long a loop runs. A `while` counts
//! to at most 5, and sometimes stops before, by what it carries.

use std::sync::Arc;

use retrograde_array::ops::{Comparison, Logic};
use retrograde_array::{Array, DType};
use retrograde_core::ir::{Type, ValueId};
use retrograde_core::prim::{self, Prim, Program};

use crate::choice::{ANY, Around};
use crate::drawing::Drawing;

/// An equation of the same primitive with random bodies; nothing where it would not be finite.
pub(crate) fn equation(o: &mut Drawing<'_>, op: &Prim) -> Option<Vec<ValueId>> {
    match op {
        Prim::Call(_) => call(o),
        Prim::Cond(_) => cond(o),
        Prim::Scan(_) => scan(o),
        _ => while_loop(o),
    }
}

/// Types of `n` floats.
fn types(o: &mut Drawing<'_>, n: usize) -> Vec<Type> {
    let around = Around { reach: &[], float: o.float };
    (0..n).map(|_| Type::array(o.float, around.shape(o.d))).collect()
}

fn operands(o: &mut Drawing<'_>, types: &[Type]) -> Option<Vec<ValueId>> {
    types.iter().map(|ty| o.operand(ty, ANY)).collect()
}

fn entries(o: &Drawing<'_>, operands: &[ValueId]) -> Vec<Array> {
    operands.iter().map(|&v| o.entries(v).clone()).collect()
}

/// A body with results of these types; those marked are bounded.
fn body(o: &mut Drawing<'_>, parameters: &[Array], results: &[Type], bounded: usize) -> Option<Program> {
    let mut b = o.body(parameters);
    b.fill_body();
    let mut outputs = vec![];
    for (i, ty) in results.iter().enumerate() {
        let mut v = b.result(ty)?;
        if i < bounded {
            let through: Prim = if b.d.one_in(2) { prim::sin::Sin.into() } else { prim::tanh::Tanh.into() };
            v = b.emit(through, &[v])?[0];
        }
        outputs.push(v);
    }
    Some(b.finish_body(outputs))
}

fn call(o: &mut Drawing<'_>) -> Option<Vec<ValueId>> {
    let (n_in, n_out) = (1 + o.d.below(3), 1 + o.d.below(2));
    let (parameters, results) = (types(o, n_in), types(o, n_out));
    let operands = operands(o, &parameters)?;
    let body = body(o, &entries(o, &operands), &results, 0)?;
    o.emit(prim::call::Call::new("region", body), &operands)
}

fn cond(o: &mut Drawing<'_>) -> Option<Vec<ValueId>> {
    let (n_in, n_out) = (1 + o.d.below(3), 1 + o.d.below(2));
    let (parameters, results) = (types(o, n_in), types(o, n_out));
    let mut operands = operands(o, &parameters)?;
    let seen = entries(o, &operands);
    let (if_true, if_false) = (body(o, &seen, &results, 0)?, body(o, &seen, &results, 0)?);
    operands.insert(0, o.operand(&Type::array(DType::Bool, []), ANY)?);
    o.emit(prim::cond::Cond { if_true: Arc::new(if_true), if_false: Arc::new(if_false) }, &operands)
}

fn scan(o: &mut Drawing<'_>) -> Option<Vec<ValueId>> {
    let (n_consts, n_carry, n_xs, n_ys) = (o.d.below(3), 1 + o.d.below(2), o.d.below(2), o.d.below(2));
    let (length, reverse) = (*o.d.of(&[0, 1, 2, 3, 3, 4, 5]), o.d.one_in(2));
    let fixed = types(o, n_consts + n_carry);
    let (xs, ys) = (types(o, n_xs), types(o, n_ys));
    let stacked: Vec<Type> = xs.iter().map(|ty| ty.stacked(length)).collect();
    let operands = operands(o, &[&fixed[..], &stacked].concat())?;
    let mut seen = entries(o, &operands);
    for x in &mut seen[fixed.len()..] {
        let first = if reverse { length.saturating_sub(1) } else { 0 };
        let ty = Type::of(x).unstacked();
        *x = if length == 0 { Array::zeros(ty.dtype, ty.shape) } else { x.row(first) };
    }
    let results = [&fixed[n_consts..], &ys].concat();
    let body = Arc::new(body(o, &seen, &results, n_carry)?);
    let op = prim::scan::Scan { body, length: Some(length), reverse, n_consts, n_carry, policy: None };
    o.emit(op, &operands)
}

fn while_loop(o: &mut Drawing<'_>) -> Option<Vec<ValueId>> {
    let (n_body_consts, n_state) = (o.d.below(2), 1 + o.d.below(2));
    let floats = types(o, n_body_consts + n_state);
    let int = Type::array(DType::I64, []);
    // limit, body constants, state, count
    let of_floats = operands(o, &floats)?;
    let n_steps = o.d.below(6);
    let (limit, count) = (o.constant(&int, n_steps as f64)?, o.constant(&int, 0.0)?);
    let operands = [&[limit], &of_floats[..], &[count]].concat();
    let seen = entries(o, &operands);
    let by_state = o.d.one_in(3);

    let mut c = o.body(&[&seen[..1], &seen[1 + n_body_consts..]].concat());
    let p = c.b.program().inputs.clone();
    let counter = p[p.len() - 1];
    let less = prim::compare::Compare { comparison: Comparison::Lt };
    let mut go_on = c.emit(less.clone(), &[counter, p[0]])?[0];
    if by_state {
        let scalar = Type::array(c.float, []);
        let size = c.coerced(p[1], &scalar)?;
        let bound = c.constant(&scalar, 0.7)?;
        let small = c.emit(less, &[size, bound])?[0];
        go_on = c.emit(prim::logic::Logic { op: Logic::And }, &[go_on, small])?[0];
    }
    let cond = c.finish_body(vec![go_on]);

    let mut b = o.body(&seen[1..]);
    b.fill_body();
    let mut outputs = vec![];
    for ty in &floats[n_body_consts..] {
        let v = b.result(ty)?;
        outputs.push(b.emit(prim::tanh::Tanh, &[v])?[0]);
    }
    let one = b.constant(&int, 1.0)?;
    let counter = *b.b.program().inputs.last()?;
    outputs.push(b.emit(prim::add::Add, &[counter, one])?[0]);
    let body = b.finish_body(outputs);
    let op = prim::while_loop::While {
        cond: Arc::new(cond),
        body: Arc::new(body),
        n_cond_consts: 1,
        n_body_consts,
        policy: None,
        most: None,
    };
    o.emit(op, &operands)
}
