//! Lowering: decides how the residuals of each loop are produced, then cuts the program into the part that runs before
//! the cotangents are known and the part that runs after.

use std::collections::HashMap;
use std::sync::Arc;

use super::budget::{NoPlan, Planned, Within, bits_and_reserve, slots_within, within};
use super::cut::{Parts, TapeEntry, cut};
use super::minimise::Repeat;
use super::quantise;
use super::regions::{open_regions, recompute_regions};
use super::trim::trim;
use crate::ir::{Equation, Location, Op, ValueId, check, simplify};
use crate::prim::agree::Agree;
use crate::prim::record::Record;
use crate::prim::replay::{Plan, Replay};
use crate::prim::scan::Scan;
use crate::prim::whole_step::CORRECTIONS;
use crate::prim::{Builder, Checkpoint, Prim, Program, Tape, bodies};
use crate::transform::{Derived, Inverse, Refusal, invert, invert_exact};

/// A lowered program in two parts.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// inputs -> outputs, tape
    pub forward: Program,
    /// inputs, tape, seeds -> the remaining outputs
    pub backward: Program,
    /// How many results of `forward` are outputs; the others are the tape.
    pub n_outputs: usize,
    /// What the tape holds, one entry per value.
    pub tape: Vec<TapeEntry>,
    /// Loops whose policy could not be followed, or by another mechanism than the first, and why.
    pub notes: Vec<String>,
    /// How many loops are recorded, to be replayed: what there is to audit.
    pub n_recorded: usize,
    /// The derived inverses, each to be run forwards before it is used (`exec::verify`).
    pub reversals: Vec<Reversal>,
    /// What was planned, under a budget.
    pub planned: Option<Planned>,
}

impl Lowered {
    /// Whether something on the tape is kept in fewer bits, rounded at random.
    ///
    /// ```
    /// use retrograde_core::{ir::parse, tape::{Tape, lower}};
    /// let program = parse("program(x:f64[9], s:f64[9]) {
    ///   a:f64[9] = sin x
    ///   b:f64[9] = mul s a
    ///   return a, b
    /// }")?;
    /// assert!(lower(&program, 1, 1, Tape::Quantise { bits: 8, seed: 0 })?.quantises());
    /// assert!(!lower(&program, 1, 1, Tape::Store)?.quantises());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn quantises(&self) -> bool {
        self.tape.iter().any(|entry| matches!(entry.policy, Tape::Quantise { .. }))
    }
}

/// A loop step and the inverse derived from it.
#[derive(Clone, Debug)]
pub struct Reversal {
    /// (constants, carries, xs, bits) -> (carries, bits, ys)
    pub record: Arc<Program>,
    /// (constants, carries after, xs, bits) -> (carries before, bits)
    pub inverse: Arc<Program>,
    /// How many constants there are.
    pub n_consts: usize,
    /// How many carries there are.
    pub n_carry: usize,
    /// Carries that are computed from the others.
    pub derived: Vec<Derived>,
    /// Where the user wrote the loop.
    pub location: Option<Location>,
    /// Whether the loop may do without, where the inverse proves wrong.
    pub falls_back: bool,
}

/// What the pass collects on the side.
#[derive(Default)]
struct Found {
    n_recorded: usize,
    notes: Vec<String>,
    reversals: Vec<Reversal>,
}

/// Why a program cannot be lowered as asked.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum LowerError {
    /// `Reverse` on a step that cannot be turned round.
    #[error("{0}")]
    NotReversible(Refusal, Option<Location>),
    /// `Quantise` with a number of bits that there is not.
    #[error("`Tape::Quantise`: found {bits} bits, expected 1 to 8")]
    Bits {
        /// What was asked for.
        bits: u8,
        /// Where.
        location: Option<Location>,
    },
    /// A budget that is too small.
    #[error(
        "a budget of {budget} bytes for the tape and what is computed again: the least possible is {least} bytes"
    )]
    Budget {
        /// What was asked for.
        budget: usize,
        /// The least that would do.
        least: usize,
        /// The loop with the budget; `None`: the whole program.
        location: Option<Location>,
    },
    /// A budget over a loop whose bytes nobody knows before it runs.
    #[error("a budget: this loop keeps a number of bytes that is not known before it runs")]
    Unbounded {
        /// The loop.
        location: Option<Location>,
    },
}

