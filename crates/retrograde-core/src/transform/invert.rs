//! Turns a step of a loop round, exactly.
//!
//! The step is read as constraints: equations whose operands are known run forwards; an equation whose result is known
//! and one operand is not gives that operand. A rounded addition is solved by [`crate::prim::restore`], which takes from
//! the bit stack what rounding destroyed; the recording twin of the step puts it there. See `tape` for who runs them.
//!
//! Note [derived carries]: where this gets stuck, a carry may be a function f of the others after every step: velocity Verlet's
//! acceleration, the value of a lattice point. If it is one before the first step too, it is one before every step, so it is
//! computed from the others and not inverted. f is read off the step; whoever records the loop checks its start (`agree`).
//!
//! Note [decisions]: where that does not help either, a `select` or `cond` may hang on what the results do not tell, as the state
//! before the step. Its truth values go on the stack, a bit each, and what they choose is solved like a plain update
//! (`chosen`): a choice between carries that differ by one addition each. A lane that has ended is the common case: under `vmap`
//! it keeps its state. Longer choices are left to the reversal of whole steps.

use std::sync::Arc;

use crate::ir::{Equation, Kind, Location, Op, Type, ValueId, check, cse, dce};
use crate::prim::{Builder, Prim, Program, Rule, bodies};
use crate::prim::{
    expand::Expand, neg::Neg, pop_bits::PopBits, push_bits::PushBits, restore::Restore, retain::Retain,
    spill::Spill,
};

use super::Standard;
use super::chosen::chosen_updates;

/// A step and its inverse.
#[derive(Clone, Debug)]
pub struct Inverse {
    /// (constants, carries, xs, bits) -> (carries after the step, bits, ys)
    pub record: Program,
    /// (constants, carries after the step, xs, bits) -> (carries before it, bits)
    pub inverse: Program,
    /// Carries that are computed from the others and not inverted: the loop must start with what these give.
    pub derived: Vec<Derived>,
}

/// A carry that is a function of the other ones after every step.
#[derive(Clone, PartialEq, Debug)]
pub struct Derived {
    /// Which carry.
    pub carry: usize,
    /// (constants, carries) -> the carry
    pub from_others: Arc<Program>,
}

/// Why a step cannot be turned round.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What was found.
    pub message: String,
    /// The equation that stands in the way.
    pub location: Option<Location>,
}

/// Derives the inverse of a loop body (constants, carries, xs) -> (carries, ys).
///
/// # Errors
/// Where a carry cannot be computed from the later ones: the unknown inside its own update (`x += f(x)`), `a + a`,
/// coupled pairs, operations that are not one-to-one.
///
/// ```
/// use retrograde_core::{ir::{parse, print}, prim::Prim, transform::invert};
/// // x += sin v, of the state (x, v): the bits that rounding destroys go on a stack.
/// let step = parse::<Prim>("program(a:f64[], b:f64[]) {
///   c:f64[] = sin b
///   d:f64[] = add a c
///   return d, b
/// }")?;
/// assert_eq!(print(&invert(&step, 0, 2)?.inverse), "program(a:f64[], b:f64[], c:bits) {
///   d:f64[] = sin b
///   e:bits, f:f64[] = restore[update=add] c a d
///   return f, b, e
/// }");
/// // x += sin x cannot be solved for x.
/// let step = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = sin a\n  c:f64[] = add a b\n  return c\n}")?;
/// assert!(invert(&step, 0, 1).unwrap_err().to_string().contains("it stands inside its own update"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn invert(body: &Program, n_consts: usize, n_carry: usize) -> Result<Inverse, Refusal> {
    invert_parts(body, n_consts, &(0..n_carry).collect::<Vec<usize>>())
}

/// What undoes the carries that are no floats, where the others are reversed as a whole.
#[derive(Clone, Debug)]
pub struct Exact {
    /// The step of these carries alone, and its inverse.
    pub inverse: Inverse,
    /// (constants, all carries after the step, xs) -> these carries before it
    pub program: Program,
    /// How many such carries there are.
    pub n_carry: usize,
}

