//! Errors of the functions in f32 and bf16, mostly on every float there is.

use std::path::Path;

use retrograde_array::map::{BinaryFunction, Function};
use retrograde_array::{Array, bf16, ops};
use serde_json::{Map, Value, json};

use super::kept::Kept;
use super::{ARGUMENTS, INF, number, pairs, truths, ulp};

/// The unit in the last place of the number nearest to an f64, in a format with `n_bits` bits behind the point and the
/// exponents of f32.
fn unit_of(x: f64, n_bits: u64) -> f64 {
    let exponent = (x.abs().to_bits() >> 52).max(1023 - 126);
    f64::from_bits((exponent - n_bits) << 52)
}

/// Functions of another library, in f64 on f64: what the f32 functions are compared with where there is one.
fn independent(function: Function) -> Option<fn(f64) -> f64> {
    Some(match function {
        Function::Abs => |x| x.abs(),
        Function::Sign => |x| if x == 0.0 || x.is_nan() { x } else { 1.0_f64.copysign(x) },
        Function::Floor => libm::floor,
        Function::Ceil => libm::ceil,
        Function::Round => libm::rint,
        Function::Rsqrt => |x| 1.0 / libm::sqrt(x),
        Function::Cbrt => f64::cbrt,
        Function::Exp => f64::exp,
        Function::Exp2 => f64::exp2,
        Function::Expm1 => libm::expm1,
        Function::Log => f64::ln,
        Function::Log2 => f64::log2,
        Function::Log1p => libm::log1p,
        Function::Sin => f64::sin,
        Function::Cos => f64::cos,
        Function::Tan => libm::tan,
        Function::Asin => libm::asin,
        Function::Acos => libm::acos,
        Function::Atan => libm::atan,
        Function::Sinh => libm::sinh,
        Function::Cosh => libm::cosh,
        Function::Tanh => libm::tanh,
        Function::Asinh => libm::asinh,
        // Below one this library gives numbers.
        Function::Acosh => |x| if x < 1.0 { f64::NAN } else { libm::acosh(x) },
        Function::Atanh => libm::atanh,
        Function::Logistic => |x| 1.0 / (1.0 + libm::exp(-x)),
        Function::Softplus => |x| if x > 40.0 { x } else { libm::log1p(libm::exp(x)) },
        Function::Erf => libm::erf,
        Function::Erfc => libm::erfc,
        Function::Lgamma => libm::lgamma,
        Function::ErfInv
        | Function::Digamma
        | Function::BesselI0e
        | Function::BesselI1e
        | Function::LogBesselI0 => return None,
    })
}

/// Whether the f32 function has an expansion of its own. The others are the f64 function, rounded.
fn has_own_expansion(function: Function) -> bool {
    let own =
        [Function::Exp, Function::Log, Function::Tanh, Function::Logistic, Function::Sin, Function::Cos];
    own.contains(&function) || function.bound_ulp() == 0.0
}

/// Where another library is asked too, although the f64 function, whose own error is measured, has answered on every float.
const SPARSE: u64 = 17;
/// What the error of f32 functions of two arguments that round stays below, in ulp.
const F32_BOUND: f64 = 0.501;
/// The same for bf16, where the f32 result is rounded once more.
const BF16_BOUND: f64 = 0.51;
/// How many f32 there are.
const FLOATS: u64 = 1 << 32;

/// What an f32 function is compared with.
#[derive(Clone, Copy)]
enum Against {
    /// The f64 function of this project, on every float.
    Own,
    /// Another library's, on every float or every [`SPARSE`]th.
    Other(fn(f64) -> f64, u64),
}

