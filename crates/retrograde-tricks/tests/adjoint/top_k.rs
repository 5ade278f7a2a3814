//! B16.

use retrograde_array::{Array, array};
use retrograde_core::ir::Op;
use retrograde_core::prim::{Prim, Program};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit};
use retrograde_tricks::adjoint::map::AdjointMap;
use retrograde_tricks::adjoint::top_k::{TopK, kept_and_dropped, product_with_top_k};

use crate::{draw, inner, values};

/// Multiplications of products, and of entries by entries, in a program.
fn n_multiplications(program: &Program) -> usize {
    let mut n = 0;
    for equation in &program.equations {
        let size = program.ty(equation.outputs[0]).shape.size();
        match &equation.op {
            Prim::DotGeneral(dot) => {
                let of = program.ty(equation.inputs[0]);
                n += size * dot.dims.lhs_contract.iter().map(|&axis| of.shape[axis]).product::<usize>();
            }
            Prim::Mul(_) => n += size,
            op => {
                op.map_bodies(&mut |body| {
                    n += n_multiplications(body);
                    body.clone()
                });
            }
        }
    }
    n
}

#[test]
fn what_top_k_drops_is_reported_and_all_of_n_is_the_identity() {
    let g = draw(1, [9, 12]);
    let on = |k: usize| jit(move |g: Var| (TopK { k }.on(g), kept_and_dropped(g, k).1)).call(&g).unwrap();
    let (all, dropped) = on(12);
    assert!(all.bits_eq(&g) && dropped == array(0.0));
    for k in [1, 3, 11] {
        let (kept, dropped) = on(k);
        let lost: Vec<f64> = values(&g).iter().zip(values(&kept)).map(|(g, kept)| g - kept).collect();
        let size = lost.iter().map(|x| x * x).sum::<f64>().sqrt();
        let dropped = dropped.item::<f64>().unwrap();
        assert!((size - dropped).abs() < 1e-14 * size);
        assert!((dropped * dropped + inner(&kept, &kept) - inner(&g, &g)).abs() < 1e-13);
        for (row, kept) in values(&g).chunks(12).zip(values(&kept).chunks(12)) {
            assert_eq!(kept.iter().filter(|x| **x != 0.0).count(), k);
            let least = kept.iter().filter(|x| **x != 0.0).map(|x| x.abs()).fold(f64::INFINITY, f64::min);
            assert!(row.iter().zip(kept).all(|(g, kept)| *kept == *g || g.abs() <= least));
        }
    }
}

#[test]
fn a_product_with_k_of_n_is_that_of_the_kept_and_costs_as_much() {
    let (n, n_in, n_out) = (6, 10, 40);
    let (x, w, y_bar) = (draw(1, [n, n_in]), draw(2, [n_in, n_out]), draw(3, [n, n_out]));
    let slopes = |k: usize| {
        let f = move |(x, w): (Var, Var), y_bar: Var| (product_with_top_k(x, w, k) * y_bar).sum();
        grad(f).call((&(x.clone(), w.clone()), &y_bar)).unwrap()
    };
    let masked = |k: usize| {
        let f = move |(x, w): (Var, Var), y_bar: Var| (TopK { k }.at_edge(x.dot(w)) * y_bar).sum();
        grad(f).call((&(x.clone(), w.clone()), &y_bar)).unwrap()
    };
    let close = |a: &Array, b: &Array| values(a).iter().zip(values(b)).all(|(a, b)| (a - b).abs() < 1e-13);
    for k in [1, 4, 39, 40] {
        let (found, expected) = (slopes(k), masked(k));
        assert!(close(&found.0, &expected.0) && close(&found.1, &expected.1), "{k}");
    }
    // Everything: the bits of the product itself, where sums run alike.
    let plain = grad(|(x, w): (Var, Var), y_bar: Var| (x.dot(w) * y_bar).sum())
        .call((&(x.clone(), w.clone()), &y_bar))
        .unwrap();
    let (sparse, dense) = (slopes(40), masked(40));
    assert!(dense.0.bits_eq(&plain.0) && dense.1.bits_eq(&plain.1) && sparse.0.bits_eq(&plain.0));
    assert!(close(&sparse.1, &plain.1));
    // The multiplications beyond those of the forward product.
    let count = |k: usize| {
        let f = move |(x, w): (Var, Var), y_bar: Var| (product_with_top_k(x, w, k) * y_bar).sum();
        let program = jit(move |p: (Var, Var), y_bar: Var| grad(f).at((p, y_bar)))
            .program((&(x.clone(), w.clone()), &y_bar))
            .unwrap();
        n_multiplications(&program)
    };
    // For each of k: the product for x̄, the terms of W̄, and these times the cotangent of their sum, which is 1.
    let of_k = 3 * n * n_in;
    assert_eq!(count(8) - count(4), 4 * of_k);
    assert_eq!(count(40) - count(8), 32 * of_k);
}
