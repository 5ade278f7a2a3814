//! `retrograde bench nbody`: the gradient of a long leapfrog simulation of a planetary disc.
//!
//! Drift–kick–drift with h = 0.01 and softened gravity, written as updates in place, so that every policy applies. The
//! gradient is with respect to first positions, first velocities and masses, of Σ w·x + ½ Σ v² at the end.

use std::io::Write;
use std::process::Command;
use std::time::Instant;

use clap::Args;
use retrograde::arrays::map;
use retrograde::prelude::*;
use retrograde::tape::TapeReport;
use retrograde::trace::door::ValueAndGrad;
use serde::Serialize;

use crate::ALLOCATOR;
use crate::failure::Failure;
use crate::memory;

const STEP: f64 = 0.01;
const SOFTENING_SQUARED: f64 = 1e-4;
/// A reference that keeps more than this runs under checkpoints instead.
const MAX_REFERENCE_BYTES: usize = 2_000_000_000;
/// Positions, velocities and masses of the largest simulation; pairs of bodies take n² values.
const MAX_BODIES: usize = 2048;
const MAX_STEPS: usize = 1 << 32;

/// The flags of `retrograde bench nbody`.
#[derive(Args, Debug)]
pub(crate) struct NbodyArgs {
    /// Bodies, the sun included.
    #[arg(long, value_name = "N", value_parser = in_range(1, MAX_BODIES))]
    bodies: usize,
    /// Steps.
    #[arg(long, value_name = "T", value_parser = in_range(1, MAX_STEPS))]
    steps: usize,
    /// What the gradient remembers: store, checkpoint-sqrt, reverse.
    #[arg(long, value_name = "POLICY", default_value_t = Tape::Reverse)]
    tape: Tape,
    /// Times each part this often and takes the median.
    #[arg(long, value_name = "R", default_value_t = 3, value_parser = in_range(1, 10_000))]
    repeats: usize,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    /// Prints the bits of the gradient and nothing else: the reference of another run.
    #[arg(long, hide = true)]
    gradient_bits: bool,
}

fn in_range(min: usize, max: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let n = text.parse().ok().filter(|n| (min..=max).contains(n));
        n.ok_or_else(|| format!("found {text:?}, expected an integer from {min} to {max}"))
    }
}

/// What a run measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
struct Figures {
    tool: &'static str,
    task: String,
    steps: usize,
    policy: String,
    primal_s: f64,
    gradient_s: f64,
    ratio: f64,
    /// Live bytes that the forward run left, counted by the allocator.
    tape_bytes: usize,
    /// Per position, velocity and step.
    bits_per_value_step: f64,
    recomputed_steps: u64,
    inverse_steps: u64,
    peak_rss_mb: Option<f64>,
    /// Whether the gradient equals that of another process in every bit.
    bit_identical: bool,
    /// The policy of that process.
    reference_policy: String,
    /// Under `reverse`, where the run fails unless it arrives at the recorded start; else `null`.
    start_recovered: Option<bool>,
}

/// Positions and velocities `[3, n]`, masses `[n]`.
type State = (Var, Var, Var);
type Arrays = (Array, Array, Array);
type Door<F> = ValueAndGrad<F, (State,)>;

/// Runs the command.
pub(crate) fn run(args: &NbodyArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let start = initial(args.bodies);
    let door = gradient(args.steps, args.tape);
    if args.tape == Tape::Store {
        expect_memory(args.tape, stored_bytes(&door, &start)?)?;
    }
    if args.gradient_bits {
        writeln!(out, "{}", hex(&door.call(&start)?.1))?;
        return Ok(());
    }
    let (figures, report) = measure(args, &door, &start)?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&figures)?)?;
        return Ok(());
    }
    let serde_json::Value::Object(fields) = serde_json::to_value(&figures)? else { return Ok(()) };
    for (name, value) in &fields {
        writeln!(out, "{name:<20} {value}")?;
    }
    write!(out, "\n{report}")?;
    Ok(())
}

fn measure<F: Fn(State) -> Var>(
    args: &NbodyArgs,
    door: &Door<F>,
    start: &Arrays,
) -> Result<(Figures, TapeReport), Failure> {
    let primal = jit(move |s: State| loss(s, args.steps));
    primal.call(start)?;
    let primal_s = median(args.repeats, || primal.call(start))?;
    // The first call compiles.
    let (_, bits) = door.call(start)?;
    let gradient_s = median(args.repeats, || door.call(start))?;
    let report = door.last_tape();

    let before = live_bytes();
    let (value, summary, tape) = door.forward(start)?;
    drop(summary);
    let tape_bytes = live_bytes().saturating_sub(before + value.size_bytes());
    drop(tape);

    let n_values = (6 * args.bodies * args.steps) as f64;
    let n_bits = if args.tape == Tape::Reverse { report.stack_bits() } else { 8 * tape_bytes };
    let peak_rss_mb = memory::peak_resident_mb();
    let (reference, reference_policy) = reference(args, start)?;
    let figures = Figures {
        tool: "retrograde",
        task: format!("nbody{}", args.bodies),
        steps: args.steps,
        policy: args.tape.to_string(),
        primal_s,
        gradient_s,
        ratio: gradient_s / primal_s,
        tape_bytes,
        bits_per_value_step: n_bits as f64 / n_values,
        recomputed_steps: report.recomputed_steps,
        inverse_steps: report.inverse_steps,
        peak_rss_mb,
        bit_identical: hex(&bits) == reference,
        reference_policy: reference_policy.to_string(),
        start_recovered: (args.tape == Tape::Reverse).then_some(true),
    };
    Ok((figures, report))
}