/// The largest error of an f32 function over every float.
pub(super) fn f32_row(function: Function) -> Value {
    let mut all = Map::new();
    let mut worst = (0.0, 0.0);
    let mut note = |against: Against, name: &str, step: u64| {
        let found = on_all_cores(function, against);
        all.insert(
            name.into(),
            json!({ "largest_error_ulp": number(found.0), "arguments": FLOATS.div_ceil(step) }),
        );
        if found.0 > worst.0 {
            worst = found;
        }
    };
    match independent(function) {
        Some(f) if has_own_expansion(function) => {
            note(Against::Other(f, 1), "another library's f64 function", 1)
        }
        Some(f) => {
            note(Against::Own, "our f64 function", 1);
            note(Against::Other(f, SPARSE), "another library's f64 function", SPARSE);
        }
        None => note(Against::Own, "our f64 function", 1),
    }
    row(function.name(), "f32", worst, function.bound_ulp_f32(), Value::Object(all))
}

/// The largest error of each f32 function; rows that were measured before are not measured again.
pub(super) fn f32_table(root: &Path) -> Result<Value, String> {
    let mut results = Map::new();
    let kept = Kept::new(root);
    for &function in Function::ALL {
        results.insert(function.name().into(), kept.row(function.name(), || f32_row(function)));
    }
    for &function in BinaryFunction::ALL {
        if let Some(row) = f32_pair_row(root, function)? {
            results.insert(function.name().into(), row);
        }
    }
    let worst = on_every_float(
        0,
        1,
        &|x| x.iter().map(|x| x.sqrt()).collect(),
        &|x| x.iter().map(|x| x.sqrt()).collect(),
        1,
    );
    let against = json!({ "the f64 root, itself rounded": { "largest_error_ulp": number(worst.0), "arguments": FLOATS } });
    results.insert("sqrt".into(), row("sqrt", "f32", worst, 0.5, against));
    Ok(Value::Object(results))
}

/// The largest error of an f32 function of two numbers, over drawn ones; `None` where none are.
pub(super) fn f32_pair_row(root: &Path, function: BinaryFunction) -> Result<Option<Value>, String> {
    let narrow = |(x, y): (f64, f64)| (x as f32, y as f32);
    let is_normal = |(x, y): &(f32, f32)| x.is_finite() && y.is_finite() && *x != 0.0;
    let (x, y): (Vec<f32>, Vec<f32>) =
        pairs(function, ARGUMENTS).into_iter().map(narrow).filter(is_normal).unzip();
    if x.is_empty() {
        return Ok(None);
    }
    let wide: Vec<Vec<f64>> = x.iter().zip(&y).map(|(&x, &y)| vec![x.into(), y.into()]).collect();
    let (truths, _) = truths(root, function.name(), &wide)?;
    let mut worst = (0.0, 0.0);
    for ((truth, found), x) in truths.iter().zip(function.f32(&x, &y)).zip(&x) {
        let error = error(f64::from(found), in_full(truth.nearest, truth.rest));
        if error > worst.0 {
            worst = (error, *x);
        }
    }
    let against =
        json!({ "high precision": { "largest_error_ulp": number(worst.0), "arguments": truths.len() } });
    Ok(Some(row(function.name(), "f32", worst, F32_BOUND, against)))
}

/// What lies `rest` units in the last place above a number, where that has any.
fn in_full(nearest: f64, rest: f64) -> f64 {
    if nearest.is_finite() { nearest + rest * ulp(nearest) } else { nearest }
}

/// The largest error of each bf16 function, over every bf16.
pub(super) fn bf16_table() -> Value {
    let x: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
    let wide: Vec<f64> = x.iter().map(|x| x.to_f64()).collect();
    let x = Array::vector(x);
    let mut results = Map::new();
    for &function in Function::ALL {
        let truth = function.f64(&wide);
        let found = ops::function(function, &x).to_vec::<bf16>().unwrap_or_default();
        let mut worst = (0.0, 0.0);
        for ((found, truth), &x) in found.iter().zip(truth).zip(&wide) {
            let error = error_in(found.to_f64(), truth, 7, 3.395_313_892_515_355e38);
            if error > worst.0 {
                worst = (error, x as f32);
            }
        }
        let bound = if function.bound_ulp() == 0.0 { 0.0 } else { BF16_BOUND };
        let against =
            json!({ "our f64 function": { "largest_error_ulp": number(worst.0), "arguments": wide.len() } });
        results.insert(function.name().into(), row(function.name(), "bf16", worst, bound, against));
    }
    Value::Object(results)
}

