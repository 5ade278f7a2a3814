//! Errors of the functions of `retrograde_array::map` in units in the last place (ulp), against `tools/reference.py`.

mod kept;
mod narrow;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use retrograde_array::map::{BinaryFunction, Function};
use retrograde_array::rng::{Key, random_bits};
use retrograde_array::{Array, ops};
use serde_json::{Map, Value, json};

/// Arguments of each f64 function.
const ARGUMENTS: usize = 20_000;
/// Rows of each function in `reference.txt`.
const ROWS: usize = 150;
/// Where the rows that `cargo test` checks are.
const REFERENCE: &str = "crates/retrograde-array/src/map/reference.txt";

/// Where a function is finite and its result not always the same.
struct Domain {
    /// Arguments are drawn uniformly from these.
    ranges: &'static [(f64, f64)],
    /// And next to these: zeros, ends, branch points of our own code.
    points: &'static [f64],
}

const INF: f64 = f64::INFINITY;
const MAX: f64 = f64::MAX;

fn domain(function: Function) -> Domain {
    let (ranges, points): (&[_], &[_]) = match function {
        Function::Abs | Function::Sign | Function::Floor | Function::Ceil | Function::Round => (&[], &[]),
        Function::Rsqrt => (&[(0.0, 4.0), (0.0, MAX)], &[1.0, 4.0]),
        Function::Cbrt => (&[(-8.0, 8.0), (-MAX, MAX)], &[0.0, 1.0, 8.0]),
        Function::Exp => (&[(-1.0, 1.0), (-745.2, 709.8)], &[0.0, -708.4, -745.2, 709.78, 0.3465, -0.3465]),
        Function::Exp2 => (&[(-1.0, 1.0), (-1075.0, 1024.0)], &[0.0, 0.5, 1.0, -1022.0, -1075.0, 1024.0]),
        Function::Expm1 => (&[(-1.0, 1.0), (-40.0, 709.8)], &[0.0, 0.3465, -0.3465, -37.0, -45.0, 709.78]),
        Function::Log | Function::Log2 => {
            (&[(0.5, 2.0), (0.0, MAX)], &[1.0, 0.5, 2.0, std::f64::consts::FRAC_1_SQRT_2])
        }
        Function::Log1p => (&[(-1.0, 1.0), (-0.1, 1e3)], &[0.0, -1.0, -0.292_893, 0.414_214, 1e-17]),
        Function::Sin | Function::Cos | Function::Tan => (
            &[(-4.0, 4.0), (-1e4, 1e4), (-1.1e9, 1.1e9)],
            &[0.0, std::f64::consts::FRAC_PI_4, 1_073_741_824.0],
        ),
        Function::Asin | Function::Acos => (&[(-1.0, 1.0)], &[0.0, 0.5, -0.5, 1.0, -1.0]),
        Function::Atan => (&[(-1.0, 1.0), (-10.0, 10.0)], &[0.0, 1.0, -1.0, 0.414_213_56, 2.414_213_56]),
        Function::Sinh | Function::Cosh => {
            (&[(-1.0, 1.0), (-23.0, 23.0), (-710.5, 710.5)], &[0.0, 22.0, -22.0, 710.475, 1e-9])
        }
        Function::Tanh => (&[(-1.0, 1.0), (-20.0, 20.0)], &[0.0, 20.0, 19.06, 1e-8]),
        Function::Asinh => (&[(-1.0, 1.0), (-100.0, 100.0)], &[0.0, 1e-9, 1e15, -1e15]),
        Function::Acosh => (&[(1.0, 2.0), (1.0, 100.0)], &[1.0, 1e15]),
        Function::Atanh => (&[(-1.0, 1.0)], &[0.0, 1.0, -1.0, 1e-9]),
        Function::Logistic => (&[(-1.0, 1.0), (-746.0, 40.0)], &[0.0, -708.4, -745.1, 36.7]),
        Function::Softplus => (&[(-1.0, 1.0), (-746.0, 40.0)], &[0.0, -40.0, -745.1, 36.7, 800.0]),
        Function::Erf => (&[(-1.0, 1.0), (-6.0, 6.0)], &[0.0, 1.0, -1.0, 5.9, 6.0]),
        Function::Erfc => {
            (&[(-1.0, 1.0), (-6.0, 6.0), (0.0, 27.3)], &[0.0, 0.5, 1.0, -1.0, 26.5, 27.2, 3.0, 7.0])
        }
        Function::ErfInv => (&[(-1.0, 1.0), (0.7, 1.0)], &[0.0, 0.75, -0.75, 1.0, -1.0]),
        Function::Lgamma => (
            &[(0.0, 3.0), (0.5, 9.0), (0.0, 200.0), (-6.0, 0.0), (-60.0, 0.0), (-4e15, 0.0)],
            &[
                0.0,
                0.5,
                1.0,
                2.0,
                8.0,
                2.5e305,
                -2.457_024_738_220_800_5,
                -2.747_682_646_727_412_6,
                -1.0,
                -3.0,
            ],
        ),
        Function::Digamma => (
            &[(0.0, 3.0), (0.5, 9.0), (0.0, 200.0), (-6.0, 0.0), (-60.0, 0.0), (-4e15, 0.0)],
            &[
                0.0,
                1.0,
                1.461_632_144_968_362_3,
                8.0,
                -0.504_083_008_264_455_4,
                -1.573_498_473_162_390_5,
                -2.0,
            ],
        ),
        Function::BesselI0e | Function::BesselI1e | Function::LogBesselI0 => {
            (&[(-1.0, 1.0), (-20.0, 20.0), (-1e3, 1e3)], &[0.0, 1.0, 15.0, 16.0, -16.0])
        }
    };
    Domain { ranges, points }
}

