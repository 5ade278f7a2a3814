//! What long loops keep for their gradients: the cases of `retrograde bench`.

use std::path::Path;

use serde_json::{Value, json};

use super::{at_least, at_most, last_object_of, number};

/// T of the pendulum, and the fewest steps forward that 16 slots allow: Griewank and Walther 2000, t(10⁶, 16).
const PENDULUM_STEPS: u32 = 1_000_000;
const LEAST_FORWARD_STEPS: f64 = 7_918_425.0;
/// Depths of the reversible network.
const BLOCKS: [u32; 3] = [10, 100, 1000];
/// Steps of training, and for each γ the bits for each weight and step: log2(1/γ) is 0.1520 and 0.0145.
const MOMENTUM_STEPS: u32 = 100_000;
const MOMENTUM: [(&str, f64); 2] = [("9/10", 0.155), ("99/100", 0.016)];
/// Steps of the planetary disc on a lattice.
const ORBIT_STEPS: u32 = 100_000;
/// Steps of the planetary disc in floats, between which memory is compared.
const SHORT_STEPS: u32 = 10_000;
const LONG_STEPS: u32 = 1_000_000;
/// Of the tape in a million steps, 0.14 MB: 48 numbers at 0.023 bit each.
const TAPE_BYTES_PER_STEP: f64 = 0.14;
/// What the peak may grow by beside the tape, in units of 2^20 bytes: buffers of the allocator.
const GROWTH_MB: f64 = 2.0;
/// Bits for each activation and update.
const MAX_NETWORK_BITS: f64 = 0.3;

fn bench(root: &Path, args: &str) -> Result<Value, String> {
    last_object_of(
        root,
        &format!("run --release --quiet --package retrograde-cli -- bench {args} --repeats 1 --json"),
    )
}

pub(super) fn binomial(root: &Path) -> Result<Value, String> {
    bench(root, &format!("binomial --steps {PENDULUM_STEPS} --tape checkpoint-16"))
}

pub(super) fn binomial_holds(results: &Value) -> Result<(), String> {
    bits_agree("checkpoint-16", results)?;
    match number(results, "forward_steps")? {
        LEAST_FORWARD_STEPS => Ok(()),
        found => {
            Err(format!("found {found} steps forward, expected the least possible, {LEAST_FORWARD_STEPS}"))
        }
    }
}

pub(super) fn revnet(root: &Path) -> Result<Value, String> {
    let mut results = json!({});
    for blocks in BLOCKS {
        for policy in ["store", "reverse"] {
            results[format!("{policy}, {blocks} blocks")] =
                bench(root, &format!("revnet --steps {blocks} --tape {policy}"))?;
        }
    }
    Ok(results)
}

pub(super) fn revnet_holds(results: &Value) -> Result<(), String> {
    for blocks in BLOCKS {
        for policy in ["store", "reverse"] {
            bits_agree(policy, &results[format!("{policy}, {blocks} blocks")])?;
        }
        at_most(&results[format!("reverse, {blocks} blocks")], "bits_per_value_step", MAX_NETWORK_BITS)?;
    }
    Ok(())
}

pub(super) fn quantise(root: &Path) -> Result<Value, String> {
    last_object_of(root, "run --release --quiet --package retrograde-sample --example lossy")
}

pub(super) fn quantise_holds(results: &Value) -> Result<(), String> {
    let stored = number(&results["store"], "tape_bytes")?;
    for bits in [2, 4, 8] {
        let name = format!("quantise-{bits}");
        let found = &results[&name];
        if found["accepted"] != true || found["within_bounds"] != true {
            return Err(format!("{name}: the mean or a variance is not what it should be: {found}"));
        }
        let needed = number(found, "noncentrality_for_power_0.9")?;
        at_least(found, "noncentrality_of_5_percent", needed)?;
        at_most(found, "tape_bytes", stored)?;
    }
    for broken in ["broken: rounded to nearest", "broken: one draw in two factors"] {
        if results[broken]["accepted"] != false {
            return Err(format!("{broken}: was accepted"));
        }
    }
    match results["gates alone, 1 bit"]["accepted"] == true {
        true => Ok(()),
        false => Err("the draws that were broken were refused before".into()),
    }
}

pub(super) fn momentum(root: &Path) -> Result<Value, String> {
    let mut results = json!({});
    for (gamma, _) in MOMENTUM {
        results[gamma] = bench(root, &format!("momentum --steps {MOMENTUM_STEPS} --gamma {gamma}"))?;
    }
    Ok(results)
}

pub(super) fn momentum_holds(results: &Value) -> Result<(), String> {
    for (gamma, bound) in MOMENTUM {
        let figures = &results[gamma];
        bits_agree(gamma, figures)?;
        if figures["start_recovered"] != true {
            return Err(format!("{gamma}: the first weights were not recovered"));
        }
        at_most(figures, "bits_per_value_step", bound)?;
        number(figures, "plain_bits_per_value_step")?;
    }
    Ok(())
}

pub(super) fn lattice(root: &Path) -> Result<Value, String> {
    bench(root, &format!("lattice --steps {ORBIT_STEPS} --tape reverse"))
}

pub(super) fn lattice_holds(results: &Value) -> Result<(), String> {
    bits_agree("reverse", results)?;
    at_most(results, "bits_per_value_step", 0.0)
}

pub(super) fn length(root: &Path) -> Result<Value, String> {
    let mut results = json!({});
    for steps in [SHORT_STEPS, LONG_STEPS] {
        results[steps.to_string()] = bench(root, &format!("nbody --steps {steps} --tape reverse"))?;
    }
    Ok(results)
}

