//! Follows the draws of a lossy tape through a backward part: part of the audit, and no code of the pass that placed them.
//!
//! A value computed from independent random numbers has the mean that it has with their means in their place, if it is a
//! sum of products in which each number is a factor at most once. Each value is given the set of draws that its products may
//! hold. Sums join sets. A product joins them if they have nothing in common. All else takes no value with draws in it.
//! A loop draws every row for itself, so a step does not meet its own rows in what it carries; whatever is the same in
//! every step it does.

use std::collections::{BTreeSet, HashMap};

use crate::ir::{Equation, Op, ValueId};
use crate::prim::replay::Replay;
use crate::prim::scan::Scan;
use crate::prim::{Prim, Program};

/// A draw: its number, and the loop (counted as they are met) whose own row it is.
type Draw = (usize, Option<usize>);
type Draws = BTreeSet<Draw>;

/// Whether all results of `backward` (inputs, tape, seeds -> rest) have the mean over the draws that `forward` made
/// (inputs -> outputs, tape): else the equation and the reason.
pub(super) fn unbiased(
    forward: &Program,
    backward: &Program,
    n_outputs: usize,
    n_inputs: usize,
) -> Result<(), (String, String)> {
    let tape = &forward.outputs[n_outputs..];
    let mut codes: Vec<Option<usize>> = vec![None; backward.inputs.len()];
    for (i, &v) in tape.iter().enumerate() {
        codes[n_inputs + i] = draw_of(forward, v);
    }
    if codes.iter().all(Option::is_none) {
        return Ok(());
    }
    let codes: Vec<Draws> = codes.iter().map(|c| c.iter().map(|&number| (number, None)).collect()).collect();
    let nothing = vec![Draws::new(); codes.len()];
    let mut n_loops = 0;
    follow(backward, &codes, &nothing, &mut n_loops).map(drop)
}

/// The draw that made a value, in the body of a loop too.
fn draw_of(program: &Program, v: ValueId) -> Option<usize> {
    let equation = program.equations.iter().find(|e| e.outputs.contains(&v))?;
    match &equation.op {
        Prim::Quantise(op) => Some(op.draw),
        Prim::Scan(scan) => {
            let at = equation.outputs.iter().position(|o| *o == v)?;
            draw_of(&scan.body, scan.body.outputs[at])
        }
        _ => None,
    }
}

/// The sets of the results, for those that parameters stand for (as codes or grids) and hold.
fn follow(
    program: &Program,
    codes: &[Draws],
    held: &[Draws],
    n_loops: &mut usize,
) -> Result<Vec<Draws>, (String, String)> {
    let mut of_codes: HashMap<ValueId, Draws> = HashMap::new();
    let mut holds: Vec<Draws> = vec![Draws::new(); program.types.len()];
    for (i, v) in program.inputs.iter().enumerate() {
        if !codes[i].is_empty() {
            of_codes.insert(*v, codes[i].clone());
        }
        holds[v.index()].clone_from(&held[i]);
    }
    for (index, equation) in program.equations.iter().enumerate() {
        let at = |reason: String| {
            let place = equation.location.map(|l| format!(" at {l}")).unwrap_or_default();
            (format!("equation {index} ({}{place})", equation.op.name()), reason)
        };
        let is_codes = equation.inputs.iter().any(|v| of_codes.contains_key(v));
        let random: Vec<bool> = equation.inputs.iter().map(|v| !holds[v.index()].is_empty()).collect();
        let all: Draws = equation.inputs.iter().flat_map(|v| holds[v.index()].iter().copied()).collect();
        let results = match &equation.op {
            Prim::Dequantise(_) => {
                vec![of_codes.get(&equation.inputs[0]).cloned().unwrap_or_default()]
            }
            Prim::Scan(scan) if is_codes || random.contains(&true) => {
                let operand =
                    |v: &ValueId| (of_codes.get(v).cloned().unwrap_or_default(), holds[v.index()].clone());
                let operands: Vec<(Draws, Draws)> = equation.inputs.iter().map(operand).collect();
                through(scan, &operands, n_loops)
                    .map_err(|(inner, reason)| at(format!("{inner}: {reason}")))?
            }
            Prim::Replay(replay) if !is_codes && random.contains(&true) => {
                let held: Vec<Draws> = equation.inputs.iter().map(|v| holds[v.index()].clone()).collect();
                replayed(replay, &held, n_loops)
                    .map_err(|(inner, reason)| at(format!("{inner}: {reason}")))?
            }
            _ if is_codes => return Err(at("codes are taken for numbers".into())),
            _ if !random.contains(&true) => vec![Draws::new(); equation.outputs.len()],
            Prim::Call(call) => {
                let of =
                    |sets: &dyn Fn(&ValueId) -> Draws| equation.inputs.iter().map(sets).collect::<Vec<_>>();
                let held = of(&|v| holds[v.index()].clone());
                follow(&call.body, &of(&|_| Draws::new()), &held, n_loops)
                    .map_err(|(inner, reason)| at(format!("{inner}: {reason}")))?
            }
            Prim::Cond(cond) if !random[0] => {
                let held: Vec<Draws> =
                    equation.inputs[1..].iter().map(|v| holds[v.index()].clone()).collect();
                let none = vec![Draws::new(); held.len()];
                let mut results =
                    follow(&cond.if_true, &none, &held, n_loops).map_err(|(_, reason)| at(reason))?;
                let no = follow(&cond.if_false, &none, &held, n_loops).map_err(|(_, reason)| at(reason))?;
                results.iter_mut().zip(no).for_each(|(yes, no)| yes.extend(no));
                results
            }
            Prim::Mul(_) | Prim::StrongMul(_) | Prim::DotGeneral(_) | Prim::Conv(_)
                if random == [true, true] =>
            {
                let [a, b] = [0, 1].map(|i| &holds[equation.inputs[i].index()]);
                if let Some((number, _)) = a.intersection(b).next() {
                    return Err(at(format!("draw {number} is in both factors of a product")));
                }
                vec![all]
            }
            // Linear in all its numbers together, it is a sum of something exact and something linear in the random ones.
            op if !op.has_bodies() && (op.linear_in(&random) || op.linear_in(&floats(program, equation))) => {
                vec![all; equation.outputs.len()]
            }
            Prim::LinearCall(_) if equation.op.linear_in(&random) => vec![all; equation.outputs.len()],
            _ => return Err(at(format!("is not linear in what holds draws {}", numbers(&all)))),
        };
        equation.outputs.iter().zip(results).for_each(|(v, set)| holds[v.index()] = set);
    }
    Ok(program.outputs.iter().map(|v| holds[v.index()].clone()).collect())
}