/// Arguments where `f(x)` should be a number: from the ranges, of any magnitude, and next to the points.
fn arguments(function: Function, n: usize) -> Vec<f64> {
    let Domain { ranges, points } = domain(function);
    if ranges.is_empty() {
        return vec![];
    }
    let lowest = ranges.iter().fold(INF, |low, range| low.min(range.0));
    let highest = ranges.iter().fold(-INF, |high, range| high.max(range.1));
    // Functions that are finite beyond the interesting range are so for every float.
    let all = matches!(
        function,
        Function::Sin | Function::Cos | Function::Tan | Function::Atan | Function::Asinh | Function::Tanh
    ) || matches!(function, Function::BesselI0e | Function::BesselI1e | Function::LogBesselI0);
    let upward = matches!(function, Function::Acosh | Function::Log1p | Function::Softplus);
    let legal = |x: f64| {
        x.is_finite()
            && (all || (lowest <= x && x <= highest) || (upward && x > lowest))
            && !pole(function, x)
    };

    let words = random_bits(Key::from_seed(function as u64), 4 * n);
    let unit = |word: u64| (word >> 11) as f64 / 9_007_199_254_740_992.0;
    let mut found = Vec::with_capacity(n);
    for (i, pair) in words.chunks_exact(2).enumerate() {
        let (kind, range) = (i % 4, ranges[i / 4 % ranges.len()]);
        let x = match kind {
            0 | 1 => range.0 + unit(pair[0]) * (range.1 - range.0),
            2 => f64::from_bits(pair[0]),
            _ => beside(points[i / 4 % points.len()], pair[0]),
        };
        // Of any magnitude, but below that of the range: most floats are tiny or huge.
        let x = if kind == 1 { x * (-40.0 * unit(pair[1]) * unit(pair[1])).exp2() } else { x };
        let x = match function {
            Function::Sin | Function::Cos | Function::Tan if kind == 3 && i % 8 == 3 => {
                beside((pair[1] >> (pair[1] % 60)) as f64 * std::f64::consts::FRAC_PI_2, pair[0] % 8)
            }
            _ => x,
        };
        if legal(x) {
            found.push(x);
        }
        if found.len() == n {
            break;
        }
    }
    found
}

/// Arguments with an infinite result or none.
fn pole(function: Function, x: f64) -> bool {
    match function {
        Function::Rsqrt | Function::Log | Function::Log2 => x <= 0.0,
        Function::Log1p => x <= -1.0,
        Function::Atanh | Function::ErfInv => x.abs() >= 1.0,
        Function::Lgamma | Function::Digamma => x == 0.0 || (x < 0.0 && x == x.floor()),
        _ => false,
    }
}

