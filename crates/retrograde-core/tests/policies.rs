//! Policy by derivative: every exact policy has every derivative, with the bits of `Store`, on loops of each kind.

use retrograde_array::{Array, DType, array, ops};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::control::{cond, scan, scan_over, taped, while_loop};
use retrograde_core::trace::door::{grad, hvp, jit, jvp, vmap};
use retrograde_core::trace::function::Function;
use retrograde_core::trace::lattice::Lattice;
use retrograde_core::trace::var::{constant, full, select};
use retrograde_core::trace::{Error, Var, tree};

/// The exact policies. One more is one more row here.
const POLICIES: [Tape; 7] = [
    Tape::Store,
    Tape::Recompute,
    Tape::Checkpoint(Checkpoint::Sqrt),
    Tape::Checkpoint(Checkpoint::Slots(3)),
    Tape::Reverse,
    Tape::ReverseOr(Checkpoint::Sqrt),
    // Stands for the least that is possible, see `under`.
    Tape::Budget(0),
];

/// A number after a loop or a region, of three numbers.
type Program = fn(Var) -> Var;

/// Updates one by one.
fn by_updates(x: Var) -> Var {
    let (x, v) = scan(40).repeat((x, 0.5 * x), |(x, v)| {
        let v = v - 0.1 * x.sin();
        (x + 0.1 * v, v)
    });
    (x * v).sum()
}

/// A step that is reversed as a whole, by its midpoint.
fn as_a_whole(x: Var) -> Var {
    let field = |x: Var| 0.1 * x.cos() - 0.05 * x;
    let x = scan(70).repeat(x, |x| x + 0.1 * field(x + 0.05 * field(x)));
    (x * x).sum()
}

/// A loop that ends by its state.
fn unknown_length(x: Var) -> Var {
    let (x, v) = while_loop(
        (x, 0.2 + 0.0 * x),
        |(x, _)| (x * x).sum().lt(20.0),
        |(x, v)| {
            let v = v + 0.02 * x.sin();
            (x + 0.3 * v, v)
        },
    );
    (x * v).sum()
}

/// Whole numbers in the place of floats.
fn on_a_lattice(x: Var) -> Var {
    let lattice = Lattice { grid: 2f64.powi(-40), range: 1024.0 };
    let (x, _) = scan(40).repeat((lattice.at(x), lattice.at(0.5 * x)), |(x, v)| {
        let v = v - 0.1 * x.value().sin();
        (x + 0.1 * v.value(), v)
    });
    (x.value() * x.value()).sum()
}

/// A branch of the state inside a step, a loop inside a step, and what each step gives.
fn nested(x: Var) -> Var {
    let nothing: Vec<Var> = vec![];
    let ((x, v), ys) = scan(12).run((x, 0.3 * x), nothing, |(x, v), _: Vec<Var>| {
        let kick = cond(v.sum().gt(0.4), |v: Var| (2.0 * v).sin(), |v| v.cos(), v);
        let x = x + 0.05 * kick;
        let pull = scan(3).repeat(x, |u| u + 0.1 * u.sin());
        ((x, v - 0.1 * pull), x.sum())
    });
    (x * v).sum() + (ys * ys).sum()
}

/// Choices that hang on the state before the step, entry by entry and as a whole.
fn decided(x: Var) -> Var {
    let (x, v, t) = scan(30).repeat((x, 0.5 * x, x.sum()), |(x, v, t)| {
        let x = select(x.gt(0.5), x - 0.3 * v * v, x + 0.07 * v.cos());
        let v = v - 0.1 * x.sin();
        let falls = |(t, v): (Var, Var)| t - (0.2 * v * v).sum();
        let t = cond(t.gt(1.0), falls, |(t, v)| t + (0.1 * v.cos()).sum(), (t, v));
        (x, v, t)
    });
    (x * v).sum() + t * t
}

/// A loop that ends by its state and counts its steps, in each lane its own.
fn counted(x: Var) -> Var {
    let start = (x * x, constant(&array(0_i64)));
    let (x, n) = while_loop(
        start,
        |(x, _)| x.sum().lt(9.0),
        |(x, n)| (x + (0.2 + 0.1 * n.convert(x.dtype()).cos()).spread(x.shape()), n + 1),
    );
    (x * x * x).sum() * n.convert(x.dtype())
}

/// What comes in step by step, last step first.
fn fed_backwards(x: Var) -> Var {
    let (end, ys) = scan_over().reversed().run(full(x.dtype(), [], 0.2), x, |v, x| {
        let v = v + 0.1 * x.sin();
        (v, v * x)
    });
    end + (ys * ys).sum()
}

/// No loop: a region, and what cheap operations rebuild.
fn straight(x: Var) -> Var {
    let part = |x: Var| taped(Tape::Recompute, |x: Var| x.sin().exp(), x);
    part(part(x).max(0.5) * x).tanh().sum()
}

