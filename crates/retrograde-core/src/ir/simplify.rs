//! All simplifications in one: fold, compose, cse, then dce.

use super::program::{Op, Program};
use super::{compose, cse, dce, debug_check, fold};

/// Folds constants, shortens chains, merges equal equations and drops unused ones, in bodies too. No result changes by a bit.
///
/// # Cost
/// Linear in the equations.
///
/// ```
/// use retrograde_core::{ir::{parse, print, simplify}, prim::Prim};
/// let twice = parse::<Prim>("program(a:f64[]) {
///   b:f64[] = sin a
///   c:f64[] = sin a
///   d:f64[] = cos a
///   e:f64[] = add b c
///   return e
/// }")?;
/// assert_eq!(print(&simplify(&twice)), "program(a:f64[]) {
///   b:f64[] = sin a
///   c:f64[] = add b b
///   return c
/// }");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn simplify<O: Op>(program: &Program<O>) -> Program<O> {
    let program = fold(program);
    debug_check(&program, "fold");
    let program = compose(&program);
    debug_check(&program, "compose");
    let program = cse(&program);
    debug_check(&program, "cse");
    let program = dce(&program);
    debug_check(&program, "dce");
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::toy::{Toy, VISITS, f64s, read, vec3};
    use crate::ir::{Builder, print};

    #[test]
    fn folds_merges_and_drops() {
        let program = read(
            "program(x:f64[1]) {
               a:f64[1] = constant[value=f64[1]{2.0}]
               b:f64[1] = constant[value=f64[1]{2.0}]
               c:f64[1] = mul a b
               d:f64[1] = add a b
               e:f64[1] = mul x c
               f:f64[1] = mul x d
               g:f64[1] = add e f
               return g
             }",
        );
        assert_eq!(
            print(&simplify(&program)),
            "program(a:f64[1]) {\n  b:f64[1] = constant[value=f64[1]{4.0}]\n  c:f64[1] = mul a b\n  \
             d:f64[1] = add c c\n  return d\n}"
        );
        assert_eq!(simplify(&simplify(&program)), simplify(&program));
    }

    /// n equations, of which some fold, some merge and some are dead.
    fn long(n: usize) -> Program<Toy> {
        let mut b = Builder::new();
        let x = b.input(vec3());
        let c = b.emit1(Toy::Constant(f64s(&[1.0, 2.0, 3.0])), &[]);
        let mut last = x;
        for i in 1..n {
            match i % 5 {
                0 => drop(b.emit1(Toy::Mul, &[c, c])),
                1 => drop(b.emit1(Toy::Add, &[last, x])),
                2 => last = b.emit1(Toy::Add, &[last, x]),
                3 => drop(b.emit1(Toy::Constant(f64s(&[i as f64, 0.0, 0.0])), &[])),
                _ => last = b.emit1(Toy::Mul, &[last, c]),
            }
        }
        b.finish(vec![last])
    }

    /// Counted, not timed: four simplifications and the check after each visit every equation once.
    #[test]
    fn cost_is_linear() {
        let visits = |n: usize| {
            let program = long(n);
            let before = VISITS.get();
            assert_eq!(simplify(&program).equations.len(), n * 2 / 5 + 1);
            VISITS.get() - before
        };
        let (small, large) = (visits(5_000), visits(50_000));
        assert!(small <= 8 * 5_000, "{small} visits of 5000 equations");
        assert!(large <= 10 * small, "{large} visits of 50000 equations, {small} of 5000");
    }
}