/// A float next to `x`: some steps of a random size away, either side.
fn beside(x: f64, word: u64) -> f64 {
    let steps = (word >> 16) & ((1 << (word % 45)) - 1);
    let bits = x.to_bits();
    let stepped = if word & 0x8000 == 0 { bits.saturating_add(steps) } else { bits.saturating_sub(steps) };
    f64::from_bits(stepped)
}

/// Pairs of arguments of a function of two.
fn pairs(function: BinaryFunction, n: usize) -> Vec<(f64, f64)> {
    let words = random_bits(Key::from_seed(1000 + function as u64), 4 * n);
    let unit = |word: u64| (word >> 11) as f64 / 9_007_199_254_740_992.0;
    let pair = |(i, words): (usize, &[u64])| {
        let [a, b, c, _] = words.try_into().expect("chunks of four; this is a bug in retrograde");
        let (any, other) = (f64::from_bits(a), f64::from_bits(b));
        match (function, i % 4) {
            (BinaryFunction::Rem, _) => (f64::NAN, 1.0),
            (BinaryFunction::Atan2, 0) => (any, other),
            (BinaryFunction::Atan2, 1) => (any, any * (0.5 + unit(b)) * if c & 1 == 0 { 1.0 } else { -1.0 }),
            (BinaryFunction::Atan2, 2) => (any, beside(any, b)),
            (BinaryFunction::Atan2, _) => (any, any * (80.0 * unit(b) - 40.0).exp2()),
            // The power spreads over all results, from a base of any magnitude, near one, or negative.
            (BinaryFunction::Pow, 0) => (any.abs(), (1500.0 * unit(b) - 760.0) / any.abs().ln()),
            (BinaryFunction::Pow, 1) => {
                let base = beside(1.0, a);
                (base, (1500.0 * unit(b) - 760.0) / base.ln())
            }
            (BinaryFunction::Pow, 2) => (8.0 * unit(a), 20.0 * unit(b) - 10.0),
            (BinaryFunction::Pow, _) => (-8.0 * unit(a), (400.0 * unit(b)).floor() - 200.0),
        }
    };
    let usable = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite() && *x != 0.0;
    words.chunks_exact(4).enumerate().map(pair).filter(usable).collect()
}

/// A row of `reference.txt`: arguments, the f64 nearest to the true value, and how far that lies above it in its ulp.
struct Truth {
    arguments: Vec<f64>,
    nearest: f64,
    rest: f64,
}

/// Asks `tools/reference.py` for the true values; also gives its lines.
fn truths(root: &Path, name: &str, arguments: &[Vec<f64>]) -> Result<(Vec<Truth>, Vec<String>), String> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let failed = |error: std::io::Error| format!("cannot run `{python} tools/reference.py`: {error}");
    let mut child = Command::new(&python)
        .arg("tools/reference.py")
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let rows = arguments.iter().map(|arguments| {
        let words = arguments.iter().map(|x| format!(" {:016x}", x.to_bits())).collect::<String>();
        format!("{name}{words}\n")
    });
    let rows = rows.collect::<String>();
    let mut input = child.stdin.take().expect("the input is a pipe; this is a bug in retrograde");
    let writer = std::thread::spawn(move || input.write_all(rows.as_bytes()));
    let output = child.stdout.take().expect("the output is a pipe; this is a bug in retrograde");
    let lines = BufReader::new(output).lines().collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let written = writer.join().map_err(|_| "the writer of rows panicked; this is a bug in retrograde")?;
    let status = child.wait().map_err(failed)?;
    written.map_err(failed)?;
    if !status.success() || lines.len() != arguments.len() {
        return Err(format!(
            "`{python} tools/reference.py` gave {} of {} rows of `{name}` ({status}); it needs `pip install mpmath`, \
             and PYTHON names the interpreter that has it",
            lines.len(),
            arguments.len()
        ));
    }
    let truths = lines.iter().map(|line| parse(line)).collect::<Option<Vec<_>>>();
    Ok((truths.ok_or_else(|| format!("`tools/reference.py` gave rows of `{name}` that are none"))?, lines))
}

