//! Values, gradients and Hessian–vector products of recorded random programs against those of JAX.
//!
//! `jax.jsonl` has a program a line, with JAX's answers and a bound for each entry, a multiple of what the rounding of each
//! equation changes it by. `cargo xtask evidence jax` compares thousands and leaves new records in `target/jax/`.

use std::path::Path;

use retrograde_array::{Array, DType, Scalar};
use retrograde_core::ir::{Type, parse};
use retrograde_core::prim::Prim;
use retrograde_sample::{Answers, LOWERED, Sample, WITHOUT_EQUAL, hex};
use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("found {value}, expected a list"))
}

/// The arrays of a list of records, of these types.
fn arrays(records: &Value, types: &[Type]) -> Vec<Array> {
    assert_eq!(list(records).len(), types.len());
    let each = list(records).iter().zip(types);
    each.map(|(record, ty)| {
        assert_eq!(record["type"].as_str(), Some(ty.to_string().as_str()));
        hex::decode(ty.dtype, &ty.shape, record["hex"].as_str().unwrap()).unwrap()
    })
    .collect()
}

fn sample(record: &Value) -> Sample {
    let program = parse::<Prim>(record["program"].as_str().unwrap()).unwrap();
    let floats = |types: Vec<Type>| types.into_iter().filter(Type::is_float).collect::<Vec<Type>>();
    let (in_types, out_types) = (program.input_types(), program.output_types());
    Sample {
        inputs: arrays(&record["inputs"], &in_types),
        weights: arrays(&record["weights"], &floats(out_types)),
        direction: arrays(&record["direction"], &floats(in_types)),
        program,
    }
}

/// The entries that are further from JAX's than their bound.
fn beyond(record: &Value, answers: &Answers) -> Vec<String> {
    let mut beyond = vec![];
    let parts = [("values", &answers.values), ("gradient", &answers.gradient), ("product", &answers.product)];
    for (part, found) in parts {
        let expected = list(&record[part]);
        assert_eq!(found.len(), expected.len(), "{part}");
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            let jax = hex::decode(DType::F64, found.shape(), expected["jax"].as_str().unwrap()).unwrap();
            let bounds = list(&expected["bound"]);
            assert_eq!(bounds.len(), found.size(), "{part} {i}");
            for (k, ((x, y), bound)) in found.scalars().zip(jax.scalars()).zip(bounds).enumerate() {
                let (x, y) = (x.to_f64(), y.to_f64());
                // `inf` where a comparison is decided by rounding.
                let bound = bound.as_f64().unwrap_or(f64::INFINITY);
                let within = (x - y).abs() <= bound;
                if bound.is_finite() && !within {
                    beyond.push(format!("{part} {i}, entry {k}: {x:e}, JAX {y:e}, bound {bound:e}"));
                }
            }
        }
    }
    beyond
}

#[test]
fn recorded_programs_agree_with_jax() {
    let text = read("tests/jax.jsonl");
    let mut missed = vec![];
    let mut n_judged = 0;
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let answers = sample(&record).answers().unwrap();
        let beyond = beyond(&record, &answers);
        n_judged += ["values", "gradient", "product"]
            .iter()
            .flat_map(|part| list(&record[part]))
            .flat_map(|expected| list(&expected["bound"]))
            .filter(|bound| bound.is_number())
            .count();
        if !beyond.is_empty() {
            missed.push(format!(
                "seed {}:\n{}\n{}",
                record["seed"],
                beyond.join("\n"),
                record["program"].as_str().unwrap()
            ));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
    assert!(
        text.lines().count() >= 90 && n_judged > 2000,
        "{} programs, {n_judged} entries",
        text.lines().count()
    );
}

/// What is moved by a thousandth of its size is found, wherever it stands.
#[test]
fn a_wrong_derivative_is_found() {
    let moved = |x: &Array, k: usize| {
        let entries = x.scalars().enumerate();
        let entries = entries.map(|(i, x)| if i == k { x.to_f64() * 1.001 + 1e-3 } else { x.to_f64() });
        Array::new(x.shape().clone(), entries.collect()).unwrap()
    };
    let mut n_found = 0;
    for line in read("tests/jax.jsonl").lines().take(20) {
        let record: Value = serde_json::from_str(line).unwrap();
        let answers = sample(&record).answers().unwrap();
        for (i, x) in
            answers.gradient.iter().enumerate().filter(|(_, x)| x.dtype() == DType::F64 && x.size() > 0)
        {
            let k = x.size() - 1;
            let bound = record["gradient"][i]["bound"][k].as_f64().unwrap_or(f64::INFINITY);
            if bound > 1e-6 * x.get(k).map_or(0.0, Scalar::to_f64).abs().max(1e-3) {
                continue;
            }
            let mut wrong = answers.clone();
            wrong.gradient[i] = moved(x, k);
            let found = beyond(&record, &wrong);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("gradient {i}, entry {k}:")), "{found:?}");
            n_found += 1;
        }
    }
    assert!(n_found > 5, "{n_found}");
}

/// The names in a table of `tools/jax_compare.py`: its lines `    "name": …` up to the brace that closes it.
fn table(text: &str, name: &str) -> Vec<String> {
    let (_, rest) = text.split_once(&format!("\n{name} = {{\n")).unwrap_or_else(|| panic!("no table {name}"));
    let lines = rest.lines().take_while(|line| *line != "}");
    lines.filter_map(|line| Some(line.strip_prefix("    \"")?.split_once("\":")?.0.to_owned())).collect()
}

#[test]
fn every_primitive_has_its_equal_or_a_reason() {
    let text = read("../../tools/jax_compare.py");
    let (equal, without) = (table(&text, "PRIMITIVES"), table(&text, "WITHOUT"));
    let listed: Vec<&String> = equal.iter().chain(&without).collect();
    let missing: Vec<_> = Prim::ALL.iter().filter(|name| !listed.iter().any(|l| l == *name)).collect();
    assert!(
        missing.is_empty(),
        "found no line for {missing:?} in tools/jax_compare.py; add one to PRIMITIVES, or a reason to WITHOUT"
    );
    let unknown: Vec<_> = listed.iter().filter(|name| !Prim::ALL.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "tools/jax_compare.py names what is no primitive: {unknown:?}");
    // So what is drawn for the comparison has an equal.
    let mut undrawn: Vec<&str> = LOWERED.iter().chain(WITHOUT_EQUAL).copied().collect();
    let mut reasons: Vec<&str> = without.iter().map(String::as_str).collect();
    undrawn.sort_unstable();
    reasons.sort_unstable();
    assert_eq!(undrawn, reasons);
    assert!(!equal.iter().any(|name| without.contains(name)));
}
