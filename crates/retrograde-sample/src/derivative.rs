//! The derivatives of a program's weighted sum, as programs.
//!
//! The sum is L = Σ w·y over all entries of all floating-point results y, with weights w of their types.

use retrograde_core::ir::{Type, simplify};
use retrograde_core::prim::{Program, Transforms, bodies};
use retrograde_core::transform::{Standard, jvp, linearize};

/// Which types have derivatives.
pub fn floats(types: &[Type]) -> Vec<bool> {
    types.iter().map(Type::is_float).collect()
}

/// (x, w) → ∂L/∂x for each floating-point x: reverse mode.
pub fn gradient(program: &Program) -> Program {
    let out_types = program.output_types();
    let lin = linearize(program, &floats(&program.input_types()), &floats(&out_types));
    let transposed = Standard.transpose(&lin.linear, lin.n_residuals);
    let weights = bodies::marked(&out_types, &floats(&out_types));
    let n_in = program.inputs.len();
    simplify(&bodies::build(&[program.input_types(), weights].concat(), |b, p| {
        let forward = b.inline(&lin.forward, &p[..n_in]);
        b.inline(&transposed, &[&forward[out_types.len()..], &p[n_in..]].concat())
    }))
}

/// (x, w, v) → ∂²L/∂x² v, with v and the results for each floating-point x: forward over reverse mode.
pub fn hessian_product(program: &Program) -> Program {
    let gradient = gradient(program);
    let n_in = program.inputs.len();
    let mut active = floats(&gradient.input_types());
    active[n_in..].fill(false);
    let n_out = gradient.outputs.len();
    let whole = jvp(&gradient, &active, &vec![true; n_out]).program;
    simplify(&bodies::restrict(&whole, &vec![true; whole.inputs.len()], &whole.outputs[n_out..]))
}
