//! The program over a new leading axis.

use super::Standard;
use crate::ir::{Kind, ValueId, check};
use crate::prim::{Builder, Program, Rule, Vmapped};

/// `program` with a leading axis of length `n` on the marked inputs; what does not depend on them runs once.
///
/// Outputs marked in `force` get the axis even where they do not vary. Lists carry the axis inside each of their arrays.
///
/// # Cost
/// About n times that of the program where it depends on the marked inputs; the number of equations does not depend on n.
///
/// ```
/// use retrograde_core::{ir::{parse, print}, prim::Prim, transform::vmap};
/// let text = "program(a:f64[2], b:f64[]) {
///   c:f64[] = sin b
///   d:f64[] = sum[axes=[0]] a
///   e:f64[] = add c d
///   return e
/// }";
/// let batched = vmap(&parse::<Prim>(text)?, &[true, false], &[true], 5).program;
/// assert_eq!(print(&batched), "program(a:f64[5,2], b:f64[]) {
///   c:f64[] = sin b
///   d:f64[5] = sum[axes=[1]] a
///   e:f64[5] = broadcast[shape=[5], axes=[]] c
///   f:f64[5] = add e d
///   return f
/// }");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn vmap(program: &Program, batched: &[bool], force: &[bool], n: usize) -> Vmapped {
    let mut b = Builder::new();
    let mut value = vec![ValueId(0); program.types.len()];
    let mut has_axis = vec![false; program.types.len()];
    for (&v, &axis) in program.inputs.iter().zip(batched) {
        let ty = program.ty(v);
        value[v.index()] = b.input(if axis { ty.stacked(n) } else { ty.clone() });
        has_axis[v.index()] = axis;
    }
    for equation in &program.equations {
        b.location = equation.location;
        let inputs: Vec<ValueId> = equation.inputs.iter().map(|v| value[v.index()]).collect();
        let marks: Vec<bool> = equation.inputs.iter().map(|v| has_axis[v.index()]).collect();
        let (outputs, axes) = if marks.contains(&true) {
            equation.op.batch(&mut Rule { b: &mut b, cx: &Standard }, &inputs, &marks, n)
        } else {
            (b.emit(equation.op.clone(), &inputs), vec![false; equation.outputs.len()])
        };
        for (i, v) in equation.outputs.iter().enumerate() {
            value[v.index()] = outputs[i];
            has_axis[v.index()] = axes[i];
            debug_assert!(
                program.ty(*v).kind == Kind::Bits
                    || *b.ty(outputs[i])
                        == if axes[i] { program.ty(*v).stacked(n) } else { program.ty(*v).clone() },
                "vmap of {equation:?} made {}",
                b.ty(outputs[i])
            );
        }
    }
    b.location = None;
    let mut outputs = vec![];
    let mut out_axes = vec![];
    let mut r = Rule { b: &mut b, cx: &Standard };
    for (v, &force) in program.outputs.iter().zip(force) {
        let (id, axis) = (value[v.index()], has_axis[v.index()]);
        outputs.push(if force { r.batched(id, axis, n) } else { id });
        out_axes.push(force || axis);
    }
    let program = b.finish(outputs);
    check::debug_check(&program, "vmap");
    Vmapped { program, batched: out_axes }
}