fn parse(line: &str) -> Option<Truth> {
    let words = line.split(' ').collect::<Vec<_>>();
    let (rest, numbers) = words.get(1..)?.split_last()?;
    let bits = |word: &&str| u64::from_str_radix(word, 16).ok().map(f64::from_bits);
    let mut numbers = numbers.iter().map(bits).collect::<Option<Vec<_>>>()?;
    let nearest = numbers.pop()?;
    Some(Truth { arguments: numbers, nearest, rest: rest.parse().ok()? })
}

/// The unit in the last place of an f64.
fn ulp(x: f64) -> f64 {
    let magnitude = x.abs();
    f64::from_bits(magnitude.to_bits() + 1) - magnitude
}

/// What errors are counted in: the ulp; between zeros of the two functions that have no bound in ulp, more.
fn unit(name: &str, x: f64, nearest: f64) -> f64 {
    let reflected = match name {
        "lgamma" if x < 0.0 => retrograde_array::map::lgamma_f64(1.0 - x).abs(),
        "digamma" if x < 0.0 => retrograde_array::map::digamma_f64(1.0 - x).abs(),
        _ => 0.0,
    };
    ulp(nearest) + f64::EPSILON * reflected
}

fn error(name: &str, truth: &Truth, y: f64) -> f64 {
    if truth.nearest.is_infinite() || y.is_infinite() {
        return if y == truth.nearest { 0.0 } else { INF };
    }
    let error = ((y - truth.nearest) / ulp(truth.nearest) - truth.rest).abs();
    error * (ulp(truth.nearest) / unit(name, truth.arguments[0], truth.nearest))
}

/// The largest error over the rows.
fn worst(name: &str, truths: &[Truth], y: &[f64], bound: f64) -> Value {
    let mut worst = (0.0, f64::NAN);
    let mut at = &truths[0].arguments;
    for (truth, &y) in truths.iter().zip(y) {
        let error = error(name, truth, y);
        // NaN is the worst.
        if error > worst.0 || (error.is_nan() && !worst.0.is_nan()) {
            worst = (error, y);
            at = &truth.arguments;
        }
    }
    let arguments = at.iter().map(|x| format!("{x:e}")).collect::<Vec<_>>().join(", ");
    let missed = if worst.0 <= bound { "" } else { "  MISSED" };
    println!("  {name:<14} f64 {:.4} ulp, bound {bound}, at {arguments}{missed}", worst.0);
    json!({
        "largest_error_ulp": number(worst.0), "bound_ulp": bound, "within": worst.0 <= bound,
        "at": arguments, "arguments": y.len(),
    })
}

/// Infinite and NaN errors as text: JSON has no such numbers.
fn number(x: f64) -> Value {
    if x.is_finite() { json!((x * 1e4).ceil() / 1e4) } else { json!(x.to_string()) }
}

/// Measures every function.
///
/// # Errors
/// `tools/reference.py` does not run.
pub fn evidence(root: &Path) -> Result<Value, String> {
    let mut wide = Map::new();
    for &function in Function::ALL {
        let x = arguments(function, ARGUMENTS);
        if x.is_empty() {
            continue;
        }
        let rows = x.iter().map(|&x| vec![x]).collect::<Vec<_>>();
        let (truths, _) = truths(root, function.name(), &rows)?;
        let result = worst(function.name(), &truths, &function.f64(&x), function.bound_ulp());
        wide.insert(function.name().into(), result);
    }
    for &function in BinaryFunction::ALL {
        let pairs = pairs(function, ARGUMENTS);
        if pairs.is_empty() {
            continue;
        }
        let rows = pairs.iter().map(|&(x, y)| vec![x, y]).collect::<Vec<_>>();
        let (truths, _) = truths(root, function.name(), &rows)?;
        let (x, y): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let result = worst(function.name(), &truths, &function.f64(&x, &y), function.bound_ulp());
        wide.insert(function.name().into(), result);
    }
    // The hardware's, by IEEE 754 the nearest float.
    let x: Vec<f64> = arguments(Function::Rsqrt, ARGUMENTS).into_iter().filter(|x| *x >= 0.0).collect();
    let (truths, _) = truths(root, "sqrt", &x.iter().map(|&x| vec![x]).collect::<Vec<_>>())?;
    let roots = ops::unary(ops::Unary::Sqrt, &Array::vector(x)).to_vec::<f64>().unwrap_or_default();
    wide.insert("sqrt".into(), worst("sqrt", &truths, &roots, 0.5));
    Ok(json!({ "f64": wide, "f32": narrow::f32_table(root)?, "bf16": narrow::bf16_table() }))
}

