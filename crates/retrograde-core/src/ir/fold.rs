//! Constant folding: what is known while compiling is computed while compiling.

use retrograde_array::Array;

use super::builder::renumber;
use super::program::{Equation, Op, Program, Type};

/// Replaces equations of constants by their constant results, in bodies too.
///
/// [`Op::fold`] promises the results that running would give, so no result changes by a bit. An operation that would
/// fail, or that is not worth computing here, refuses with `None` and stays. Constants no longer used are left to
/// [`dce`](super::dce()).
///
/// ```
/// use retrograde_core::{ir::{fold, parse, print}, prim::Prim};
/// let constant = parse::<Prim>("program() {
///   a:f64[] = full[type=f64[], value=f64[]{2.0}]
///   b:f64[] = neg a
///   return b
/// }")?;
/// assert!(print(&fold(&constant)).contains("{-2.0}"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fold<O: Op>(program: &Program<O>) -> Program<O> {
    let mut known: Vec<Option<Array>> = vec![None; program.types.len()];
    let mut equations = Vec::with_capacity(program.equations.len());
    for equation in &program.equations {
        let op = equation.op.map_bodies(&mut |body| fold(body));
        if let ([output], Some(array)) = (equation.outputs.as_slice(), op.as_constant()) {
            known[output.index()] = Some(array);
            equations.push(Equation { op, ..equation.clone() });
            continue;
        }
        match results(program, equation, &op, &known) {
            Some(arrays) => {
                for (&output, array) in equation.outputs.iter().zip(arrays) {
                    let op = O::constant(array);
                    known[output.index()] = op.as_constant();
                    let location = equation.location;
                    equations.push(Equation { op, inputs: vec![], outputs: vec![output], location });
                }
            }
            None => equations.push(Equation { op, ..equation.clone() }),
        }
    }
    let (inputs, outputs) = (program.inputs.clone(), program.outputs.clone());
    renumber(Program { inputs, equations, outputs, types: program.types.clone() })
}

/// The results of an equation all of whose operands are known.
fn results<O: Op>(
    program: &Program<O>,
    equation: &Equation<O>,
    op: &O,
    known: &[Option<Array>],
) -> Option<Vec<Array>> {
    let operands: Option<Vec<Array>> = equation.inputs.iter().map(|v| known[v.index()].clone()).collect();
    let arrays = op.fold(&operands?)?;
    let fits = arrays.len() == equation.outputs.len()
        && arrays.iter().zip(&equation.outputs).all(|(array, &v)| Type::of(array) == *program.ty(v));
    debug_assert!(fits, "{}: folded results have other types; this is a bug in retrograde", op.name());
    fits.then_some(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::toy::{Toy, f64s, nested, read, vec3};
    use crate::ir::{Builder, Location, check, print};

    #[test]
    fn folds_chains_and_keeps_the_rest() {
        let program = read(
            "program(x:f64[2]) {
               a:f64[2] = constant[value=f64[2]{1.0,-0.0}]
               b:f64[2] = mul a a
               c:f64[2] = add b a
               d:f64[2] = add c x
               return c, d
             }",
        );
        let folded = fold(&program);
        assert_eq!(check(&folded), Ok(()));
        assert_eq!(
            print(&folded),
            "program(a:f64[2]) {\n  b:f64[2] = constant[value=f64[2]{1.0,-0.0}]\n  \
             c:f64[2] = constant[value=f64[2]{1.0,0.0}]\n  d:f64[2] = constant[value=f64[2]{2.0,0.0}]\n  \
             e:f64[2] = add d a\n  return d, e\n}"
        );
        assert_eq!(fold(&folded), folded);
    }

    #[test]
    fn an_equation_of_several_results_becomes_several_constants() {
        let program = read(
            "program() {
               a:f64[1] = constant[value=f64[1]{1.0}]
               b:f64[1], c:f64[1] = note a a
               d:f64[1] = add b c
               return d
             }",
        );
        let folded = fold(&program);
        assert_eq!(check(&folded), Ok(()));
        assert_eq!(folded.equations.len(), 4);
        assert_eq!(folded.equations[3].op, Toy::Constant(f64s(&[2.0])));
    }

    #[test]
    fn large_constants_and_refusals_stay() {
        let mut b = Builder::new();
        let x = b.emit1(Toy::Constant(f64s(&[1.0; 101])), &[]);
        let y = b.emit1(Toy::Add, &[x, x]);
        let small = b.emit1(Toy::Constant(Array::vector(vec![1_i64])), &[]);
        let z = b.emit1(Toy::Add, &[small, small]);
        let program = b.finish(vec![y, z]);
        assert_eq!(fold(&program), program);
        assert_eq!(fold(&nested()), nested());
    }

    #[test]
    fn bodies_are_folded() {
        let program = read(
            "program(x:f64[1]) {
               a:f64[1] = call[label=store, body=program(x:f64[1]) {
                 a:f64[1] = constant[value=f64[1]{3.0}]
                 b:f64[1] = mul a a
                 c:f64[1] = add b x
                 return c
               }] x
               return a
             }",
        );
        assert!(print(&fold(&program)).contains("constant[value=f64[1]{9.0}]"));
    }

    #[test]
    fn locations_stay() {
        let mut b = Builder::new();
        let location = Some(Location(std::panic::Location::caller()));
        let x = b.input(vec3());
        b.location = location;
        let c = b.emit1(Toy::Constant(f64s(&[1.0, 2.0, 3.0])), &[]);
        let d = b.emit1(Toy::Mul, &[c, c]);
        let e = b.emit1(Toy::Add, &[d, x]);
        let folded = fold(&b.finish(vec![e]));
        assert!(folded.equations.iter().all(|e| e.location == location));
        assert_eq!(folded.equations.len(), 3);
    }
}
