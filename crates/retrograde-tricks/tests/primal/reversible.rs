//! Stacks of couplings: the same gradient to the bit whether activations are stored or reconstructed, and what is kept.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, ops};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::tape::TapeReport;
use retrograde_core::trace::lattice::Lattice;
use retrograde_core::trace::{Var, tree};
use retrograde_engine::grad;
use retrograde_tricks::primal::reversible::RevNet;

const BATCH: usize = 8;
const WIDTH: usize = 16;

fn gradient(n_blocks: usize, policy: Tape) -> (Vec<(String, Array)>, TapeReport) {
    let network = RevNet::xavier(Key::from_seed(3), n_blocks, WIDTH, WIDTH, DType::F32);
    let draw = |seed| ops::convert(&normal(Key::from_seed(seed), [BATCH, WIDTH]), DType::F32);
    let loss = |network: RevNet<Var>, x: (Var, Var)| {
        let (y1, y2) = network.apply(x);
        (y1 * y1 + y1 * y2).sum()
    };
    let door = grad(loss).tape(policy);
    let slope = door.call((&network, &(draw(4), draw(5)))).unwrap();
    (tree::leaves(&slope), door.last_tape())
}

fn same_bits(a: &[(String, Array)], b: &[(String, Array)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((_, a), (_, b))| a.bits_eq(b))
}

/// At most 0.3 bit for each activation and update (there are as many as activations in a block), however deep.
#[test]
fn a_thousand_blocks_keep_what_rounding_destroys() {
    // As the documentation of `RevNet` has them.
    for (n_blocks, stored_bytes, reversed_bytes, rounded) in
        [(10, 21_504, 1_096, "0.223"), (100, 205_824, 1_352, "0.102"), (1000, 2_049_024, 2_296, "0.040")]
    {
        let (expected, stored) = gradient(n_blocks, Tape::Store);
        let (found, reversed) = gradient(n_blocks, Tape::Reverse);
        assert!(expected.iter().all(|(_, leaf)| leaf.to_vec::<f32>().unwrap().iter().all(|g| g.is_finite())));
        assert!(same_bits(&found, &expected), "{n_blocks} blocks");
        assert_eq!((reversed.inverse_steps, reversed.recomputed_steps), (n_blocks as u64, 0));
        let of_loop = &reversed.loops[0];
        assert_eq!((of_loop.n_steps, of_loop.n_values), (Some(n_blocks), 2 * BATCH * WIDTH));
        let bits = of_loop.bits_per_value_step().unwrap();
        assert!(bits > 0.0 && bits <= 0.3, "{n_blocks} blocks: {bits}\n{reversed}");
        assert_eq!((reversed.tape_bytes(), format!("{bits:.3}").as_str()), (reversed_bytes, rounded));
        // The halves as the second branch, and the first, read them, and what stands in each before its outer layer; and the loss.
        let per_block = 2 * (WIDTH + WIDTH) * BATCH * 4;
        assert_eq!(stored.tape_bytes(), stored_bytes);
        assert_eq!(stored_bytes, n_blocks * per_block + 2 * BATCH * WIDTH * 4);
    }
}

/// On a lattice the tape has the same bytes for any depth, and no bit of them is on the stack.
#[test]
fn on_a_lattice_a_thousand_blocks_keep_what_ten_do() {
    let lattice = Lattice { grid: 2f64.powi(-30), range: 1024.0 };
    let gradient = |n_blocks: usize, policy: Tape| {
        let network = RevNet::xavier(Key::from_seed(3), n_blocks, WIDTH, WIDTH, DType::F32);
        let draw = |seed| ops::convert(&normal(Key::from_seed(seed), [BATCH, WIDTH]), DType::F32);
        let loss = move |network: RevNet<Var>, x: (Var, Var)| {
            let (y1, y2) = network.apply_on(lattice, x);
            (y1 * y1 + y1 * y2).sum()
        };
        let door = grad(loss).tape(policy);
        let slope = door.call((&network, &(draw(4), draw(5)))).unwrap();
        (tree::leaves(&slope), door.last_tape())
    };
    let mut first = None;
    for n_blocks in [10, 100, 1000] {
        let (expected, stored) = gradient(n_blocks, Tape::Store);
        let (found, reversed) = gradient(n_blocks, Tape::Reverse);
        assert!(same_bits(&found, &expected), "{n_blocks} blocks");
        assert_eq!((reversed.inverse_steps, reversed.stack_bits()), (n_blocks as u64, 0), "{reversed}");
        assert_eq!(reversed.tape_bytes(), *first.get_or_insert(reversed.tape_bytes()), "{reversed}");
        assert!(stored.tape_bytes() > n_blocks * WIDTH * BATCH * 4);
        // Nearly the numbers of plain floats.
        let (plain, _) = self::gradient(n_blocks, Tape::Store);
        for ((_, a), (_, b)) in found.iter().zip(&plain) {
            let (a, b) = (a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
            let size = b.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-3 * size), "{n_blocks} blocks");
        }
    }
}

#[test]
fn checkpoints_agree_to_the_bit() {
    let expected = gradient(20, Tape::Store).0;
    for policy in [Tape::Recompute, Checkpoint::Sqrt.into(), Checkpoint::Slots(3).into()] {
        assert!(same_bits(&gradient(20, policy).0, &expected), "{policy}");
    }
}

/// The policy of a stack of its own wins over that of the front door.
#[test]
fn a_stack_has_a_policy_of_its_own() {
    let network = RevNet::xavier(Key::from_seed(3), 5, 2, 2, DType::F32);
    let network = RevNet { tape: Some(Tape::Reverse), ..network };
    let door = grad(|network: RevNet<Var>, x: Var| network.apply((x, x)).0.sum());
    door.call((&network, &Array::zeros(DType::F32, [3, 2]))).unwrap();
    assert_eq!(door.last_tape().inverse_steps, 5);
}