fn floats(program: &Program, equation: &Equation<Prim>) -> Vec<bool> {
    equation.inputs.iter().map(|v| program.ty(*v).is_float()).collect()
}

fn numbers(draws: &Draws) -> String {
    draws.iter().map(|(number, _)| number.to_string()).collect::<Vec<_>>().join(", ")
}

/// Through a loop, as often as what it carries grows.
fn through(
    scan: &Scan,
    operands: &[(Draws, Draws)],
    n_loops: &mut usize,
) -> Result<Vec<Draws>, (String, String)> {
    *n_loops += 1;
    let id = *n_loops;
    let head = scan.n_consts + scan.n_carry;
    // A row is this step's own where no other operand of the loop holds draws of the same numbers.
    let is_own = |i: usize| {
        let mine: BTreeSet<usize> = operands[i].0.iter().chain(&operands[i].1).map(|(n, _)| *n).collect();
        let others = (0..operands.len()).filter(|&j| j != i && !pairs_up(&operands[i], &operands[j]));
        let mut others = others.flat_map(|j| operands[j].0.iter().chain(&operands[j].1));
        others.all(|(n, _)| !mine.contains(n))
    };
    let own = |draws: &Draws| draws.iter().map(|(number, _)| (*number, Some(id))).collect::<Draws>();
    let mut codes: Vec<Draws> = vec![];
    let mut held: Vec<Draws> = vec![];
    for (i, (of_codes, of_held)) in operands.iter().enumerate() {
        let row = i >= head && is_own(i);
        codes.push(if row { own(of_codes) } else { of_codes.clone() });
        held.push(if row { own(of_held) } else { of_held.clone() });
    }
    loop {
        let results = follow(&scan.body, &codes, &held, n_loops)?;
        let mut grew = false;
        for (i, result) in results[..scan.n_carry].iter().enumerate() {
            for &(number, of) in result {
                // What the step before drew, under a name that is not of this step.
                let draw = if of == Some(id) { (number, None) } else { (number, of) };
                grew |= held[scan.n_consts + i].insert(draw);
            }
        }
        if !grew {
            let outside = |draws: &Draws| {
                draws.iter().map(|&(n, of)| (n, if of == Some(id) { None } else { of })).collect()
            };
            return Ok(results.iter().map(outside).collect());
        }
    }
}

/// Through the sweep over a loop whose states are computed again: what the states are made of holds no draws.
fn replayed(
    replay: &Replay,
    operands: &[Draws],
    n_loops: &mut usize,
) -> Result<Vec<Draws>, (String, String)> {
    let n_xs = replay.back.inputs.len() - replay.n_consts - replay.n_carry - replay.n_xs;
    let (of_states, of_sweep) = operands.split_at(operands.len() - n_xs);
    if of_states.iter().any(|held| !held.is_empty()) {
        return Err(("replay".into(), "computes states from what holds draws".into()));
    }
    let n_exact = replay.back.inputs.len() - n_xs;
    let mut held: Vec<Draws> = vec![Draws::new(); n_exact];
    held.extend_from_slice(of_sweep);
    let none = vec![Draws::new(); held.len()];
    loop {
        let results = follow(&replay.back, &none, &held, n_loops)?;
        let mut grew = false;
        for (i, result) in results[..replay.n_sweep_carry].iter().enumerate() {
            let carry = &mut held[n_exact + replay.n_sweep_consts + i];
            result.iter().for_each(|&draw| grew |= carry.insert(draw));
        }
        if !grew {
            return Ok(results);
        }
    }
}

/// Whether two operands are the codes and the grids of one draw.
fn pairs_up(a: &(Draws, Draws), b: &(Draws, Draws)) -> bool {
    a.0 == b.0 && !a.0.is_empty() && a.1.is_empty() && b.1.is_empty()
}