/// Derives the inverse of a loop body for those of its carries that are no floats, for a reversal that guesses the others
/// (`prim::whole_step`); none where all are floats.
///
/// # Errors
/// Where such a carry depends on a float or cannot be computed from the later ones; a step with a `while` in it, which a
/// guess of the state may keep from ending.
///
/// ```
/// use retrograde_core::{ir::{parse, print}, prim::Prim, transform::invert_exact};
/// // x = sin x, and a counter.
/// let step = parse::<Prim>("program(a:f64[], b:i64[]) {
///   c:f64[] = sin a
///   d:i64[] = full[type=i64[], value=i64[]{1}]
///   e:i64[] = add b d
///   return c, e
/// }")?;
/// let exact = invert_exact(&step, 0, 2)?.unwrap();
/// assert_eq!(print(&exact.program), "program(a:f64[], b:i64[]) {
///   c:i64[] = full[type=i64[], value=i64[]{1}]
///   d:i64[] = sub b c
///   return d
/// }");
/// let halved = parse::<Prim>("program(a:i64[]) {\n  b:i64[] = full[type=i64[], value=i64[]{2}]\n  c:i64[] = div a b\n  return c\n}")?;
/// assert!(invert_exact(&halved, 0, 1).unwrap_err().to_string().contains("`div` cannot be solved"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn invert_exact(body: &Program, n_consts: usize, n_carry: usize) -> Result<Option<Exact>, Refusal> {
    let types = body.input_types();
    let whole: Vec<usize> = (0..n_carry).filter(|&i| !types[n_consts + i].is_float()).collect();
    let all = vec![true; types.len()];
    let step = bodies::restrict(body, &all, &body.outputs[..n_carry]);
    if let Some(equation) = step.equations.iter().find(|e| holds_a_while(&e.op)) {
        return Err(Refusal {
            message: "the step cannot be reversed as a whole: it holds a `while`, which may never end from a guess of the state".into(),
            location: equation.location,
        });
    }
    if whole.is_empty() {
        return Ok(None);
    }
    for &i in &whole {
        let of_part = Program { outputs: vec![step.outputs[i]], ..step.clone() };
        let needed = bodies::needed_inputs(&of_part, &[true]);
        if let Some(float) = (0..n_carry).find(|&j| needed[n_consts + j] && types[n_consts + j].is_float()) {
            let part = &types[n_consts + i];
            return Err(Refusal {
                message: format!(
                    "the step cannot be reversed for part {i} of the state ({part}): it is no float and depends on part {float}, which is one"
                ),
                location: step
                    .equations
                    .iter()
                    .find(|e| e.outputs.contains(&step.outputs[i]))
                    .and_then(|e| e.location),
            });
        }
    }
    let is_float_carry = |i: usize| (n_consts..n_consts + n_carry).contains(&i) && types[i].is_float();
    let kept: Vec<bool> = (0..types.len()).map(|i| !is_float_carry(i)).collect();
    let outputs: Vec<ValueId> = whole.iter().map(|&i| step.outputs[i]).collect();
    let inverse = invert_parts(&bodies::restrict(&step, &kept, &outputs), n_consts, &whole)?;
    // Whole numbers lose nothing, so the bits pass by.
    let undo = &inverse.inverse;
    if undo.outputs.last() != undo.inputs.last() || !inverse.derived.is_empty() {
        let message = "the step cannot be reversed as a whole: parts of its state that are no floats can be undone only with bits on the stack".into();
        return Err(Refusal { message, location: None });
    }
    let mut plain = undo.clone();
    plain.inputs.pop();
    plain.outputs.pop();
    let program = bodies::build(&types, |b, p| b.inline(&plain, &bodies::marked(p, &kept)));
    Ok(Some(Exact { inverse, program, n_carry: whole.len() }))
}

fn holds_a_while(op: &Prim) -> bool {
    let mut found = matches!(op, Prim::While(_));
    op.map_bodies(&mut |body| {
        found |= body.equations.iter().any(|e| holds_a_while(&e.op));
        body.clone()
    });
    found
}