impl LowerError {
    /// With the place of what was asked for, where it was the whole program and no loop of it.
    pub(crate) fn at(mut self, place: Location) -> LowerError {
        if let LowerError::Budget { location, .. }
        | LowerError::Unbounded { location }
        | LowerError::Bits { location, .. } = &mut self
        {
            location.get_or_insert(place);
        }
        self
    }
}

/// Said in the notes of a report.
const NOTHING_QUANTISED: &str = "quantise: nothing is kept in fewer bits: no cotangent is multiplied by a value that would be kept and is large enough";

/// Lowers a simplified (inputs.., seeds.. -> outputs.., rest..): the first `n_outputs` results must not depend on the last
/// `n_seeds` inputs. Loops without a policy of their own get `default`.
///
/// # Errors
/// When a loop that should be reversed cannot be.
///
/// ```
/// use retrograde_core::{ir::{parse, print}, prim::Prim, tape::{Tape, lower}};
/// // The value of sin a, and its slope times the seed s.
/// let program = parse::<Prim>("program(a:f64[], s:f64[]) {
///   b:f64[] = sin a
///   c:f64[] = cos a
///   d:f64[] = mul s c
///   return b, d
/// }")?;
/// let lowered = lower(&program, 1, 1, Tape::Store)?;
/// assert_eq!(print(&lowered.forward), "program(a:f64[]) {
///   b:f64[] = sin a
///   c:f64[] = cos a
///   return b, c
/// }");
/// assert_eq!(print(&lowered.backward), "program(a:f64[], b:f64[], c:f64[]) {
///   d:f64[] = mul c b
///   return d
/// }");
/// assert_eq!(lowered.tape[0].bytes, Some(8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lower(
    program: &Program,
    n_outputs: usize,
    n_seeds: usize,
    default: Tape,
) -> Result<Lowered, LowerError> {
    if let Tape::Budget(bytes) = default {
        return within_budget(program, n_outputs, n_seeds, bytes);
    }
    let (lowered, found) = without_policies(program, n_seeds, default)?;
    let repeat = if default == Tape::Recompute { Repeat::All } else { Repeat::Cheap };
    let Parts { forward, backward, tape } = cut(&lowered, n_outputs, n_seeds, repeat);
    let Found { n_recorded, notes, reversals } = found;
    let mut lowered =
        Lowered { forward, backward, n_outputs, tape, notes, n_recorded, reversals, planned: None };
    if quantise::is_asked_for(program, default) && !lowered.quantises() {
        lowered.notes.push(NOTHING_QUANTISED.into());
    }
    Ok(lowered)
}

/// The program whose loops do as their policies say.
fn without_policies(
    program: &Program,
    n_seeds: usize,
    default: Tape,
) -> Result<(Program, Found), LowerError> {
    let mut found = Found::default();
    if let Some(bits) = quantise::impossible_bits(program, default) {
        return Err(LowerError::Bits { bits, location: None });
    }
    let with_pairs;
    let program = if quantise::is_asked_for(program, default) {
        (with_pairs, found.notes) = quantise::insert_pairs(program, n_seeds, default);
        &with_pairs
    } else {
        program
    };
    // Programs without loops are already simplified and stay as they are.
    let lowered = if program.equations.iter().any(|e| e.op.has_bodies()) {
        simplify(&loops(program, default, &mut found)?)
    } else {
        program.clone()
    };
    check::debug_check(&lowered, "lower");
    Ok((lowered, found))
}

fn within_budget(
    program: &Program,
    n_outputs: usize,
    n_seeds: usize,
    budget: usize,
) -> Result<Lowered, LowerError> {
    let opened = open_regions(program);
    let prepare = |program: &Program| without_policies(program, n_seeds, Tape::Store);
    let within = within(&opened, n_outputs, n_seeds, budget, prepare).map_err(|e| match e {
        NoPlan::TooLittle { least } => LowerError::Budget { budget, least, location: None },
        NoPlan::Unknown(location) => LowerError::Unbounded { location },
        NoPlan::Other(e) => e,
    })?;
    let Within { parts: Parts { forward, backward, tape }, planned, found } = within;
    let Found { n_recorded, notes, reversals } = found;
    Ok(Lowered { forward, backward, n_outputs, tape, notes, n_recorded, reversals, planned: Some(planned) })
}

