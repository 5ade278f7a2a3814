//! Dead code: equations nobody reads go, and so do unused results and operands of operations with bodies.

use super::builder::renumber;
use super::program::{Equation, Op, Program, ValueId};

/// Drops the equations whose results are unused, in bodies too. The inputs of the program stay.
///
/// [`Op::prune`] is asked twice: before its bodies are cleaned, when some result is unused; and after, with every
/// result used, so that operands which no cleaned body reads can go as well.
///
/// ```
/// use retrograde_core::{ir::{dce, parse}, prim::Prim};
/// let unused = parse::<Prim>("program(a:f64[], b:f64[]) {\n  c:f64[] = sin b\n  return a\n}")?;
/// assert_eq!((dce(&unused).equations.len(), dce(&unused).inputs.len()), (0, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn dce<O: Op>(program: &Program<O>) -> Program<O> {
    let mut live = vec![false; program.types.len()];
    for v in &program.outputs {
        live[v.index()] = true;
    }
    let mut equations = Vec::with_capacity(program.equations.len());
    for equation in program.equations.iter().rev() {
        let used: Vec<bool> = equation.outputs.iter().map(|v| live[v.index()]).collect();
        if !used.contains(&true) {
            continue;
        }
        let mut kept = equation.clone();
        if used.contains(&false) {
            prune(&mut kept, &used);
        }
        kept.op = kept.op.map_bodies(&mut |body| dce(body));
        let all = vec![true; kept.outputs.len()];
        prune(&mut kept, &all);
        for v in &kept.inputs {
            live[v.index()] = true;
        }
        equations.push(kept);
    }
    equations.reverse();
    let (inputs, outputs) = (program.inputs.clone(), program.outputs.clone());
    renumber(Program { inputs, equations, outputs, types: program.types.clone() })
}

fn prune<O: Op>(equation: &mut Equation<O>, used: &[bool]) {
    if let Some((op, inputs, outputs)) = equation.op.prune(used) {
        let select = |from: &[ValueId], kept: &[usize]| kept.iter().map(|&i| from[i]).collect::<Vec<_>>();
        equation.inputs = select(&equation.inputs, &inputs);
        equation.outputs = select(&equation.outputs, &outputs);
        equation.op = op;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::toy::{Toy, nested, read, vec3};
    use crate::ir::{Builder, Location, check, print};

    #[test]
    fn drops_what_nobody_reads() {
        let program = read(
            "program(x:f64[1], y:f64[1]) {
               a:f64[1] = mul x y
               b:f64[1] = add a a
               c:f64[1] = add x x
               d:f64[1] = add b c
               return c, x
             }",
        );
        let clean = dce(&program);
        assert_eq!(check(&clean), Ok(()));
        assert_eq!(print(&clean), "program(a:f64[1], b:f64[1]) {\n  c:f64[1] = add a a\n  return c, a\n}");
        assert_eq!(dce(&clean), clean);
    }

    #[test]
    fn operations_of_which_one_result_is_read_stay_whole() {
        let program =
            read("program(x:f64[1]) {\n a:f64[1], b:f64[1] = note x x\n c:f64[1] = add a a\n return b\n }");
        let clean = dce(&program);
        assert_eq!(print(&clean), "program(a:f64[1]) {\n  b:f64[1], c:f64[1] = note a a\n  return c\n}");
    }

    #[test]
    fn unused_results_and_operands_of_bodies_go() {
        let program = read(
            "program(x:f64[1], y:f64[1]) {
               p:f64[1] = add y y
               q:f64[1] = mul x x
               a:f64[1], b:f64[1], c:f64[1] = call[label=store, body=program(x:f64[1], y:f64[1]) {
                 a:f64[1] = mul y y
                 b:f64[1], i:f64[1] = call[label=store, body=program(u:f64[1], v:f64[1]) {
                   w:f64[1] = add u u
                   z:f64[1] = add v v
                   return w, z
                 }] x y
                 c:f64[1] = add y x
                 return a, b, c
               }] q p
               return b
             }",
        );
        let clean = dce(&program);
        assert_eq!(check(&clean), Ok(()));
        assert_eq!(
            print(&clean),
            "\
program(a:f64[1], b:f64[1]) {
  c:f64[1] = mul a a
  d:f64[1] = call[label=store, body=program(a:f64[1]) {
    b:f64[1] = call[label=store, body=program(a:f64[1]) {
      b:f64[1] = add a a
      return b
    }] a
    return b
  }] c
  return d
}"
        );
        assert_eq!(dce(&clean), clean);
    }

    #[test]
    fn bodies_with_all_results_used_are_cleaned_and_lose_operands() {
        let program = read(
            "program(x:f64[1], y:f64[1]) {
               p:f64[1] = add y y
               a:f64[1] = call[label=store, body=program(x:f64[1], y:f64[1]) {
                 a:f64[1] = mul y y
                 b:f64[1] = mul x x
                 return b
               }] x p
               return a
             }",
        );
        let clean = dce(&program);
        assert_eq!(check(&clean), Ok(()));
        assert_eq!((clean.size(), clean.inputs.len()), (2, 2));
        assert_eq!(dce(&nested()), nested());
    }

    #[test]
    fn locations_stay() {
        let mut b = Builder::new();
        let x = b.input(vec3());
        b.emit1(Toy::Mul, &[x, x]);
        b.location = Some(Location(std::panic::Location::caller()));
        let y = b.emit1(Toy::Add, &[x, x]);
        let location = b.location;
        let clean = dce(&b.finish(vec![y]));
        assert_eq!(clean.equations.iter().map(|e| e.location).collect::<Vec<_>>(), [location]);
    }
}