/// Runs `f` several times; the median of its seconds.
fn median<R>(repeats: usize, f: impl Fn() -> Result<R, Error>) -> Result<f64, Failure> {
    let mut seconds = vec![];
    for _ in 0..repeats {
        let start = Instant::now();
        let result = f()?;
        seconds.push(start.elapsed().as_secs_f64());
        drop(result);
    }
    seconds.sort_by(f64::total_cmp);
    let (low, high) = (seconds[(repeats - 1) / 2], seconds[repeats / 2]);
    Ok(0.5 * (low + high))
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// The gradient of the same simulation in another process, where nothing is shared but the program.
fn reference(args: &NbodyArgs, start: &Arrays) -> Result<(String, Tape), Failure> {
    let needed = stored_bytes(&gradient(args.steps, Tape::Store), start)?;
    let fits = needed <= MAX_REFERENCE_BYTES
        && memory::available_bytes().is_none_or(|free| (needed as u64) < free / 2);
    let policy = if fits { Tape::Store } else { Checkpoint::Sqrt.into() };
    let failed = |what: String| Failure::Reference(what);
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let (bodies, steps) = (args.bodies.to_string(), args.steps.to_string());
    let output = Command::new(program)
        .args([
            "bench",
            "nbody",
            "--gradient-bits",
            "--bodies",
            &bodies,
            "--steps",
            &steps,
            "--tape",
            &policy.to_string(),
        ])
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok((String::from_utf8_lossy(&output.stdout).trim().to_owned(), policy))
}

/// Bytes of the tape, as far as they are known before a run.
fn stored_bytes<F: Fn(State) -> Var>(door: &Door<F>, start: &Arrays) -> Result<usize, Failure> {
    let tape = door.lowered(start)?.tape;
    Ok(tape.iter().filter_map(|entry| entry.bytes).fold(0, usize::saturating_add))
}

fn expect_memory(policy: Tape, needed: usize) -> Result<(), Failure> {
    match memory::available_bytes() {
        Some(free) if needed as u64 > free => Err(Failure::Memory {
            policy: policy.to_string(),
            needed_mb: needed as u64 >> 20,
            available_mb: free >> 20,
        }),
        _ => Ok(()),
    }
}

/// All bits of a gradient.
fn hex((x, v, m): &Arrays) -> String {
    let leaves = [x, v, m].map(|leaf| leaf.to_vec::<f64>().unwrap_or_default()).concat();
    leaves.iter().map(|entry| format!("{:016x}", entry.to_bits())).collect()
}

fn gradient(n_steps: usize, policy: Tape) -> Door<impl Fn(State) -> Var> {
    value_and_grad(move |s: State| loss(s, n_steps)).tape(policy)
}

/// Σ w·x + ½ Σ v² after the last step, with w[k,i] = cos(i + 3k).
fn loss((x, v, m): State, n_steps: usize) -> Var {
    let n = m.shape()[0];
    let (x, v) = scan(n_steps).repeat((x, v), |(x, v)| {
        let x = x + 0.5 * STEP * v;
        let v = v + STEP * acceleration(x, m);
        let x = x + 0.5 * STEP * v;
        (x, v)
    });
    let weights: Vec<f64> = (0..3 * n).map(|at| map::cos_f64((at % n + 3 * (at / n)) as f64)).collect();
    let weights = weights_array(n, weights);
    (x * &weights).sum() + 0.5 * (v * v).sum()
}

fn weights_array(n: usize, weights: Vec<f64>) -> Array {
    Array::new([3, n], weights).expect("3 n entries")
}

/// Gravity: Σⱼ mⱼ (xⱼ - xᵢ) / (|xⱼ - xᵢ|² + ε²)^(3/2). One is added where i = j, where the distance is zero and
/// 1/ε³ would only add rounding errors to the derivative.
fn acceleration(x: Var, m: Var) -> Var {
    let n = m.shape()[0];
    let pairs = [3, n, n];
    let d = x.broadcast(pairs, &[0, 2]) - x.broadcast(pairs, &[0, 1]);
    let eye: Vec<f64> = (0..n * n).map(|at| if at / n == at % n { 1.0 } else { 0.0 }).collect();
    let eye = Array::new([n, n], eye).expect("n rows of n entries");
    let r2 = (d * d).sum_axes(&[0]) + SOFTENING_SQUARED + &eye;
    let pull = m.broadcast([n, n], &[1]) * (1.0 / (r2 * r2.sqrt()));
    (d * pull.broadcast(pairs, &[1, 2])).sum_axes(&[2])
}

/// A sun and planets on circles, a little out of the plane.
fn initial(n: usize) -> Arrays {
    let (mass, spacing) = if n <= 8 { (1e-6, 0.35) } else { (1e-9, 0.05) };
    let golden_angle = 2.399_963_229_728_653;
    let planets = |axis: &dyn Fn(f64, f64, f64) -> f64| -> Vec<f64> {
        let of = |i: usize| {
            let (radius, angle) = (1.0 + spacing * i as f64, golden_angle * i as f64);
            if i == 0 { 0.0 } else { axis(i as f64, radius, angle) }
        };
        (0..n).map(of).collect()
    };
    let speed = |radius: f64| (1.0 / radius).sqrt();
    let x = [
        planets(&|_, radius, angle| radius * map::cos_f64(angle)),
        planets(&|_, radius, angle| radius * map::sin_f64(angle)),
        planets(&|i, _, _| 0.01 * map::sin_f64(i)),
    ];
    let v = [
        planets(&|_, radius, angle| -speed(radius) * map::sin_f64(angle)),
        planets(&|_, radius, angle| speed(radius) * map::cos_f64(angle)),
        planets(&|_, _, _| 0.0),
    ];
    let masses: Vec<f64> = (0..n).map(|i| if i == 0 { 1.0 } else { mass * (1 + i % 3) as f64 }).collect();
    (weights_array(n, x.concat()), weights_array(n, v.concat()), array(masses))
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrograde::prim::Value;

    const POLICIES: [Tape; 3] = [Tape::Store, Tape::Checkpoint(Checkpoint::Sqrt), Tape::Reverse];

    fn bits(n: usize, n_steps: usize, policy: Tape) -> String {
        hex(&gradient(n_steps, policy).call(&initial(n)).unwrap().1)
    }

    #[test]
    fn policies_agree_in_every_bit() {
        for n_steps in [1, 2, 10, 101] {
            let store = bits(4, n_steps, Tape::Store);
            assert!(POLICIES.iter().all(|&policy| bits(4, n_steps, policy) == store), "{n_steps} steps");
        }
    }

    /// Central difference along one direction; the error of the difference is about 1e-10.
    #[test]
    fn the_gradient_is_the_slope() {
        let (x, v, m) = initial(3);
        let door = gradient(20, Tape::Reverse);
        let (_, (x_bar, ..)) = door.call(&(x.clone(), v.clone(), m.clone())).unwrap();
        let value = |delta: f64| {
            let mut moved = x.clone();
            moved.make_mut::<f64>().unwrap()[1] += delta;
            door.call(&(moved, v.clone(), m.clone())).unwrap().0.item::<f64>().unwrap()
        };
        let slope = (value(1e-5) - value(-1e-5)) / 2e-5;
        assert!((slope - x_bar.to_vec::<f64>().unwrap()[1]).abs() < 1e-8);
    }

    /// Every bit of the stack matters: with one flipped the run fails or the gradient is another.
    #[test]
    fn a_flipped_bit_of_the_stack_does_not_pass() {
        let start = initial(8);
        let door = gradient(300, Tape::Reverse);
        let (_, report, tape) = door.forward(&start).unwrap();
        let (gradient, counters) = door.backward(&start, tape.clone()).unwrap();
        let n_bits = report.stack_bits();
        assert!(n_bits > 0 && counters.inverse_steps == 300);
        let mut n_failed = 0;
        let flips: Vec<usize> = (0..n_bits).step_by(n_bits.div_ceil(20)).collect();
        for &flip in &flips {
            let mut tape = tape.clone();
            for value in &mut tape {
                if let Value::Bits(bits) = value {
                    bits.flip(flip);
                }
            }
            match door.backward(&start, tape) {
                Ok((other, _)) => assert_ne!(hex(&other), hex(&gradient), "bit {flip} of {n_bits}"),
                Err(_) => n_failed += 1,
            }
        }
        assert_eq!(n_failed, flips.len());
    }

    /// What the allocator counts is what the report lists, but for the few words around each array.
    #[test]
    fn the_allocator_agrees_with_the_report() {
        let start = initial(8);
        for policy in POLICIES {
            let door = gradient(1000, policy);
            door.call(&start).unwrap();
            let reported = door.last_tape().tape_bytes();
            // Other tests allocate meanwhile; the least of several counts is nearest.
            let counted = (0..20)
                .map(|_| {
                    let before = live_bytes();
                    let (_, report, tape) = door.forward(&start).unwrap();
                    drop(report);
                    let counted = live_bytes().saturating_sub(before);
                    drop(tape);
                    counted.abs_diff(reported)
                })
                .min();
            assert!(counted.unwrap() <= 4096 + reported / 50, "{policy}: {counted:?} off {reported}");
        }
    }

    #[test]
    fn medians() {
        let ok = || Ok::<_, Error>(());
        assert!(median(1, ok).unwrap() >= 0.0 && median(4, ok).unwrap() >= 0.0);
    }
}