/// What the pass needs of a loop.
struct Loop<'a> {
    body: &'a Program,
    cond: Option<&'a Arc<Program>>,
    length: Option<usize>,
    reverse: bool,
    n_cond_consts: usize,
    n_consts: usize,
    n_carry: usize,
    policy: Option<Tape>,
    most: Option<usize>,
}

fn as_loop(op: &Prim) -> Option<Loop<'_>> {
    match op {
        Prim::Scan(s) => Some(Loop {
            body: &s.body,
            cond: None,
            length: s.length,
            reverse: s.reverse,
            n_cond_consts: 0,
            n_consts: s.n_consts,
            n_carry: s.n_carry,
            policy: s.policy,
            most: None,
        }),
        Prim::While(w) => Some(Loop {
            body: &w.body,
            cond: Some(&w.cond),
            length: None,
            reverse: false,
            n_cond_consts: w.n_cond_consts,
            n_consts: w.n_body_consts,
            n_carry: w.n_carry(),
            policy: w.policy,
            most: w.most,
        }),
        _ => None,
    }
}

/// A recorded loop in the program being written.
struct Recorded {
    tape: Vec<ValueId>,
    step: Arc<Program>,
    exact: Option<Arc<Program>>,
    plain: Option<Arc<Program>>,
    plan: Plan,
}

/// Replaces each pair of a loop and the sweep over its residuals.
fn loops(program: &Program, default: Tape, found: &mut Found) -> Result<Program, LowerError> {
    let program = &quantise::dissolve_stacks(&trim(&recompute_regions(&open_regions(program)), default));
    let mut made_by: HashMap<ValueId, (usize, usize)> = HashMap::new();
    for (e, equation) in program.equations.iter().enumerate() {
        for (i, v) in equation.outputs.iter().enumerate() {
            made_by.insert(*v, (e, i));
        }
    }
    // sweep equation -> the loop it goes back over
    let mut pairs: HashMap<usize, usize> = HashMap::new();
    for (e, equation) in program.equations.iter().enumerate() {
        let Prim::Scan(sweep) = &equation.op else { continue };
        let xs = &equation.inputs[sweep.n_consts + sweep.n_carry..];
        for x in xs {
            let Some(&(maker, result)) = made_by.get(x) else { continue };
            let Some(l) = as_loop(&program.equations[maker].op) else { continue };
            if result < l.n_carry || l.policy.unwrap_or(default).stores() || l.length != sweep.length {
                continue;
            }
            if l.length.is_none() && l.cond.is_none() {
                continue;
            }
            if l.reverse == sweep.reverse {
                note(
                    found,
                    &program.equations[maker],
                    "a second sweep in the loop's own direction reads its residuals: stored",
                );
            } else if pairs.contains_key(&maker) {
                note(
                    found,
                    &program.equations[maker],
                    "the residuals of a reverse sweep itself (reverse over reverse): stored",
                );
            } else {
                pairs.entry(e).or_insert(maker);
            }
        }
    }
    // A sweep over a loop of unknown length must find all its lists in that loop.
    pairs.retain(|&e, &mut maker| {
        let Prim::Scan(sweep) = &program.equations[e].op else { return false };
        let foreign = |v: &ValueId| made_by.get(v).is_none_or(|(m, _)| *m != maker);
        let ok = sweep.length.is_some()
            || !program.equations[e].inputs[sweep.n_consts + sweep.n_carry..].iter().any(foreign);
        if !ok {
            note(found, &program.equations[maker], "the sweep also reads lists of another loop: stored");
        }
        ok
    });

    let mut used = vec![false; program.types.len()];
    program.outputs.iter().for_each(|v| used[v.index()] = true);
    for (e, equation) in program.equations.iter().enumerate() {
        for v in &equation.inputs {
            let replayed = pairs.get(&e).is_some_and(|maker| {
                made_by.get(v).is_some_and(|(m, i)| {
                    m == maker && as_loop(&program.equations[*m].op).is_some_and(|l| *i >= l.n_carry)
                })
            });
            used[v.index()] |= !replayed;
        }
    }
    let mut is_recorded = vec![false; program.equations.len()];
    #[expect(clippy::iter_over_hash_type, reason = "marks are set, order does not matter")]
    for maker in pairs.values() {
        is_recorded[*maker] = true;
    }

    let mut b = Builder::new();
    let mut map: Vec<Option<ValueId>> = vec![None; program.types.len()];
    for &v in &program.inputs {
        map[v.index()] = Some(b.input(program.ty(v).clone()));
    }
    let mut recorded: HashMap<usize, Recorded> = HashMap::new();
    for (e, equation) in program.equations.iter().enumerate() {
        b.location = equation.location;
        // A replayed sweep's operands that are residuals of the loop are not defined any more.
        let inputs: Vec<Option<ValueId>> = equation.inputs.iter().map(|v| map[v.index()]).collect();
        if let Some(&maker) = pairs.get(&e) {
            let outputs =
                replay(&mut b, program, e, maker, &recorded[&maker], &inputs, &map, default, found)?;
            equation.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
            continue;
        }
        let inputs: Vec<ValueId> =
            inputs.into_iter().map(|v| v.expect("defined before use; this is a bug in retrograde")).collect();
        match as_loop(&equation.op) {
            Some(l) if is_recorded[e] => {
                let policy = l.policy.unwrap_or(default);
                recorded.insert(e, record(&mut b, equation, &l, policy, &used, &inputs, &mut map, found)?);
            }
            _ => {
                let mut failure = None;
                let op = equation.op.map_bodies(&mut |body| {
                    loops(body, default, found).unwrap_or_else(|e| {
                        failure.get_or_insert(e);
                        body.clone()
                    })
                });
                if let Some(e) = failure {
                    return Err(e);
                }
                let outputs = b.emit(op, &inputs);
                equation.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
            }
        }
    }
    let outputs = program.outputs.iter().map(|v| map[v.index()].expect("every output is defined")).collect();
    Ok(b.finish(outputs))
}