/// See [`invert`]; `parts` numbers the carries for refusals.
fn invert_parts(body: &Program, n_consts: usize, parts: &[usize]) -> Result<Inverse, Refusal> {
    let n_carry = parts.len();
    let body = &without_calls(body);
    let outputs = &body.outputs[..n_carry];
    let all = vec![true; body.inputs.len()];
    let step = chosen_updates(&bodies::restrict(body, &all, outputs), n_consts, n_carry);
    let mut b = Builder::new();
    let mut known: Vec<Option<ValueId>> = vec![None; step.types.len()];
    let is_carry = |i: usize| (n_consts..n_consts + n_carry).contains(&i);
    let mut parameters = vec![];
    for (i, &v) in step.inputs.iter().enumerate() {
        let id = b.input(step.ty(v).clone());
        parameters.push(id);
        if is_carry(i) {
            known[step.outputs[i - n_consts].index()] = Some(id);
        } else {
            known[v.index()] = Some(id);
        }
    }
    let first_bits = b.input(Type::bits());
    let mut bits = first_bits;
    // For each value that was solved for: the value of the step it equals, up to sign.
    let mut solved: Vec<(ValueId, ValueId, bool)> = vec![];
    let mut done = vec![false; step.equations.len()];
    let mut derived: Vec<Derived> = vec![];
    loop {
        let mut progress = false;
        for (i, equation) in step.equations.iter().enumerate() {
            if !done[i] && advance(&mut b, equation, &mut known, &mut bits, &mut solved, &step) {
                done[i] = true;
                progress = true;
            }
        }
        if !progress {
            let Some(next) = derive(&step, n_consts, n_carry, &known, &derived) else {
                let Some(decision) = undecided(&step, &known, &done) else { break };
                let shape = step.ty(decision).shape.to_vec();
                let popped = b.emit(PopBits { shape }.into(), &[bits]);
                bits = popped[0];
                known[decision.index()] = Some(popped[1]);
                solved.push((popped[1], decision, false));
                continue;
            };
            let operands: Vec<ValueId> = step.inputs[..n_consts + n_carry]
                .iter()
                // What it does not read may be unknown; dce drops the stand-in.
                .map(|v| known[v.index()].unwrap_or(first_bits))
                .collect();
            let value = b.inline(&next.from_others, &operands)[0];
            let target = step.inputs[n_consts + next.carry];
            known[target.index()] = Some(value);
            solved.push((value, target, false));
            derived.push(next);
        }
    }
    let mut before = vec![];
    for &v in &step.inputs[n_consts..n_consts + n_carry] {
        match known[v.index()] {
            Some(id) => before.push(id),
            None => return Err(refusal(&step, v, n_consts, parts, &known)),
        }
    }
    before.push(bits);
    let raw = b.program().clone();
    let inverse = b.finish(before);
    let inverse = dce::dce(&inverse);
    let record = record(body, &raw, &parameters, first_bits, &solved, &step, n_consts, n_carry);
    check::debug_check(&inverse, "invert");
    check::debug_check(&record, "invert");
    Ok(Inverse { record, inverse, derived })
}

/// The body with its calls written out, but those that declare an inverse: a function with a derivative of its own is its primal here.
fn without_calls(body: &Program) -> Program {
    fn callee(op: &Prim) -> Option<&Arc<Program>> {
        match op {
            Prim::Call(call) if call.inverse.is_none() => Some(&call.body),
            Prim::CustomJvp(custom) => Some(&custom.primal),
            Prim::CustomVjp(custom) => Some(&custom.primal),
            _ => None,
        }
    }
    if !body.equations.iter().any(|e| callee(&e.op).is_some()) {
        return body.clone();
    }
    bodies::build(&body.input_types(), |b, p| {
        let mut map: Vec<Option<ValueId>> = vec![None; body.types.len()];
        body.inputs.iter().zip(p).for_each(|(v, &p)| map[v.index()] = Some(p));
        let of = |map: &[Option<ValueId>], v: &ValueId| map[v.index()].expect("defined before use");
        for equation in &body.equations {
            b.location = equation.location;
            let operands: Vec<ValueId> = equation.inputs.iter().map(|v| of(&map, v)).collect();
            let results = match callee(&equation.op) {
                Some(callee) => b.inline(&without_calls(callee), &operands),
                None => b.emit(equation.op.clone(), &operands),
            };
            equation.outputs.iter().zip(results).for_each(|(v, r)| map[v.index()] = Some(r));
        }
        body.outputs.iter().map(|v| of(&map, v)).collect()
    })
}

