//! Chains of functions as single kernels, for what times them and for what counts their instructions.

use retrograde_array::Array;
use retrograde_core::ir::parse;
use retrograde_core::prim::Prim;
use retrograde_engine::kernel::{Group, Kernel, fuse};

/// The one kernel of a program.
pub(crate) fn kernel(text: &str) -> (Kernel, Vec<Array>) {
    let program = parse::<Prim>(text).expect("a program");
    let mut groups = fuse(&program);
    match (groups.pop(), groups.is_empty()) {
        (Some(Group::Kernel { kernel, outputs, .. }), true) => {
            let zeros = |v| Array::zeros(program.ty(v).dtype, program.ty(v).shape.clone());
            (kernel, outputs.into_iter().map(zeros).collect())
        }
        _ => panic!("one kernel"),
    }
}

/// Numbers from -4 to 4.
pub(crate) fn xs(n: usize) -> Array {
    Array::vector((0..n).map(|i| (i as f32 * 0.618).fract() * 8.0 - 4.0).collect())
}

/// `tanh(a x + b) exp(-x²) + sin x`
pub(crate) fn transcendental(n: usize) -> (Kernel, Vec<Array>) {
    kernel(&format!(
        "program(x:f32[{n}], a:f32[], b:f32[]) {{
  c:f32[{n}] = broadcast[shape=[{n}], axes=[]] a
  d:f32[{n}] = broadcast[shape=[{n}], axes=[]] b
  e:f32[{n}] = fma x c d
  f:f32[{n}] = tanh e
  g:f32[{n}] = mul x x
  h:f32[{n}] = neg g
  i:f32[{n}] = exp h
  j:f32[{n}] = sin x
  k:f32[{n}] = fma f i j
  return k
}}"
    ))
}

/// `(a x + b) x + b x - a`
pub(crate) fn cheap(n: usize) -> (Kernel, Vec<Array>) {
    kernel(&format!(
        "program(x:f32[{n}], a:f32[], b:f32[]) {{
  c:f32[{n}] = broadcast[shape=[{n}], axes=[]] a
  d:f32[{n}] = broadcast[shape=[{n}], axes=[]] b
  e:f32[{n}] = fma x c d
  f:f32[{n}] = mul x d
  g:f32[{n}] = fma e x f
  h:f32[{n}] = sub g c
  return h
}}"
    ))
}