fn note(found: &mut Found, equation: &Equation<Prim>, text: &str) {
    let place = equation.location.map(|l| format!(" at {l}")).unwrap_or_default();
    let note = format!("{}{place}: {text}", equation.op.name());
    if !found.notes.contains(&note) {
        found.notes.push(note);
    }
}

/// Emits the loop without the stacks that are replayed, with its tape.
#[expect(clippy::too_many_arguments, reason = "one call, the state of one pass")]
fn record(
    b: &mut Builder,
    equation: &Equation<Prim>,
    l: &Loop<'_>,
    policy: Tape,
    used: &[bool],
    inputs: &[ValueId],
    map: &mut [Option<ValueId>],
    found: &mut Found,
) -> Result<Recorded, LowerError> {
    found.n_recorded += 1;
    let keep: Vec<usize> =
        (0..equation.outputs.len()).filter(|&i| i < l.n_carry || used[equation.outputs[i].index()]).collect();
    let kept: Vec<ValueId> = keep.iter().map(|&i| l.body.outputs[i]).collect();
    let all = vec![true; l.body.inputs.len()];
    let body = bodies::restrict(l.body, &all, &kept);
    let mut inputs = inputs.to_vec();
    let carries = || bodies::restrict(l.body, &all, &l.body.outputs[..l.n_carry]);
    let (mut exact, mut plain_body) = (None, None);
    let by_checkpoints = |body: Program, checkpoint: Option<Checkpoint>| {
        let plan = match (checkpoint, l.length) {
            (Some(Checkpoint::Slots(slots)), _) => Plan::Slots(slots.max(1)),
            (Some(Checkpoint::Sqrt), Some(n)) => Plan::Every(n.isqrt().max(1)),
            _ => Plan::Every(1),
        };
        (Arc::new(body), Arc::new(carries()), plan)
    };
    let reversal = |inverse: &Inverse, n_carry: usize| Reversal {
        record: Arc::new(inverse.record.clone()),
        inverse: Arc::new(inverse.inverse.clone()),
        n_consts: l.n_consts,
        n_carry,
        derived: inverse.derived.clone(),
        location: equation.location,
        falls_back: matches!(policy, Tape::ReverseOr(_)),
    };
    let (body, step, plan) = match policy {
        Tape::Reverse | Tape::ReverseOr(_) => match invert(&body, l.n_consts, l.n_carry) {
            Ok(inverse) => {
                let reversal = reversal(&inverse, l.n_carry);
                expect_derived(b, &inverse.derived, l, &mut inputs);
                let parts = (reversal.record.clone(), reversal.inverse.clone(), Plan::Reverse);
                found.reversals.push(reversal);
                parts
            }
            Err(refusal) => match (invert_exact(&body, l.n_consts, l.n_carry), policy) {
                (Ok(of_rest), _) => {
                    if let Some(of_rest) = of_rest {
                        found.reversals.push(reversal(&of_rest.inverse, of_rest.n_carry));
                        exact = Some(Arc::new(of_rest.program));
                    }
                    note(found, equation, &format!("reversed as whole steps, by iteration: {refusal}"));
                    (Arc::new(body), Arc::new(carries()), Plan::ReverseStep { corrections: CORRECTIONS })
                }
                (Err(refusal), Tape::ReverseOr(checkpoint)) => {
                    let instead = Tape::from(checkpoint);
                    note(found, equation, &format!("{instead} instead of reverse: {refusal}"));
                    by_checkpoints(body, Some(checkpoint))
                }
                (Err(refusal), _) => return Err(LowerError::NotReversible(refusal, equation.location)),
            },
        },
        Tape::Budget(budget) => match reversal_within(budget, &body, l) {
            Some((plan, inverse)) => {
                let reversal = reversal(&inverse, l.n_carry);
                let parts = (reversal.record.clone(), reversal.inverse.clone(), plan);
                found.reversals.push(reversal);
                plain_body = Some(Arc::new(body));
                parts
            }
            None => {
                let state = &l.body.input_types()[l.n_consts..l.n_consts + l.n_carry];
                let slots = slots_within(budget, state, l.length);
                let too_little = |least| LowerError::Budget { budget, least, location: equation.location };
                by_checkpoints(body, Some(Checkpoint::Slots(slots.map_err(too_little)?)))
            }
        },
        Tape::Checkpoint(checkpoint) => by_checkpoints(body, Some(checkpoint)),
        Tape::Recompute | Tape::Store | Tape::Quantise { .. } => by_checkpoints(body, None),
    };
    let op = Record {
        cond: l.cond.cloned(),
        plain: plain_body.clone(),
        body,
        length: l.length,
        reverse: l.reverse,
        n_cond_consts: l.n_cond_consts,
        n_consts: l.n_consts,
        n_carry: l.n_carry,
        plan,
        most: l.most,
    };
    let outputs = b.emit(op.into(), &inputs);
    let (results, of_tape) = outputs.split_at(keep.len());
    for (&i, &o) in keep.iter().zip(results) {
        map[equation.outputs[i].index()] = Some(o);
    }
    let mut tape = vec![];
    if plan.reverses() {
        let first = &inputs[l.n_cond_consts + l.n_consts..l.n_cond_consts + l.n_consts + l.n_carry];
        tape.extend(results[..l.n_carry].iter().chain(first));
    }
    tape.extend(of_tape);
    Ok(Recorded { tape, step, exact, plain: plain_body.map(|_| Arc::new(carries())), plan })
}