const PROGRAMS: [(&str, Program); 9] = [
    ("by updates", by_updates),
    ("as a whole", as_a_whole),
    ("unknown length", unknown_length),
    ("on a lattice", on_a_lattice),
    ("nested", nested),
    ("decided", decided),
    ("counted", counted),
    ("fed backwards", fed_backwards),
    ("straight", straight),
];

/// Every derivative under a policy, as a list of arrays.
fn derivatives(f: Program, policy: Tape, dtype: DType) -> Vec<(&'static str, Vec<Array>)> {
    let convert = |a: Array| ops::convert(&a, dtype);
    let (x, dot) = (convert(array([0.3, -0.2, 0.9])), convert(array([1.0, 0.5, -2.0])));
    let rows = convert(array([[0.3, -0.2, 0.9], [0.7, 0.1, -0.4]]));
    let constant_dot = dot.clone();
    let of_pair = |(a, b): (Array, Array)| vec![a, b];
    let inside = |policy| {
        let inner = grad(f).tape(policy);
        jvp(move |x: Var| inner.at(x))
    };
    let along = move |x: Var| (grad(f).at(x) * constant(&constant_dot)).sum();
    let of_rows = move |x: Var| vmap(f).apply((x,)).sum();
    vec![
        ("vjp", vec![under(policy, |t| grad(f).tape(t).call(&x))]),
        ("jvp", of_pair(under(policy, |t| jvp(f).tape(t).call(&x, &dot)))),
        ("jvp of vjp", vec![under(policy, |t| hvp(f).tape(t).call(&x, &dot))]),
        ("jvp of vjp, the policy inside", of_pair(under(policy, |t| inside(t).call(&x, &dot)))),
        ("vjp of jvp", vec![under(policy, |t| hvp(f).tape(t).reverse_over_forward().call(&x, &dot))]),
        ("vjp of vjp", vec![under(policy, |t| grad(along.clone()).tape(t).call(&x))]),
        ("vmap of vjp", vec![under(policy, |t| jit(vmap(grad(f))).tape(t).call(&rows))]),
        ("vjp of vmap", vec![under(policy, |t| grad(of_rows).tape(t).call(&rows))]),
    ]
}

/// The result under a policy; within the least budget that is accepted if the policy is a budget that is refused.
fn under<T>(policy: Tape, call: impl Fn(Tape) -> Result<T, Error>) -> T {
    match (policy, call(policy)) {
        (Tape::Budget(_), Err(refused)) => call(Tape::Budget(least(&refused.to_string()))).unwrap(),
        (_, found) => found.unwrap(),
    }
}

/// All derivatives, of all programs, in both precisions.
#[test]
fn every_exact_policy_has_every_derivative_with_the_same_bits() {
    for (name, f) in PROGRAMS {
        for dtype in [DType::F64, DType::F32] {
            let expected = derivatives(f, Tape::Store, dtype);
            let is_number = |a: &Array| {
                ops::convert(a, DType::F64)
                    .to_vec::<f64>()
                    .unwrap()
                    .iter()
                    .all(|x| x.is_finite() && *x != 0.0)
            };
            assert!(expected.iter().flat_map(|(_, all)| all).all(is_number), "{name}: {expected:?}");
            for policy in POLICIES {
                if matches!(policy, Tape::Budget(_)) && ["unknown length", "counted"].contains(&name) {
                    // The number of steps of such a loop bounds what its gradient keeps, but not what derivatives of that do.
                    let x = ops::convert(&array([0.3, -0.2, 0.9]), dtype);
                    let found = under(policy, |t| grad(f).tape(t).call(&x));
                    assert!(found.bits_eq(&expected[0].1[0]), "{name} in {dtype} under {policy}");
                    let along = move |x: Var| grad(f).at(x).sum();
                    let refused = grad(along).tape(policy).call(&x).unwrap_err().to_string();
                    assert!(
                        refused.contains("a number of bytes that is not known before it runs"),
                        "{refused}"
                    );
                    continue;
                }
                for ((mode, found), (_, expected)) in derivatives(f, policy, dtype).iter().zip(&expected) {
                    let same = found.iter().zip(expected).all(|(f, e)| f.bits_eq(e));
                    assert!(
                        same,
                        "{mode} of {name} in {dtype} under {policy}: {found:?}, expected {expected:?}"
                    );
                }
            }
        }
    }
}

/// The number after `the least possible is`.
fn least(message: &str) -> usize {
    let rest = message.split("the least possible is ").nth(1).unwrap_or_else(|| panic!("{message}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// The comparison is of bits: a gradient that is off by one of them is another.
#[test]
fn one_bit_is_a_difference() {
    let f = |x: Var| by_updates(x);
    let g = grad(f).call(&array([0.3, -0.2, 0.9])).unwrap();
    let mut other = g.clone();
    let first = &mut other.make_mut::<f64>().unwrap()[0];
    *first = f64::from_bits(first.to_bits() ^ 1);
    assert!(g.bits_eq(&g) && !g.bits_eq(&other));
    assert_eq!(tree::leaves(&g).len(), 1);
}
