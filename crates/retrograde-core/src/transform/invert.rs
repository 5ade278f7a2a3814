//! Turns a step of a loop round, exactly.
//!
//! The step is read as constraints: equations whose operands are known run forwards; an equation whose result is known
//! and one operand is not gives that operand. A rounded addition is solved by [`crate::prim::restore`], which takes from
//! the bit stack what rounding destroyed; the recording twin of the step puts it there. See `tape` for who runs them.

use crate::ir::{Equation, Kind, Location, Op, Type, ValueId, check, cse, dce};
use crate::prim::{Builder, Prim, Program, Rule, bodies, neg::Neg, restore::Restore, retain::Retain};

use super::Standard;

/// A step and its inverse.
#[derive(Clone, Debug)]
pub struct Inverse {
    /// (constants, carries, xs, bits) -> (carries after the step, bits, ys)
    pub record: Program,
    /// (constants, carries after the step, xs, bits) -> (carries before it, bits)
    pub inverse: Program,
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
    if undo.outputs.last() != undo.inputs.last() {
        let message = "the carries that are no floats are undone with bits of floats".into();
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
    let outputs = &body.outputs[..n_carry];
    let all = vec![true; body.inputs.len()];
    let step = bodies::restrict(body, &all, outputs);
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
    // For each restored value: the value of the step it equals, up to sign.
    let mut restored: Vec<(ValueId, ValueId, bool)> = vec![];
    let mut done = vec![false; step.equations.len()];
    loop {
        let mut progress = false;
        for (i, equation) in step.equations.iter().enumerate() {
            if !done[i] && advance(&mut b, equation, &mut known, &mut bits, &mut restored, &step) {
                done[i] = true;
                progress = true;
            }
        }
        if !progress {
            break;
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
    let record = record(body, &raw, &parameters, first_bits, &restored, &step, n_consts, n_carry);
    check::debug_check(&inverse, "invert");
    check::debug_check(&record, "invert");
    Ok(Inverse { record, inverse })
}

/// Runs one equation in whichever direction it can; says whether nothing is left to do with it.
fn advance(
    b: &mut Builder,
    equation: &Equation<Prim>,
    known: &mut [Option<ValueId>],
    bits: &mut ValueId,
    restored: &mut Vec<(ValueId, ValueId, bool)>,
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
    let [target] = unknown[..] else { return false };
    if outputs.iter().any(Option::is_none) || step.ty(target).kind != Kind::Array {
        return false;
    }
    let first_new = b.program().equations.len();
    let ty = step.ty(target).clone();
    let solved = equation.op.invert(&mut Rule { b, cx: &Standard }, &inputs, &outputs, &ty, *bits);
    let Some((value, bits_left)) = solved else { return false };
    for new in &b.program().equations[first_new..] {
        if matches!(new.op, Prim::Restore(_)) {
            restored.push((new.outputs[1], target, new.outputs[1] != value));
        }
    }
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
    restored: &[(ValueId, ValueId, bool)],
    step: &Program,
    n_consts: usize,
    n_carry: usize,
) -> Program {
    let mut b = Builder::new();
    let inputs: Vec<ValueId> = body.input_types().into_iter().map(|ty| b.input(ty)).collect();
    let mut bits = b.input(Type::bits());
    // The step once more with every value in reach; cse merges the copies.
    let everything: Vec<ValueId> = (0..step.types.len() as u32).map(ValueId).collect();
    let open = Program { outputs: everything, ..step.clone() };
    let of_step = b.inline(&open, &inputs);
    let outputs = b.inline(body, &inputs);
    let mut twin: Vec<Option<ValueId>> = vec![None; inverse.types.len()];
    for (i, p) in parameters.iter().enumerate() {
        let is_carry = (n_consts..n_consts + n_carry).contains(&i);
        twin[p.index()] = Some(if is_carry { outputs[i - n_consts] } else { inputs[i] });
    }
    twin[first_bits.index()] = Some(bits);
    let mut retained = vec![];
    for equation in &inverse.equations {
        let operands = |twin: &[Option<ValueId>]| -> Vec<ValueId> {
            equation.inputs.iter().map(|v| twin[v.index()].expect("defined before use")).collect()
        };
        if let Prim::Restore(Restore { update }) = &equation.op {
            let (x, target, negated) = restored
                .iter()
                .find(|(x, ..)| *x == equation.outputs[1])
                .expect("every restored value is listed");
            let of_target = of_step[target.index()];
            let value = if *negated { b.emit1(Neg.into(), &[of_target]) } else { of_target };
            retained.push((*update, operands(&twin)[1..].to_vec(), value));
            twin[equation.outputs[0].index()] = Some(bits);
            twin[x.index()] = Some(value);
        } else {
            let results = b.emit(equation.op.clone(), &operands(&twin));
            equation.outputs.iter().zip(results).for_each(|(v, r)| twin[v.index()] = Some(r));
        }
    }
    for (update, operands, value) in retained.into_iter().rev() {
        let mut inputs = vec![bits, operands[0], value];
        inputs.extend(&operands[1..]);
        bits = b.emit1(Retain { update }.into(), &inputs);
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