/// The same results with the f32 and bf16 rows of these functions measured again; each such row says at which commit.
///
/// # Errors
/// There is no such function; the results are of another shape.
pub fn again(root: &Path, results: &Value, names: &[&str], commit: &str) -> Result<Value, String> {
    let mut results = results.clone();
    let bf16 = narrow::bf16_table();
    for &name in names {
        let one = Function::ALL.iter().find(|function| function.name() == name);
        let two = BinaryFunction::ALL.iter().find(|function| function.name() == name);
        let measured = match (one, two) {
            (Some(&one), _) => vec![("f32", narrow::f32_row(one)), ("bf16", bf16[name].clone())],
            (_, Some(&two)) => narrow::f32_pair_row(root, two)?.map(|row| ("f32", row)).into_iter().collect(),
            _ => return Err(format!("there is no function `{name}`")),
        };
        for (dtype, mut row) in measured {
            row["commit"] = commit.into();
            let rows = results[dtype].as_object_mut().ok_or("found no rows, measure all functions first")?;
            rows.insert(name.into(), row);
        }
    }
    Ok(results)
}

/// Writes the rows that `cargo test` checks.
///
/// # Errors
/// `tools/reference.py` does not run, or the file cannot be written.
pub fn reference(root: &Path) -> Result<(), String> {
    let unary = Function::ALL.iter().map(|&function| {
        (function.name(), arguments(function, ROWS).into_iter().map(|x| vec![x]).collect::<Vec<_>>())
    });
    let binary = BinaryFunction::ALL.iter().map(|&function| {
        let pairs = pairs(function, 2 * ROWS).into_iter().take(ROWS);
        (function.name(), pairs.map(|(x, y)| vec![x, y]).collect::<Vec<_>>())
    });
    let mut text = String::new();
    for (name, rows) in unary.chain(binary).filter(|(_, rows)| !rows.is_empty()) {
        let (_, lines) = truths(root, name, &rows)?;
        text.extend(lines.into_iter().map(|line| line + "\n"));
    }
    std::fs::write(root.join(REFERENCE), text).map_err(|error| format!("cannot write {REFERENCE}: {error}"))
}

/// Every function stays within its bound.
///
/// # Errors
/// Which do not.
pub fn holds(results: &Value) -> Result<(), String> {
    let mut missed = vec![];
    let mut n = 0;
    for (dtype, functions) in results.as_object().into_iter().flatten() {
        for (name, result) in functions.as_object().into_iter().flatten() {
            n += 1;
            if result["within"] != true {
                missed.push(format!(
                    "{name} {dtype}: {} ulp, expected at most {}",
                    result["largest_error_ulp"], result["bound_ulp"]
                ));
            }
        }
    }
    match (n, missed.is_empty()) {
        (0, _) => Err("found no function".into()),
        (_, true) => Ok(()),
        (_, false) => Err(missed.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_in_ulp() {
        let truth = |nearest, rest| Truth { arguments: vec![1.0], nearest, rest };
        assert_eq!(error("exp", &truth(1.0, 0.25), 1.0), 0.25);
        assert_eq!(error("exp", &truth(1.0, 0.25), 1.0 + f64::EPSILON), 0.75);
        assert_eq!(error("exp", &truth(INF, 0.0), INF), 0.0);
        assert_eq!(error("exp", &truth(MAX, 0.0), INF), INF);
        assert!(error("exp", &truth(1.0, 0.0), f64::NAN).is_nan());
    }

    #[test]
    fn every_function_that_rounds_has_arguments() {
        for &function in Function::ALL {
            let x = arguments(function, 100);
            assert_eq!(x.len(), if function.bound_ulp() == 0.0 { 0 } else { 100 }, "{function:?}");
            assert!(x.iter().all(|x| x.is_finite()));
        }
    }
}