pub(super) fn length_holds(results: &Value) -> Result<(), String> {
    let (short, long) = (&results[SHORT_STEPS.to_string()], &results[LONG_STEPS.to_string()]);
    for (name, figures) in [("short", short), ("long", long)] {
        bits_agree(name, figures)?;
    }
    let tape_mb = number(long, "tape_bytes")? / f64::from(1 << 20);
    let grown = number(long, "peak_rss_mb")? - number(short, "peak_rss_mb")?;
    if grown > tape_mb + GROWTH_MB {
        return Err(format!("found {grown} MB more, expected at most {GROWTH_MB} and the tape, {tape_mb}"));
    }
    at_most(long, "tape_bytes", f64::from(LONG_STEPS) * TAPE_BYTES_PER_STEP)
}

fn bits_agree(name: &str, figures: &Value) -> Result<(), String> {
    if figures["bit_identical"] == true {
        return Ok(());
    }
    Err(format!("{name}: the gradient differs from the reference run"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bias_that_is_accepted_is_refused() {
        let mut good = json!({ "store": { "tape_bytes": 100 }, "gates alone, 1 bit": { "accepted": true } });
        for bits in [2, 4, 8] {
            good[format!("quantise-{bits}")] = json!({
                "accepted": true, "within_bounds": true, "tape_bytes": 50,
                "noncentrality_of_5_percent": 22.0, "noncentrality_for_power_0.9": 21.0,
            });
        }
        for broken in ["broken: rounded to nearest", "broken: one draw in two factors"] {
            good[broken] = json!({ "accepted": false });
        }
        assert_eq!(quantise_holds(&good), Ok(()));
        for (case, key, value) in [
            ("quantise-2", "accepted", json!(false)),
            ("quantise-4", "within_bounds", json!(false)),
            ("quantise-8", "noncentrality_of_5_percent", json!(20.0)),
            ("quantise-8", "tape_bytes", json!(101)),
            ("broken: rounded to nearest", "accepted", json!(true)),
            ("broken: one draw in two factors", "accepted", Value::Null),
            ("gates alone, 1 bit", "accepted", json!(false)),
        ] {
            let mut bad = good.clone();
            bad[case][key] = value;
            assert!(quantise_holds(&bad).is_err(), "{case} {key}");
        }
    }

    #[test]
    fn a_step_too_many_is_refused() {
        let good = json!({ "bit_identical": true, "forward_steps": 7_918_425 });
        assert_eq!(binomial_holds(&good), Ok(()));
        for (key, value) in [
            ("bit_identical", json!(false)),
            ("forward_steps", json!(7_918_426)),
            ("forward_steps", Value::Null),
        ] {
            let mut broken = good.clone();
            broken[key] = value;
            assert!(binomial_holds(&broken).is_err(), "{key}");
        }
    }

    #[test]
    fn a_training_run_that_keeps_too_much_is_refused() {
        let figures = json!({
            "bit_identical": true,
            "start_recovered": true,
            "bits_per_value_step": 0.015,
            "plain_bits_per_value_step": 1.0,
        });
        let good = json!({ "9/10": figures, "99/100": figures });
        assert_eq!(momentum_holds(&good), Ok(()));
        for (gamma, key, value) in [
            ("9/10", "bit_identical", json!(false)),
            ("99/100", "start_recovered", Value::Null),
            ("9/10", "bits_per_value_step", json!(0.156)),
            ("99/100", "bits_per_value_step", json!(0.017)),
            ("99/100", "plain_bits_per_value_step", Value::Null),
        ] {
            let mut broken = good.clone();
            broken[gamma][key] = value;
            assert!(momentum_holds(&broken).is_err(), "{gamma} {key}");
        }
    }

    #[test]
    fn a_bit_kept_on_a_lattice_is_refused() {
        let good = json!({ "bit_identical": true, "bits_per_value_step": 0.0 });
        assert_eq!(lattice_holds(&good), Ok(()));
        for (key, value) in [("bit_identical", json!(false)), ("bits_per_value_step", json!(0.001))] {
            let mut broken = good.clone();
            broken[key] = value;
            assert!(lattice_holds(&broken).is_err(), "{key}");
        }
    }

    #[test]
    fn memory_that_grows_with_length_is_refused() {
        let figures =
            |mb: f64, bytes: u32| json!({ "bit_identical": true, "peak_rss_mb": mb, "tape_bytes": bytes });
        let of = |mb, bytes| json!({ "10000": figures(8.0, 2120), "1000000": figures(mb, bytes) });
        assert_eq!(length_holds(&of(10.0, 132_680)), Ok(()));
        assert!(length_holds(&of(10.2, 132_680)).is_err());
        assert!(length_holds(&of(9.0, 140_001)).is_err());
        assert!(length_holds(&json!({ "10000": figures(8.0, 2120) })).is_err());
    }

    #[test]
    fn a_network_that_keeps_too_much_is_refused() {
        let figures = json!({ "bit_identical": true, "bits_per_value_step": 0.2 });
        let mut good = json!({});
        for blocks in BLOCKS {
            good[format!("store, {blocks} blocks")] =
                json!({ "bit_identical": true, "bits_per_value_step": 65.0 });
            good[format!("reverse, {blocks} blocks")] = figures.clone();
        }
        assert_eq!(revnet_holds(&good), Ok(()));
        for (entry, key, value) in [
            ("store, 10 blocks", "bit_identical", json!(false)),
            ("reverse, 1000 blocks", "bit_identical", Value::Null),
            ("reverse, 100 blocks", "bits_per_value_step", json!(0.31)),
        ] {
            let mut broken = good.clone();
            broken[entry][key] = value;
            assert!(revnet_holds(&broken).is_err(), "{entry} {key}");
        }
    }
}
