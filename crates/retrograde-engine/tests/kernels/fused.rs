//! What becomes one kernel.

use std::collections::BTreeSet;

use retrograde_core::ir::{parse, simplify};
use retrograde_core::prim::{Prim, Program};
use retrograde_engine::kernel::{Group, fuse};

use crate::draw;

/// Every group in one line: `k` with what it computes, or the name of the equation.
fn shape(program: &Program) -> Vec<String> {
    use retrograde_core::ir::Op;
    let name = |i: &usize| program.equations[*i].op.name();
    fuse(program)
        .iter()
        .map(|group| match group {
            Group::Equation(i) => name(i).to_owned(),
            Group::Kernel { kernel, .. } => {
                format!("k: {}", kernel.equations().iter().map(name).collect::<Vec<_>>().join(" "))
            }
        })
        .collect()
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(shape(&parse::<Prim>(text).expect("a program")), expected, "{text}");
}

#[test]
fn chains_broadcasts_and_constants_are_one_kernel() {
    check(
        "program(a:f32[2000], b:f32[]) {
  c:f32[2000] = broadcast[shape=[2000], axes=[]] b
  d:f32[2000] = full[type=f32[2000], value=f32[]{2.0}]
  e:f32[2000] = fma a c d
  f:f32[2000] = tanh e
  g:f32[2000] = mul f a
  return g
}",
        &["k: fma tanh mul"],
    );
}

#[test]
fn a_product_parts_what_is_before_and_after() {
    check(
        "program(a:f64[40,40]) {
  b:f64[40,40] = sin a
  c:f64[40,40] = dot_general[lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]] b a
  d:f64[40,40] = exp b
  e:f64[40,40] = add c d
  return e
}",
        &["k: sin exp", "dot_general", "k: add"],
    );
}

#[test]
fn a_reshape_of_repeated_rows_is_copied_inside_a_small_kernel() {
    check(
        "program(a:f64[2,3]) {
  b:f64[2,2,3] = broadcast[shape=[2,2,3], axes=[1,2]] a
  c:f64[4,3] = reshape[shape=[4,3]] b
  d:f64[4,3] = tanh c
  e:f64[2,2,3] = reshape[shape=[2,2,3]] d
  f:f64[2,2,3] = mul e b
  return f
}",
        &["k: reshape tanh mul"],
    );
}

#[test]
fn small_values_of_all_shapes_are_one_kernel() {
    check(
        "program(a:f64[8,3]) {
  b:f64[8,8,3] = broadcast[shape=[8,8,3], axes=[0,2]] a
  c:f64[8,8,3] = broadcast[shape=[8,8,3], axes=[1,2]] a
  d:f64[8,8,3] = sub b c
  e:f64[8,8,3] = mul d d
  f:f64[8,8] = sum[axes=[2]] e
  g:f64[8,8] = sqrt f
  h:f64[8,8,3] = broadcast[shape=[8,8,3], axes=[0,1]] g
  i:f64[8,8,3] = mul d h
  j:f64[8,3] = sum[axes=[1]] i
  return j
}",
        &["k: sub mul sum sqrt mul sum"],
    );
}

#[test]
fn reductions_end_the_kernel_that_makes_their_terms() {
    let program = |shape: &str, reduced: &str, axes: &str| {
        format!(
            "program(a:f32[{shape}]) {{
  b:f32[{shape}] = exp a
  c:f32[{shape}] = mul a b
  d:f32[{reduced}] = sum[axes=[{axes}]] c
  e:f32[{reduced}] = reduce_max[axes=[{axes}]] b
  f:f32[{reduced}] = div d e
  return f
}}"
        )
    };
    check(&program("70000", "", "0"), &["k: exp mul sum reduce_max", "k: div"]);
    check(&program("70,3000", "70", "1"), &["k: exp mul sum reduce_max", "k: div"]);
    check(&program("70,8,9,3", "70,3", "1,2"), &["k: exp mul sum reduce_max", "k: div"]);
    check(&program("3000,70", "70", "0"), &["k: exp mul", "sum", "reduce_max", "k: div"]);
}

#[test]
fn a_view_of_a_large_result_is_read_by_another_kernel() {
    check(
        "program(a:f64[40,50]) {
  b:f64[40,50] = sin a
  c:f64[50,40] = transpose[perm=[1,0]] b
  d:f64[50,40] = cos c
  return c, d
}",
        &["k: sin", "k: cos transpose"],
    );
}

#[test]
fn groups_hold_every_equation_once_and_in_order() {
    for seed in 0..300 {
        let (program, _) = draw::program(seed);
        let program = simplify(&program);
        let mut ready: BTreeSet<_> = program.inputs.iter().copied().collect();
        let mut seen = BTreeSet::new();
        for group in fuse(&program) {
            let (equations, inputs, outputs) = match &group {
                Group::Equation(i) => {
                    (vec![*i], program.equations[*i].inputs.clone(), program.equations[*i].outputs.clone())
                }
                Group::Kernel { kernel, inputs, outputs } => {
                    (kernel.equations().to_vec(), inputs.clone(), outputs.clone())
                }
            };
            for i in equations {
                assert!(seen.insert(i), "seed {seed}: equation {i} runs twice");
            }
            for input in inputs {
                assert!(ready.contains(&input), "seed {seed}: {input:?} is read before it is made");
            }
            for output in outputs {
                assert!(ready.insert(output), "seed {seed}: {output:?} is made twice");
            }
        }
        for output in &program.outputs {
            assert!(ready.contains(output), "seed {seed}: {output:?} is never made");
        }
    }
}
