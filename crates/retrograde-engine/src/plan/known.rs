//! What is the same in every run is computed once, when a plan is made: an identity matrix in the body of a loop, say.

use std::collections::HashMap;

use retrograde_core::exec::{Executor, Interpreter};
use retrograde_core::ir::{Equation, Kind, ValueId};
use retrograde_core::prim::constant::Constant;
use retrograde_core::prim::{Prim, Program, Value};

use super::layout::LARGEST_CONSTANT;
use crate::kernel::is_view;

/// The program with arrays in the place of equations that depend on nothing; `None` where there are none. Views of such arrays and
/// values that are made wherever they are used stay, and so does what takes more than [`LARGEST_CONSTANT`] bytes.
pub(super) fn folded(program: &Program) -> Option<Program> {
    let mut is_known = vec![false; program.types.len()];
    let mut is_folded = vec![false; program.types.len()];
    for equation in &program.equations {
        let small = |v: &ValueId| {
            let ty = program.ty(*v);
            ty.kind == Kind::Array && ty.size_bytes() <= LARGEST_CONSTANT
        };
        let from_nothing = matches!(equation.op, Prim::Full(_) | Prim::Iota(_) | Prim::Constant(_));
        let from_known = !equation.inputs.is_empty() && equation.inputs.iter().all(|v| is_known[v.index()]);
        let &[value] = &equation.outputs[..] else { continue };
        // What is asserted stays to be seen.
        let is_plain = !equation.op.has_bodies() && !matches!(equation.op, Prim::Agree(_));
        if is_plain && small(&value) && (from_nothing || from_known) {
            is_known[value.index()] = true;
            is_folded[value.index()] = !from_nothing && !is_view(&equation.op);
        }
    }
    let mut needed: Vec<ValueId> = vec![];
    let stays = |equation: &&Equation<Prim>| equation.outputs.iter().all(|v| !is_folded[v.index()]);
    let used = program.equations.iter().filter(stays).flat_map(|equation| &equation.inputs);
    for &v in used.chain(&program.outputs) {
        if is_folded[v.index()] && !needed.contains(&v) {
            needed.push(v);
        }
    }
    if needed.is_empty() {
        return None;
    }
    let known = |equation: &&Equation<Prim>| equation.outputs.iter().all(|v| is_known[v.index()]);
    let of_known = Program {
        inputs: vec![],
        equations: program.equations.iter().filter(known).cloned().collect(),
        outputs: needed.clone(),
        types: program.types.clone(),
    };
    // What fails does so in the run that needs it.
    let (values, _) = Interpreter::default().run(&of_known, vec![]).ok()?;
    let arrays: HashMap<ValueId, Value> = needed.into_iter().zip(values).collect();
    let mut folded = Program { equations: vec![], ..program.clone() };
    for equation in &program.equations {
        match equation.outputs.first().and_then(|v| arrays.get(v)) {
            Some(Value::Array(value)) => folded.equations.push(Equation {
                op: Prim::Constant(Constant { value: value.compact() }),
                inputs: vec![],
                ..equation.clone()
            }),
            _ if stays(&equation) => folded.equations.push(equation.clone()),
            _ => {}
        }
    }
    Some(folded)
}

#[cfg(test)]
mod tests {
    use retrograde_core::ir::parse;

    use super::*;

    fn text(program: &str) -> Option<String> {
        folded(&parse::<Prim>(program).unwrap()).map(|program| program.to_string())
    }

    #[test]
    fn what_depends_on_nothing_is_an_array() {
        let found = text(
            "program(x:f64[2,2]) {\n  a:f64[2,2] = full[type=f64[2,2], value=f64[]{1}]\n  b:f64[2,2] = triangle[part=diagonal] a\n  c:f64[2,2] = mul b b\n  d:f64[2,2] = add x c\n  return d\n}",
        );
        let found = found.unwrap();
        assert!(
            found.contains("constant[value=f64[2,2]{1.0,0.0,0.0,1.0}]") && found.contains("add a d"),
            "{found}"
        );
        assert!(!found.contains("mul") && !found.contains("triangle"), "{found}");
    }

    #[test]
    fn what_depends_on_the_inputs_or_is_only_arranged_stays() {
        for program in [
            "program(x:f64[2]) {\n  a:f64[2] = sin x\n  return a\n}",
            "program(x:f64[2]) {\n  a:f64[] = full[type=f64[], value=f64[]{1}]\n  b:f64[2] = broadcast[shape=[2], axes=[]] a\n  c:f64[2] = add x b\n  return c\n}",
        ] {
            assert_eq!(text(program), None, "{program}");
        }
    }
}
