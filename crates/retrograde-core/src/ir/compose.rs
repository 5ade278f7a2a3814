//! Chains of operations that one operation does at once, and operations that do nothing.

use super::builder::renumber;
use super::program::{Equation, Op, Program, ValueId};

/// Replaces an operation on the result of another by the one that does both ([`Op::after`]), and drops those that return
/// their operand ([`Op::is_identity`]), in bodies too. What is not used any more is left to [`dce`](super::dce()).
///
/// Transposes cancel, so that a batched loop and the sweep over its residuals meet again.
///
/// ```
/// use retrograde_core::{ir::{compose, dce, parse}, prim::Prim};
/// let back_and_forth = "program(a:f64[2,3]) {
///   b:f64[3,2] = transpose[perm=[1,0]] a
///   c:f64[2,3] = transpose[perm=[1,0]] b
///   return c
/// }";
/// assert!(dce(&compose(&parse::<Prim>(back_and_forth)?)).equations.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn compose<O: Op>(program: &Program<O>) -> Program<O> {
    let mut stands_for: Vec<ValueId> = (0..program.types.len() as u32).map(ValueId).collect();
    // The equation, among those kept, that makes a value, where it has one operand and one result.
    let mut made_by: Vec<Option<usize>> = vec![None; program.types.len()];
    let mut equations: Vec<Equation<O>> = Vec::with_capacity(program.equations.len());
    for equation in &program.equations {
        let mut op = equation.op.map_bodies(&mut |body| compose(body));
        let mut inputs: Vec<ValueId> = equation.inputs.iter().map(|v| stands_for[v.index()]).collect();
        if let (&[input], &[output]) = (&inputs[..], &equation.outputs[..]) {
            if let Some(inner) = made_by[input.index()].map(|e| &equations[e])
                && let Some(both) = op.after(&inner.op)
            {
                op = both;
                inputs.clone_from(&inner.inputs);
            }
            if op.is_identity(program.ty(inputs[0])) {
                stands_for[output.index()] = inputs[0];
                continue;
            }
            made_by[output.index()] = Some(equations.len());
        }
        equations.push(Equation {
            op,
            inputs,
            outputs: equation.outputs.clone(),
            location: equation.location,
        });
    }
    let outputs = program.outputs.iter().map(|v| stands_for[v.index()]).collect();
    renumber(Program { inputs: program.inputs.clone(), equations, outputs, types: program.types.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::toy::read;
    use crate::ir::{check, print, simplify};

    #[test]
    fn chains_become_one_and_identities_go() {
        let program = read(
            "program(x:f64[1]) {
               a:f64[1] = note[int=2] x
               b:f64[1] = note[int=3] a
               c:f64[1] = note[int=-5] b
               d:f64[1] = note[int=1] c
               e:f64[1] = add b c
               return e, d
             }",
        );
        let composed = compose(&program);
        assert_eq!(check(&composed), Ok(()));
        assert_eq!(
            print(&simplify(&program)),
            "program(a:f64[1]) {\n  b:f64[1] = note[int=5] a\n  c:f64[1] = note[int=1] a\n  \
             d:f64[1] = add b a\n  return d, c\n}"
        );
        assert_eq!(compose(&composed), composed);
    }

    #[test]
    fn bodies_are_composed() {
        let program = read(
            "program(x:f64[1]) {
               a:f64[1] = call[label=store, body=program(x:f64[1]) {
                 a:f64[1] = note[int=2] x
                 b:f64[1] = note[int=-2] a
                 return b
               }] x
               return a
             }",
        );
        assert!(!print(&simplify(&program)).contains("note"));
    }
}