/// Reversal for a loop with a budget, where it is worth trying: steps are turned round update by update, with all carries
/// inverted.
fn reversal_within(budget: usize, body: &Program, l: &Loop<'_>) -> Option<(Plan, Inverse)> {
    let state = &body.input_types()[l.n_consts..l.n_consts + l.n_carry];
    let (bits, slots) = bits_and_reserve(budget, state, l.length)?;
    let inverse = invert(body, l.n_consts, l.n_carry).ok().filter(|inverse| inverse.derived.is_empty())?;
    Some((Plan::ReverseWithin { bits, slots }, inverse))
}

/// Lets the loop start only where its derived carries are what the others give: see Note [derived carries] in `invert`.
fn expect_derived(b: &mut Builder, derived: &[Derived], l: &Loop<'_>, inputs: &mut [ValueId]) {
    let operands = inputs[l.n_cond_consts..l.n_cond_consts + l.n_consts + l.n_carry].to_vec();
    for Derived { carry, from_others } in derived {
        let expected = b.inline(from_others, &operands)[0];
        let found = &mut inputs[l.n_cond_consts + l.n_consts + carry];
        *found = b.emit1(Agree { carry: *carry }.into(), &[*found, expected]);
    }
}

/// Emits the sweep that computes the residuals again.
#[expect(clippy::too_many_arguments, reason = "one call, the state of one pass")]
fn replay(
    b: &mut Builder,
    program: &Program,
    sweep_eqn: usize,
    maker: usize,
    recorded: &Recorded,
    inputs: &[Option<ValueId>],
    map: &[Option<ValueId>],
    default: Tape,
    found: &mut Found,
) -> Result<Vec<ValueId>, LowerError> {
    let (equation, loop_eqn) = (&program.equations[sweep_eqn], &program.equations[maker]);
    let Prim::Scan(sweep) = &equation.op else { unreachable!("only scans are sweeps") };
    let Scan { body: sweep_body, n_consts: n_sweep_consts, n_carry: n_sweep_carry, .. } = sweep;
    let l = as_loop(&loop_eqn.op).expect("only loops are recorded");
    let head = n_sweep_consts + n_sweep_carry;
    // For each x of the sweep: the y of the loop it is, or none.
    let from_loop: Vec<Option<usize>> = equation.inputs[head..]
        .iter()
        .map(|v| loop_eqn.outputs.iter().position(|o| o == v).filter(|i| *i >= l.n_carry))
        .collect();
    let sweep_types = sweep_body.input_types();
    let mut params = l.body.input_types();
    let n_loop = params.len();
    params.extend_from_slice(&sweep_types[..head]);
    params.extend(
        (0..from_loop.len()).filter(|&i| from_loop[i].is_none()).map(|i| sweep_types[head + i].clone()),
    );
    let back = bodies::build(&params, |b, p| {
        let of_loop = b.inline(l.body, &p[..n_loop]);
        let mut foreign = p[n_loop + head..].iter();
        let xs =
            from_loop.iter().map(|y| y.map_or_else(|| *foreign.next().expect("one per x"), |y| of_loop[y]));
        let operands: Vec<ValueId> = p[n_loop..n_loop + head].iter().copied().chain(xs).collect();
        b.inline(sweep_body, &operands)
    });
    let back = simplify(&loops(&simplify(&back), default, found)?);
    let of = |v: &ValueId| map[v.index()].expect("defined before use; this is a bug in retrograde");
    let n_head = l.n_cond_consts + l.n_consts;
    let mut operands: Vec<ValueId> = loop_eqn.inputs[l.n_cond_consts..n_head].iter().map(of).collect();
    operands.extend(&recorded.tape);
    operands.extend(loop_eqn.inputs[n_head + l.n_carry..].iter().map(of));
    operands.extend(inputs[..head].iter().flatten());
    operands
        .extend((0..from_loop.len()).filter(|&i| from_loop[i].is_none()).filter_map(|i| inputs[head + i]));
    let op = Replay {
        step: recorded.step.clone(),
        exact: recorded.exact.clone(),
        plain: recorded.plain.clone(),
        back: Arc::new(back),
        length: l.length,
        reverse: l.reverse,
        n_consts: l.n_consts,
        n_carry: l.n_carry,
        n_xs: l.body.inputs.len() - l.n_consts - l.n_carry,
        n_sweep_consts: *n_sweep_consts,
        n_sweep_carry: *n_sweep_carry,
        plan: recorded.plan,
    };
    Ok(b.emit(op.into(), &operands))
}
