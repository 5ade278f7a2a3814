//! Products.

use super::storage::{check, entries, stored};
use retrograde_array::rng::Key;
use retrograde_array::{DType, DotDims, Scratch};
use retrograde_core::prim::{Prim, dot_general::DotGeneral};
use retrograde_sample::Draws;

#[test]
fn matrices_of_many_sizes() {
    let mut draws = Draws::new(Key::from_seed(1));
    let mut scratch = Scratch::default();
    // Single rows and columns, several blocks of terms, several panels and tiles, work for several threads.
    for [m, k, n] in [
        [1, 1, 1],
        [1, 513, 70],
        [70, 513, 1],
        [3, 0, 5],
        [0, 3, 5],
        [5, 3, 0],
        [17, 600, 33],
        [9, 20, 49],
        [130, 257, 390],
        [1000, 300, 7],
        [2, 300, 2000],
    ] {
        for dtype in [DType::F32, DType::F64, DType::I32] {
            for transposed in [[false, false], [false, true], [true, false], [true, true]] {
                let (left, right) = (
                    if transposed[0] { [k, m] } else { [m, k] },
                    if transposed[1] { [n, k] } else { [k, n] },
                );
                let dims = DotDims {
                    lhs_contract: vec![usize::from(!transposed[0])],
                    rhs_contract: vec![usize::from(transposed[1])],
                    ..DotDims::default()
                };
                let (a, b) = (entries(&mut draws, dtype, &left), entries(&mut draws, dtype, &right));
                let inputs = [stored(&mut draws, &a), stored(&mut draws, &b)];
                check(&DotGeneral { dims }.into(), &inputs, &mut scratch);
            }
        }
    }
}

#[test]
fn any_axes() {
    let mut draws = Draws::new(Key::from_seed(2));
    let mut scratch = Scratch::default();
    for _ in 0..300 {
        let dtype = *draws.of(&[DType::F32, DType::F64, DType::I64, DType::U8]);
        let lens = |draws: &mut Draws, most: usize| -> Vec<usize> {
            let rank = draws.below(most + 1);
            (0..rank).map(|_| *draws.of(&[1, 2, 3, 5, 9, 20])).collect()
        };
        // Shared, free and contracted lengths; then each factor's axes in a random order.
        let [shared, contracted] = [lens(&mut draws, 2), lens(&mut draws, 2)];
        let factor = |draws: &mut Draws| {
            let free = lens(draws, 2);
            let all = [&shared[..], &contracted, &free].concat();
            let order = draws.permutation(all.len());
            let shape: Vec<usize> = order.iter().map(|&i| all[i]).collect();
            let at = |i: usize| order.iter().position(|&o| o == i).unwrap();
            let batch: Vec<usize> = (0..shared.len()).map(at).collect();
            let contract: Vec<usize> = (shared.len()..shared.len() + contracted.len()).map(at).collect();
            let x = entries(draws, dtype, &shape);
            (stored(draws, &x), batch, contract)
        };
        let (a, lhs_batch, lhs_contract) = factor(&mut draws);
        let (b, rhs_batch, rhs_contract) = factor(&mut draws);
        let dims = DotDims { lhs_contract, rhs_contract, lhs_batch, rhs_batch };
        check(&Prim::from(DotGeneral { dims }), &[a, b], &mut scratch);
    }
}