/// The first unknown carry that is a function of known ones after every step, see Note [derived carries]. It may not read
/// other derived ones, so that every start is checked against what is not derived.
fn derive(
    step: &Program,
    n_consts: usize,
    n_carry: usize,
    known: &[Option<ValueId>],
    derived: &[Derived],
) -> Option<Derived> {
    let carries = &step.inputs[n_consts..n_consts + n_carry];
    (0..n_carry).filter(|&i| known[carries[i].index()].is_none()).find_map(|carry| {
        let is_source = |j: usize| {
            j != carry && known[carries[j].index()].is_some() && derived.iter().all(|d| d.carry != j)
        };
        // For each value: the carry after the step that it is.
        let source = |v: ValueId| (0..n_carry).find(|&j| step.outputs[j] == v && is_source(j));
        let mut needed = vec![false; step.types.len()];
        let target = step.outputs[carry];
        needed[target.index()] = true;
        let mut of_carries = source(target).is_some();
        for equation in step.equations.iter().rev() {
            if equation.outputs.iter().any(|v| needed[v.index()] && source(*v).is_none()) {
                for v in &equation.inputs {
                    needed[v.index()] = true;
                    of_carries |= source(*v).is_some();
                }
            }
        }
        let reads_the_state_before =
            step.inputs[n_consts..].iter().any(|v| needed[v.index()] && source(*v).is_none());
        if reads_the_state_before || !of_carries {
            return None;
        }
        let types: Vec<Type> = step.input_types()[..n_consts + n_carry].to_vec();
        let from_others = bodies::build(&types, |b, p| {
            let mut map: Vec<Option<ValueId>> = vec![None; step.types.len()];
            step.inputs[..n_consts].iter().zip(p).for_each(|(v, &p)| map[v.index()] = Some(p));
            (0..n_carry)
                .filter(|&j| is_source(j))
                .for_each(|j| map[step.outputs[j].index()] = Some(p[n_consts + j]));
            for equation in &step.equations {
                let wanted = |v: &ValueId| needed[v.index()] && map[v.index()].is_none();
                if equation.outputs.iter().any(wanted) {
                    b.location = equation.location;
                    let operand = |v: &ValueId| map[v.index()].expect("needed, so defined before use");
                    let operands: Vec<ValueId> = equation.inputs.iter().map(operand).collect();
                    let results = b.emit(equation.op.clone(), &operands);
                    for (v, r) in equation.outputs.iter().zip(results) {
                        map[v.index()].get_or_insert(r);
                    }
                }
            }
            vec![map[target.index()].expect("the target is needed")]
        });
        Some(Derived { carry, from_others: Arc::new(from_others) })
    })
}

/// The first unknown truth values that a choice hangs on, see Note [decisions]; one for each lane where lanes share theirs.
fn undecided(step: &Program, known: &[Option<ValueId>], done: &[bool]) -> Option<ValueId> {
    let chooses = |e: &Equation<Prim>| matches!(e.op, Prim::Select(_) | Prim::Cond(_));
    let mut open =
        step.equations.iter().zip(done).filter(|(e, done)| !**done && chooses(e)).map(|(e, _)| e.inputs[0]);
    let mut decision = open.find(|v| known[v.index()].is_none())?;
    while let Some(repeated) = step.equations.iter().find(|e| e.outputs == [decision])
        && matches!(repeated.op, Prim::Broadcast(_) | Prim::Reshape(_))
    {
        decision = repeated.inputs[0];
    }
    Some(decision)
}

