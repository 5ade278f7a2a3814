//! The figures of timed cases, in the fields of the scripts that time others.
//!
//! For each call NAME: `NAME_s` (the median), `NAME_best_s`, `NAME_spread` (the middle half of the readings over the median), `NAME_first_s`
//! (the first call, which traces and compiles), `NAME_n` (readings); all seconds on the wall clock. `peak_mem` and `work_mem`: the most
//! memory that was resident, and that above the start, in MiB. `value` and `gnorm2`: the value and the sum of squares of the derivative.
//! `tape_bytes`: what the gradient of the loss alone keeps from its forward to its backward part, counted by the allocator.

use std::time::Instant;

use retrograde::prelude::*;
use retrograde::prim::Prim;
use retrograde::tape::TapeReport;
use retrograde::{ir, prim};
use serde_json::{Map, Value};

use super::workload::{TimedCall, Workload};
use crate::failure::Failure;
use crate::{ALLOCATOR, memory};

/// Readings of a call: at least this many, and more while they take less than this many seconds in all, up to a bound. As the
/// peers' scripts do it.
const LEAST_READINGS: usize = 7;
const SECONDS: f64 = 2.0;
const MOST_READINGS: usize = 400;
/// Calls shorter than this many seconds are timed several at once, so that the clock does not matter.
const SHORT_S: f64 = 2e-3;
/// Calls before the first reading, besides the one that compiles.
const WARM_UP: usize = 2;

/// Runs a workload; `base_mb` is what the process held before it was made. It is made again
/// after the timed calls: who trains does not keep the first parameters.
pub(super) fn time(
    make: impl Fn() -> Result<Workload, Failure>,
    policy: Tape,
    readings: Option<usize>,
    threads: usize,
    base_mb: Option<f64>,
) -> Result<(Map<String, Value>, TapeReport), Failure> {
    let mut figures = Map::new();
    let mut workload = make()?;
    let mut put = |name: &str, value: Value| {
        figures.insert(name.to_owned(), value);
    };
    put("tool", "retrograde".into());
    put("version", env!("CARGO_PKG_VERSION").into());
    put("executor", "engine".into());
    put("task", workload.task.clone().into());
    put("threads", threads.into());
    put("policy", policy.to_string().into());
    let mut report = TapeReport::default();
    for call in std::mem::take(&mut workload.calls) {
        let wrt = match &call.instead {
            Some(instead) => instead.clone(),
            None if call.feeds_back => std::mem::take(&mut workload.wrt),
            None => workload.wrt.clone(),
        };
        let (reading, kept) = run(&call, wrt, &workload.data, readings)?;
        reading.figures(call.figure).into_iter().for_each(|(name, value)| put(&name, value));
        report = kept;
    }
    for (figure, mut by_hand) in std::mem::take(&mut workload.by_hand) {
        let reading = read(readings, || {
            by_hand();
            Ok(())
        })?;
        reading.figures(figure).into_iter().for_each(|(name, value)| put(&name, value));
    }
    let peak_mb = memory::peak_resident_mb();
    workload = make()?;
    put("peak_mem", peak_mb.into());
    put("work_mem", peak_mb.zip(base_mb).map(|(peak, base)| peak - base).into());

    for (name, one, other) in &workload.flop_ratios {
        let [one, other] = [one, other].map(|function| {
            let function = function.clone();
            let door = jit(move |wrt: Vec<Var>, data: Vec<Var>| function(&wrt, &data));
            Ok::<_, Failure>(operations(&door.lowered((&workload.wrt, &workload.data))?.forward))
        });
        let ratio = other?.zip(one?).map(|(other, one)| other as f64 / one as f64);
        put(name, ratio.into());
    }
    let outcome = workload.outcome.clone();
    let outcome = jit(move |wrt: Vec<Var>, data: Vec<Var>| outcome(&wrt, &data));
    let outcome = outcome.call((&workload.wrt, &workload.data))?;
    let squares = |array: &Array| numbers(array).iter().map(|x| x * x).sum::<f64>();
    // A residual's value is the sum of its squares.
    let value = outcome.first().map(|value| match numbers(value)[..] {
        [value] => value,
        _ => squares(value),
    });
    put("value", value.into());
    put("gnorm2", outcome[1..].iter().map(squares).sum::<f64>().into());
    if let Some(loss) = workload.loss.clone() {
        let door = value_and_grad(move |wrt: Vec<Var>, data: Vec<Var>| loss(&wrt, &data)).tape(policy);
        let (value, of_loss, tape) = door.forward((&workload.wrt, &workload.data))?;
        report = of_loss;
        // What a door keeps from call to call goes with it: what stays is the tape.
        drop((value, door));
        let with_tape = live_bytes();
        drop(tape);
        let tape_bytes = with_tape.saturating_sub(live_bytes());
        put("tape_bytes", tape_bytes.into());
    } else {
        put("tape_bytes", Value::Null);
    }
    Ok((figures, report))
}