fn row(name: &str, dtype: &str, worst: (f64, f32), bound: f64, against: Value) -> Value {
    let missed = if worst.0 <= bound { "" } else { "  MISSED" };
    println!("  {name:<14} {dtype} {:.4} ulp at {:e}{missed}", worst.0, worst.1);
    json!({
        "largest_error_ulp": number(worst.0), "bound_ulp": bound, "within": worst.0 <= bound,
        "at": format!("{:e}", worst.1), "against": against,
    })
}

fn on_all_cores(function: Function, against: Against) -> (f64, f32) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(16) as u64;
    let found = |x: &[f32]| function.f32(x);
    let part = |first: u64| match against {
        Against::Own => on_every_float(first, threads, &found, &|x| function.f64(x), 1),
        Against::Other(f, step) => {
            on_every_float(first, threads, &found, &|x| x.iter().map(|&x| f(x)).collect(), step)
        }
    };
    let parts = std::thread::scope(|scope| {
        let part = &part;
        let parts = (0..threads).map(|i| scope.spawn(move || part(i))).collect::<Vec<_>>();
        parts.into_iter().map(|part| part.join().unwrap_or((INF, f32::NAN))).collect::<Vec<_>>()
    });
    parts.into_iter().fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
}

/// The largest error over every `step`-th float, of every `threads`-th block, and where.
fn on_every_float(
    first: u64,
    threads: u64,
    found: &dyn Fn(&[f32]) -> Vec<f32>,
    truth: &dyn Fn(&[f64]) -> Vec<f64>,
    step: u64,
) -> (f64, f32) {
    const BLOCK: u64 = 1 << 14;
    let mut worst = (0.0, 0.0);
    for block in (first..FLOATS.div_ceil(step * BLOCK)).step_by(threads as usize) {
        let bits = (block * BLOCK..(block + 1) * BLOCK).map(|i| i * step).filter(|&bits| bits < FLOATS);
        let x = bits.map(|bits| f32::from_bits(bits as u32)).collect::<Vec<_>>();
        let wide = x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        for ((&x, y), truth) in x.iter().zip(found(&x)).zip(truth(&wide)) {
            let error = error(f64::from(y), truth);
            if error > worst.0 {
                worst = (error, x);
            }
        }
    }
    worst
}

/// In ulp of the f32 next to the truth.
fn error(y: f64, truth: f64) -> f64 {
    error_in(y, truth, 23, 3.402_823_567_797_336_6e38)
}

/// In ulp of a format with `n_bits` bits behind the point and the exponents of f32, in which numbers from `infinite` on are
/// nearest to infinity.
fn error_in(y: f64, truth: f64, n_bits: u64, infinite: f64) -> f64 {
    if truth.is_nan() {
        return if y.is_nan() { 0.0 } else { INF };
    }
    if truth.abs() >= infinite {
        return if y == truth.signum() * INF { 0.0 } else { INF };
    }
    let error = ((y - truth) / unit_of(truth, n_bits)).abs();
    if error.is_nan() { INF } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_in_ulp() {
        assert_eq!(error(1.0, 1.0 + f64::from(f32::EPSILON) / 4.0), 0.25);
        assert_eq!((error(INF, 1e39), error(0.0, 1e39)), (0.0, INF));
        assert_eq!((error(f64::NAN, 1.0), error(1.0, f64::NAN), error(f64::NAN, f64::NAN)), (INF, INF, 0.0));
        assert_eq!(error_in(1.0, 1.0 + 1.0 / 512.0, 7, 3.4e38), 0.25);
    }

    #[test]
    fn a_truth_beyond_all_numbers_is_infinite() {
        assert_eq!((in_full(INF, 0.0), in_full(1.0, 0.5)), (INF, 1.0 + f64::EPSILON / 2.0));
        assert_eq!(error(f64::INFINITY, in_full(INF, 0.0)), 0.0);
    }

    #[test]
    fn every_bf16_is_within_its_bound() {
        let table = bf16_table();
        assert!(super::super::holds(&json!({ "bf16": table })).is_ok(), "{table:#}");
    }
}