/// Runs one equation in whichever direction it can; says whether nothing is left to do with it.
fn advance(
    b: &mut Builder,
    equation: &Equation<Prim>,
    known: &mut [Option<ValueId>],
    bits: &mut ValueId,
    solved_for: &mut Vec<(ValueId, ValueId, bool)>,
    step: &Program,
) -> bool {
    b.location = equation.location;
    let inputs: Vec<Option<ValueId>> = equation.inputs.iter().map(|v| known[v.index()]).collect();
    let outputs: Vec<Option<ValueId>> = equation.outputs.iter().map(|v| known[v.index()]).collect();
    if let Some(operands) = inputs.iter().copied().collect::<Option<Vec<ValueId>>>() {
        if outputs.iter().all(Option::is_some) {
            return true;
        }
        let results = b.emit(equation.op.clone(), &operands);
        for (v, result) in equation.outputs.iter().zip(results) {
            known[v.index()].get_or_insert(result);
        }
        return true;
    }
    let unknown: Vec<ValueId> =
        equation.inputs.iter().copied().filter(|v| known[v.index()].is_none()).collect();
    let repeats = (1..unknown.len()).any(|i| unknown[..i].contains(&unknown[i]));
    let whole = (!repeats)
        .then(|| equation.op.invert_whole(&mut Rule { b, cx: &Standard }, &inputs, &outputs, *bits))
        .flatten();
    if let Some((values, bits_left)) = whole {
        for (&v, value) in unknown.iter().zip(values) {
            known[v.index()] = Some(value);
            solved_for.push((value, v, false));
        }
        *bits = bits_left;
        // What else it gives follows now from its operands.
        return outputs.iter().all(Option::is_some) || advance(b, equation, known, bits, solved_for, step);
    }
    let [target] = unknown[..] else { return false };
    if outputs.iter().any(Option::is_none) || step.ty(target).kind != Kind::Array {
        return false;
    }
    let first_new = b.program().equations.len();
    let ty = step.ty(target).clone();
    let solved = equation.op.invert(&mut Rule { b, cx: &Standard }, &inputs, &outputs, &ty, *bits);
    let Some((value, bits_left)) = solved else { return false };
    for new in &b.program().equations[first_new..] {
        if matches!(new.op, Prim::Restore(_)) && new.outputs[1] != value {
            solved_for.push((new.outputs[1], target, true));
        }
    }
    solved_for.push((value, target, false));
    known[target.index()] = Some(value);
    *bits = bits_left;
    true
}

