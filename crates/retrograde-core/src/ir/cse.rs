//! Common subexpressions: of equal equations only the first stays.

use std::collections::HashMap;

use super::builder::renumber;
use super::program::{Equation, Op, Program, ValueId};

/// Merges equations of the same operation on the same operands, in bodies too. The first keeps its location.
///
/// Operations are pure, so equal equations have equal results to the bit. Those that are not [`Op::mergeable`] stay.
///
/// ```
/// use retrograde_core::{ir::{cse, parse}, prim::Prim};
/// let twice = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = sin a\n  c:f64[] = sin a\n  return b, c\n}")?;
/// assert_eq!(cse(&twice).equations.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn cse<O: Op>(program: &Program<O>) -> Program<O> {
    // The value that stands for each one; the map is only looked up, never walked, so its order cannot matter.
    let mut stands_for: Vec<ValueId> = (0..program.types.len() as u32).map(ValueId).collect();
    let mut first: HashMap<(O, Vec<ValueId>), &[ValueId]> = HashMap::with_capacity(program.equations.len());
    let mut equations = Vec::with_capacity(program.equations.len());
    for equation in &program.equations {
        let op = equation.op.map_bodies(&mut |body| cse(body));
        let inputs: Vec<ValueId> = equation.inputs.iter().map(|v| stands_for[v.index()]).collect();
        let key = (op, inputs);
        if let Some(outputs) = first.get(&key) {
            for (&old, &new) in equation.outputs.iter().zip(*outputs) {
                stands_for[old.index()] = new;
            }
            continue;
        }
        equations.push(Equation {
            op: key.0.clone(),
            inputs: key.1.clone(),
            outputs: equation.outputs.clone(),
            location: equation.location,
        });
        if key.0.mergeable() {
            first.insert(key, &equation.outputs);
        }
    }
    let outputs = program.outputs.iter().map(|v| stands_for[v.index()]).collect();
    renumber(Program { inputs: program.inputs.clone(), equations, outputs, types: program.types.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::toy::{Toy, nested, read, vec3};
    use crate::ir::{Builder, Location, check, print};

    #[test]
    fn merges_chains_of_equal_equations() {
        let program = read(
            "program(x:f64[1], y:f64[1]) {
               a:f64[1] = mul x y
               b:f64[1] = mul x y
               c:f64[1] = add a x
               d:f64[1] = add b x
               e:f64[1] = mul y x
               f:f64[1] = add x a
               return a, b, c, d, e, f
             }",
        );
        let merged = cse(&program);
        assert_eq!(check(&merged), Ok(()));
        // Operands are not commuted: that would be a decision about bits of NaN.
        assert_eq!(
            print(&merged),
            "program(a:f64[1], b:f64[1]) {\n  c:f64[1] = mul a b\n  d:f64[1] = add c a\n  e:f64[1] = mul b a\n  \
             f:f64[1] = add a c\n  return c, c, d, d, e, f\n}"
        );
        assert_eq!(cse(&merged), merged);
    }

    #[test]
    fn zeros_of_either_sign_stay_apart() {
        let program = read(
            "program() {
               a:f64[] = constant[value=f64[]{0.0}]
               b:f64[] = constant[value=f64[]{-0.0}]
               c:f64[] = constant[value=f64[]{0.0}]
               d:f32[] = constant[value=f32[]{0.0}]
               return a, b, c, d
             }",
        );
        assert_eq!(cse(&program).equations.len(), 3);
    }

    #[test]
    fn bodies_are_merged_first_and_then_compared() {
        let program = read(
            "program(x:f64[1]) {
               a:f64[1] = call[label=store, body=program(x:f64[1]) {
                 a:f64[1] = mul x x
                 b:f64[1] = mul x x
                 c:f64[1] = add a b
                 return c
               }] x
               b:f64[1] = call[label=store, body=program(x:f64[1]) {
                 a:f64[1] = mul x x
                 b:f64[1] = add a a
                 return b
               }] x
               return a, b
             }",
        );
        let merged = cse(&program);
        assert_eq!((merged.equations.len(), merged.size()), (1, 3));
        assert_eq!(merged.outputs, [ValueId(1), ValueId(1)]);
        assert_eq!(cse(&nested()), nested());
    }

    #[test]
    fn the_first_location_stays() {
        let mut b = Builder::new();
        let x = b.input(vec3());
        let first = Location(std::panic::Location::caller());
        b.location = Some(first);
        let y = b.emit1(Toy::Mul, &[x, x]);
        b.location = Some(Location(std::panic::Location::caller()));
        let z = b.emit1(Toy::Mul, &[x, x]);
        let merged = cse(&b.finish(vec![y, z]));
        assert_eq!(merged.equations.len(), 1);
        assert_eq!(merged.equations[0].location, Some(first));
    }
}