/// Seconds of one call.
struct Reading {
    /// Of the first, which compiles.
    first_s: f64,
    median_s: f64,
    best_s: f64,
    /// The middle half of the readings, over their median.
    spread: f64,
    /// How many readings.
    n: usize,
}

impl Reading {
    /// By the names that the module gives, from that of the median.
    fn figures(&self, median: &str) -> [(String, Value); 5] {
        let stem = median.trim_end_matches("_s");
        [
            (median.into(), self.median_s.into()),
            (format!("{stem}_best_s"), self.best_s.into()),
            (format!("{stem}_spread"), self.spread.into()),
            (format!("{stem}_first_s"), self.first_s.into()),
            (format!("{stem}_n"), self.n.into()),
        ]
    }
}

fn run(
    call: &TimedCall,
    mut wrt: Vec<Array>,
    data: &Vec<Array>,
    readings: Option<usize>,
) -> Result<(Reading, TapeReport), Failure> {
    let function = call.function.clone();
    let door = jit(move |wrt: Vec<Var>, data: Vec<Var>| function(&wrt, &data));
    let reading = read(readings, || {
        let results = door.call((&wrt, data))?;
        if call.feeds_back {
            wrt = results;
        }
        Ok(())
    })?;
    Ok((reading, door.last_tape()))
}

/// Times what is done again and again.
fn read(readings: Option<usize>, mut once: impl FnMut() -> Result<(), Error>) -> Result<Reading, Failure> {
    let seconds = |once: &mut dyn FnMut() -> Result<(), Error>, block: usize| {
        let start = Instant::now();
        for _ in 0..block {
            once()?;
        }
        Ok::<_, Error>(start.elapsed().as_secs_f64() / block as f64)
    };
    let first_s = seconds(&mut once, 1)?;
    let mut one = first_s;
    for _ in 0..WARM_UP {
        one = seconds(&mut once, 1)?;
    }
    let block = (SHORT_S / one.max(1e-9)).ceil().max(1.0) as usize;
    let (mut all, begin) = (vec![], Instant::now());
    loop {
        let enough = match readings {
            Some(n) => all.len() >= n,
            None => {
                all.len() >= MOST_READINGS
                    || (all.len() >= LEAST_READINGS && begin.elapsed().as_secs_f64() > SECONDS)
            }
        };
        if enough {
            break;
        }
        all.push(seconds(&mut once, block)?);
    }
    all.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (all.len() - 1) as f64;
        let (low, high) = (all[place.floor() as usize], all[place.ceil() as usize]);
        low + (high - low) * place.fract()
    };
    let median_s = at(0.5);
    let spread = (at(0.75) - at(0.25)) / median_s;
    Ok(Reading { first_s, median_s, best_s: all[0], spread, n: all.len() })
}

/// The entries, as f64.
pub(super) fn numbers(array: &Array) -> Vec<f64> {
    retrograde::arrays::ops::convert(array, DType::F64).to_vec::<f64>().unwrap_or_default()
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Floating-point operations of a program: two for each product of a matrix product, one for each entry that is summed or computed.
/// `None` where there are loops, whose steps may differ.
fn operations(program: &prim::Program) -> Option<u64> {
    use Prim::*;
    let mut total = 0;
    for ir::Equation { op, inputs, outputs, .. } in &program.equations {
        let size = |value: &ir::ValueId| program.ty(*value).shape.size() as u64;
        total += match op {
            op if op.has_bodies() => return None,
            DotGeneral(dot) => {
                let lhs = &program.ty(inputs[0]).shape;
                let depth: usize = dot.dims.lhs_contract.iter().map(|&axis| lhs[axis]).product();
                2 * size(&outputs[0]) * depth as u64
            }
            Sum(_) | ReduceMax(_) | Argmax(_) => size(&inputs[0]),
            Broadcast(_) | Reshape(_) | Transpose(_) | Slice(_) | Unslice(_) | Concat(_) | Full(_)
            | Constant(_) | Iota(_) | Convert(_) | StopGradient(_) => 0,
            _ => outputs.iter().map(size).sum(),
        };
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted() {
        let count = |f: fn(Var) -> Var| {
            let lowered = jit(f).lowered(&array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).unwrap();
            operations(&lowered.forward)
        };
        assert_eq!(count(|x| x.dot(x.t())), Some(2 * 2 * 2 * 3));
        assert_eq!(count(|x| (x * x).sum()), Some(6 + 6));
        assert_eq!(count(|x| scan(3).repeat(x, |x| x + x)), None);
    }
}