/// The step that also puts on the stack what the inverse takes from it, in the opposite order.
#[expect(clippy::too_many_arguments, reason = "one call, all of them parts of one derivation")]
fn record(
    body: &Program,
    inverse: &Program,
    parameters: &[ValueId],
    first_bits: ValueId,
    solved: &[(ValueId, ValueId, bool)],
    step: &Program,
    n_consts: usize,
    n_carry: usize,
) -> Program {
    let mut b = Builder::new();
    let inputs: Vec<ValueId> = body.input_types().into_iter().map(|ty| b.input(ty)).collect();
    let mut bits = b.input(Type::bits());
    let outputs = b.inline(body, &inputs);
    // The step once more with every value in reach, but for its results, which are those of the body; cse merges the copies.
    let mut of_step: Vec<Option<ValueId>> = vec![None; step.types.len()];
    step.inputs.iter().zip(&inputs).for_each(|(v, &p)| of_step[v.index()] = Some(p));
    for equation in &step.equations {
        b.location = equation.location;
        let operand = |v: &ValueId| of_step[v.index()].expect("defined before use");
        let operands: Vec<ValueId> = equation.inputs.iter().map(operand).collect();
        let results = b.emit(equation.op.clone(), &operands);
        for (v, result) in equation.outputs.iter().zip(results) {
            let carry_idx = step.outputs.iter().position(|output| output == v);
            of_step[v.index()] = Some(carry_idx.map_or(result, |i| outputs[i]));
        }
    }
    let of_step: Vec<ValueId> = of_step.into_iter().map(|v| v.unwrap_or(bits)).collect();
    let mut twin: Vec<Option<ValueId>> = vec![None; inverse.types.len()];
    for (i, p) in parameters.iter().enumerate() {
        let is_carry = (n_consts..n_consts + n_carry).contains(&i);
        twin[p.index()] = Some(if is_carry { outputs[i - n_consts] } else { inputs[i] });
    }
    twin[first_bits.index()] = Some(bits);
    let mut retained: Vec<(Prim, Vec<ValueId>, Option<Location>)> = vec![];
    for equation in &inverse.equations {
        let operands = |twin: &[Option<ValueId>]| -> Vec<ValueId> {
            equation.inputs.iter().map(|v| twin[v.index()].expect("defined before use")).collect()
        };
        // What the inverse solves for is at hand here.
        let at_hand: Vec<Option<(ValueId, bool)>> = equation
            .outputs
            .iter()
            .map(|v| solved.iter().find(|(value, ..)| value == v))
            .map(|found| found.map(|(_, target, negated)| (of_step[target.index()], *negated)))
            .collect();
        let results: Vec<ValueId> = match &equation.op {
            Prim::Restore(Restore { update }) => {
                let (of_target, negated) = at_hand[1].expect("every restored value is listed");
                let value = if negated { b.emit1(Neg.into(), &[of_target]) } else { of_target };
                let operands = operands(&twin);
                retained.push((
                    Retain { update: *update }.into(),
                    [&[operands[1], value], &operands[2..]].concat(),
                    equation.location,
                ));
                vec![bits, value]
            }
            Prim::PopBits(_) => {
                let decision = at_hand[1].expect("every decision is listed").0;
                retained.push((PushBits.into(), vec![decision], equation.location));
                vec![bits, decision]
            }
            Prim::Expand(Expand { by }) => {
                let before = [1, 2].map(|i| at_hand[i].expect("every expanded value is listed").0);
                retained.push((Spill { by: *by }.into(), before.to_vec(), equation.location));
                vec![bits, before[0], before[1]]
            }
            op => match at_hand.iter().map(|found| found.filter(|(_, negated)| !negated)).collect() {
                Some::<Vec<_>>(found) => found.into_iter().map(|(value, _)| value).collect(),
                None => b.emit(op.clone(), &operands(&twin)),
            },
        };
        equation.outputs.iter().zip(results).for_each(|(v, r)| twin[v.index()] = Some(r));
    }
    for (op, operands, location) in retained.into_iter().rev() {
        b.location = location;
        bits = b.emit1(op, &[&[bits], &operands[..]].concat());
    }
    let (carries, ys) = outputs.split_at(n_carry);
    let all = carries.iter().copied().chain([bits]).chain(ys.iter().copied()).collect();
    dce::dce(&cse::cse(&b.finish(all)))
}

fn refusal(
    step: &Program,
    carry: ValueId,
    n_consts: usize,
    parts: &[usize],
    known: &[Option<ValueId>],
) -> Refusal {
    let uses: Vec<&Equation<Prim>> = step.equations.iter().filter(|e| e.inputs.contains(&carry)).collect();
    let position = step.inputs[n_consts..].iter().position(|v| *v == carry).map_or(0, |i| parts[i]);
    let Some(first) = uses.first() else {
        return Refusal {
            message: format!(
                "part {position} of the state ({}) is overwritten: its old value cannot be recovered",
                step.ty(carry)
            ),
            location: None,
        };
    };
    let closing = uses.iter().find(|e| e.outputs.iter().all(|v| known[v.index()].is_some())).unwrap_or(first);
    let why = if uses.len() > 1 {
        "it stands inside its own update, as in `x += f(x)`".into()
    } else if closing.inputs.iter().filter(|v| **v == carry).count() > 1 {
        "it occurs twice in one equation, as in `a + a`".into()
    } else {
        format!("`{}` cannot be solved for it to the bit", closing.op.name())
    };
    Refusal {
        message: format!(
            "the step cannot be reversed for part {position} of the state ({}): {why}",
            step.ty(carry)
        ),
        location: closing.location,
    }
}
