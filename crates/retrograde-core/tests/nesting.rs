//! Front doors and control flow inside each other, against closed forms, loops and the plain tape.

use retrograde_array::rng::{self, Key};
use retrograde_array::{Array, DType, array};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{ScanConfig, cond, scan, scan_over, while_config, while_loop};
use retrograde_core::trace::custom::{Law, custom_jvp, custom_rules, custom_vjp};
use retrograde_core::trace::door::{grad, hessian, hvp, jacobian, jit, jvp, value_and_grad, vjp, vmap};
use retrograde_core::trace::var::{constant, full, select};

const SQRT: Tape = Tape::Checkpoint(Checkpoint::Sqrt);
const POLICIES: [Tape; 5] =
    [Tape::Store, Tape::Recompute, SQRT, Tape::Checkpoint(Checkpoint::Slots(3)), Tape::Reverse];

fn uniform(seed: u64, n: usize, low: f64, high: f64) -> Vec<f64> {
    let unit = rng::uniform(Key::from_seed(seed), [n]).to_vec::<f64>().unwrap();
    unit.iter().map(|u| low + (high - low) * u).collect()
}

fn reals(array: &Array) -> Vec<f64> {
    array.to_vec::<f64>().unwrap()
}

#[track_caller]
fn expect_close(found: &Array, expected: &[f64]) {
    let found = reals(found);
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= 1e-12 * scale, "{found:?}, expected {expected:?}");
    }
}

#[track_caller]
fn expect_bits(found: &Array, expected: &Array) {
    assert!(found.bits_eq(expected), "{found:?}, expected {expected:?}");
}

/// `of(lane)` for each row of `xs`, stacked.
fn lanes(xs: &Array, of: impl Fn(&Array) -> Array) -> Array {
    Array::stack(&(0..xs.shape()[0]).map(|i| of(&xs.row(i))).collect::<Vec<_>>()).unwrap()
}

/// The same number from every policy, to the bit; the first is returned.
#[track_caller]
fn same_under_all(of: impl Fn(Tape) -> Array) -> Array {
    let reference = of(Tape::Store);
    for policy in POLICIES {
        expect_bits(&of(policy), &reference);
    }
    reference
}

/// A pendulum by invertible updates: x += h v, v -= h sin x.
fn swing((x, v): (Var, Var)) -> (Var, Var) {
    let x = x + 0.1 * v;
    let v = v - 0.1 * x.sin();
    (x, v)
}

/// The pendulum's final state and derivatives of x_T by (x_0, v_0), by hand.
fn swing_by_hand(x: f64, v: f64, n_steps: usize) -> (f64, [f64; 2]) {
    let (mut s, mut dx, mut dv) = ((x, v), [1.0, 0.0], [0.0, 1.0]);
    for _ in 0..n_steps {
        s.0 += 0.1 * s.1;
        (0..2).for_each(|i| dx[i] += 0.1 * dv[i]);
        s.1 -= 0.1 * s.0.sin();
        (0..2).for_each(|i| dv[i] -= 0.1 * s.0.cos() * dx[i]);
    }
    (s.0, dx)
}

/// The pendulum run until a count is reached.
fn swing_while(n_steps: i64) -> impl Fn(Var) -> Var + Copy {
    move |s: Var| {
        let start = (s.index(0, 0), s.index(0, 1), full(DType::I64, [], 0.0));
        let (x, _, _) = while_loop(
            start,
            |(_, _, k)| k.lt(n_steps),
            |(x, v, k)| {
                let (x, v) = swing((x, v));
                (x, v, k + 1)
            },
        );
        x
    }
}

fn swing_scan(n_steps: usize) -> impl Fn(Var) -> Var + Copy {
    move |s: Var| scan(n_steps).repeat((s.index(0, 0), s.index(0, 1)), swing).0
}

#[test]
fn vmap_of_scan_is_a_loop() {
    // Batched: the state only, the xs only, both; the capture is shared.
    let xs = Array::new([4, 3], uniform(1, 12, -1.0, 1.0)).unwrap();
    let starts = array(uniform(2, 4, -1.0, 1.0));
    let body = |c: f64| move |s: Var, x: Var| (s.sin() * c + x, s * x);
    let run = |s: Var, xs: Var| scan_over().run(s, xs, body(1.5));
    let both = jit(vmap(move |s: Var, xs: Var| run(s, xs))).call((&starts, &xs)).unwrap();
    let one = jit(move |s: Var, xs: Var| run(s, xs));
    for i in 0..4 {
        let (last, ys) = one.call((&starts.row(i), &xs.row(i))).unwrap();
        expect_bits(&both.0.row(i), &last);
        expect_bits(&both.1.row(i), &ys);
    }
    let row = xs.row(0);
    let of_state = jit(vmap(|s: Var| run(s, constant(&row)).1)).call(&starts).unwrap();
    expect_bits(&of_state, &lanes(&starts, |s| one.call((s, &row)).unwrap().1));
    let zero = array(0.5);
    let of_xs = jit(vmap(|xs: Var| run(constant(&zero), xs).1)).call(&xs).unwrap();
    expect_bits(&of_xs, &lanes(&xs, |x| one.call((&zero, x)).unwrap().1));
}

#[test]
fn while_has_gradients_under_every_policy() {
    let s = array([0.4, 1.1]);
    for n_steps in [0, 1, 2, 37] {
        let g = same_under_all(|policy| grad(swing_while(n_steps)).tape(policy).call(&s).unwrap());
        expect_close(&g, &swing_by_hand(0.4, 1.1, n_steps as usize).1);
        expect_bits(&g, &grad(swing_scan(n_steps as usize)).call(&s).unwrap());
        let v = array([0.3, -0.8]);
        for reverse_over_forward in [false, true] {
            same_under_all(|policy| {
                let mut door = hvp(swing_while(n_steps)).tape(policy);
                if reverse_over_forward {
                    door = door.reverse_over_forward();
                }
                door.call(&s, &v).unwrap()
            });
        }
    }
    // A policy on the loop itself goes before that of the door.
    let own = |policy: Tape| {
        value_and_grad(move |x: Var| {
            let start = (x.index(0, 0), x.index(0, 1));
            while_config().tape(policy).run(start, |(x, _)| x.lt(3.0), swing).0
        })
    };
    let (a, b) = (own(Tape::Store), own(Tape::Reverse));
    let (of_a, of_b) = (a.call(&array([0.4, 2.5])).unwrap(), b.call(&array([0.4, 2.5])).unwrap());
    expect_bits(&of_a.1, &of_b.1);
    assert!(a.last_tape().inverse_steps == 0 && b.last_tape().inverse_steps > 5, "{}", b.last_tape());
}

#[test]
fn hessian_products_of_scan_agree_to_the_bit() {
    let (s, v) = (array([0.4, 1.1]), array([0.3, -0.8]));
    let forward = same_under_all(|policy| hvp(swing_scan(50)).tape(policy).call(&s, &v).unwrap());
    let reverse = same_under_all(|policy| {
        hvp(swing_scan(50)).tape(policy).reverse_over_forward().call(&s, &v).unwrap()
    });
    expect_close(&forward, &reals(&reverse));
    // Against differences of the gradient by hand, of error O(h²).
    let h = 1e-5;
    let at = |t: f64| swing_by_hand(0.4 + t * 0.3, 1.1 - t * 0.8, 50).1;
    let (a, b) = (at(h), at(-h));
    for i in 0..2 {
        let expected = (a[i] - b[i]) / (2.0 * h);
        assert!(
            (reals(&forward)[i] - expected).abs() < 1e-7 * expected.abs(),
            "{forward:?}, expected {expected}"
        );
    }
}

#[test]
fn third_derivatives() {
    let x = array(0.7);
    let third = |f: fn(Var) -> Var| grad(grad(grad(f))).call(&x).unwrap();
    expect_close(&third(|x| x * x * x * x * x), &[60.0 * 0.49]);
    expect_close(&third(|x| x.sin()), &[-(0.7f64.cos())]);
    let t = 0.7f64.tanh();
    expect_close(&third(|x| x.tanh()), &[(1.0 - t * t) * (6.0 * t * t - 2.0)]);
    expect_close(&third(|x| 1.0 / x), &[-6.0 / 0.7f64.powi(4)]);
    // x⁵ as a loop, and as one of unknown length.
    expect_close(&third(|x| scan(5).repeat(full(DType::F64, [], 1.0), |p| p * x)), &[60.0 * 0.49]);
    expect_close(
        &third(|x| {
            let start = (full(DType::F64, [], 1.0), full(DType::I64, [], 0.0));
            while_loop(start, |(_, k)| k.lt(5), |(p, k)| (p * x, k + 1)).0
        }),
        &[60.0 * 0.49],
    );
    expect_close(&third(|x| cond(x.gt(0.0), |x| x * x * x * x * x, |x| x, x)), &[60.0 * 0.49]);
    // A fourth one, mixed: forward over reverse over forward over reverse.
    let f = |x: Var| (x * x).sin();
    let second = move |x: Var| hvp(f).at(x, &full(DType::F64, [], 1.0));
    let fourth = hvp(second).call(&x, &array(1.0)).unwrap();
    let (s, c) = ((0.49f64).sin(), (0.49f64).cos());
    // d⁴ sin(x²) = (16 x⁴ - 12) sin x² - 48 x² cos x²
    expect_close(&fourth, &[(16.0 * 0.7f64.powi(4) - 12.0) * s - 48.0 * 0.49 * c]);
    for policy in POLICIES {
        let g = grad(grad(grad(|x: Var| {
            let s = scan(6).repeat((x, x), swing);
            s.0 * s.1
        })))
        .tape(policy);
        let plain = grad(grad(grad(|x: Var| {
            let s = (0..6).fold((x, x), |s, _| swing(s));
            s.0 * s.1
        })));
        expect_close(&g.call(&x).unwrap(), &reals(&plain.call(&x).unwrap()));
    }
}

#[test]
fn lanes_of_a_while_may_differ_in_length() {
    // Doubles until it is large: each start takes another number of steps, one takes none.
    let f = |x: Var| while_loop(x, |x| (x * x).sum().lt(30.0), |x| x * 1.5 + 0.1 * x.sin()).sum();
    let xs = Array::new([5, 2], uniform(3, 10, 0.1, 4.0)).unwrap();
    let xs = Array::stack(&[xs.row(0), xs.row(1), xs.row(2), xs.row(3), array([9.0, 9.0])]).unwrap();
    let steps: Vec<u64> = (0..5)
        .map(|i| {
            let mut x = reals(&xs.row(i));
            let mut n = 0;
            while x.iter().map(|x| x * x).sum::<f64>() < 30.0 {
                x.iter_mut().for_each(|x| *x = *x * 1.5 + 0.1 * x.sin());
                n += 1;
            }
            n
        })
        .collect();
    assert!(steps[4] == 0 && steps.iter().collect::<std::collections::BTreeSet<_>>().len() >= 3, "{steps:?}");
    expect_bits(&jit(vmap(f)).call(&xs).unwrap(), &lanes(&xs, |x| jit(f).call(x).unwrap()));
    let of_lanes = lanes(&xs, |x| grad(f).call(x).unwrap());
    for policy in [Tape::Store, SQRT] {
        expect_bits(&jit(vmap(grad(f))).tape(policy).call(&xs).unwrap(), &of_lanes);
        expect_bits(&grad(move |xs: Var| jit_free(f, xs)).tape(policy).call(&xs).unwrap(), &of_lanes);
    }
    // A lane that has ended keeps its state, which no inverse can tell from a step: whole steps are reversed.
    let until = |s: Var| while_loop((s.index(0, 0), s.index(0, 1)), |(x, _)| x.lt(2.0), swing).0;
    let xs = Array::new([4, 2], vec![0.4, 2.5, 1.8, 2.2, 3.0, 1.0, -0.5, 2.9]).unwrap();
    let of_lanes = lanes(&xs, |x| grad(until).call(x).unwrap());
    for policy in POLICIES {
        expect_bits(&jit(vmap(grad(until))).tape(policy).call(&xs).unwrap(), &of_lanes);
    }
    // A step that is one update for each part of the state is reversed with a bit for each lane, its own counter too.
    let counted = |s: Var| {
        let start = (s.index(0, 0), s.index(0, 1), constant(&array(0_i64)));
        let step =
            |(x, v, i): (Var, Var, Var)| (x + 0.3 * v / (1.0 + i.convert(DType::F64)).sqrt(), v, i + 1);
        while_loop(start, |(x, _, _)| x.lt(2.0), step).0
    };
    let of_lanes = lanes(&xs, |x| grad(counted).call(x).unwrap());
    for policy in POLICIES {
        expect_bits(&jit(vmap(grad(counted))).tape(policy).call(&xs).unwrap(), &of_lanes);
    }
    // With more than one update it cannot tell how far a lane's own counter was.
    let coupled = |s: Var| {
        let start = (s.index(0, 0), s.index(0, 1), constant(&array(0_i64)));
        let step = |(x, v, i): (Var, Var, Var)| {
            let (x, v) = swing((x, v));
            (x, v + 0.01 * i.convert(DType::F64), i + 1)
        };
        while_loop(start, |(x, _, _)| x.lt(2.0), step).0
    };
    expect_bits(
        &jit(vmap(grad(coupled))).tape(SQRT).call(&xs).unwrap(),
        &lanes(&xs, |x| grad(coupled).tape(Tape::Reverse).call(x).unwrap()),
    );
    let e = jit(vmap(grad(coupled))).tape(Tape::Reverse).call(&xs).unwrap_err().to_string();
    assert!(
        e.contains("cannot be reversed") && e.contains("Checkpoint::Sqrt") && e.contains("nesting.rs"),
        "{e}"
    );
    // Where all lanes end together, nothing is kept back.
    let together = same_under_all(|policy| jit(vmap(grad(swing_while(9)))).tape(policy).call(&xs).unwrap());
    expect_bits(&together, &lanes(&xs, |x| grad(swing_while(9)).call(x).unwrap()));
    let v = array([0.5, -0.25]);
    let second = |s: Var| hvp(until).at(s, &constant(&v));
    expect_bits(&jit(vmap(second)).call(&xs).unwrap(), &lanes(&xs, |x| hvp(until).call(x, &v).unwrap()));
}

/// The sum of `f` over the rows.
fn jit_free(f: impl Fn(Var) -> Var + 'static, xs: Var) -> Var {
    use retrograde_core::trace::function::Function;
    vmap(f).apply((xs,)).sum()
}

#[test]
fn grad_of_vmap() {
    let w = array(uniform(4, 3, -1.0, 1.0));
    let xs = Array::new([4, 3], uniform(5, 12, -1.0, 1.0)).unwrap();
    // Σ_i tanh(w·x_i), by the shared w (a capture of the mapped function) and by the xs.
    let f = |w: Var, xs: Var| {
        use retrograde_core::trace::function::Function;
        vmap(move |x: Var| (w * x).sum().tanh()).apply((xs,)).sum()
    };
    let slopes: Vec<f64> = (0..4)
        .map(|i| {
            let t = reals(&xs.row(i)).iter().zip(reals(&w)).map(|(x, w)| x * w).sum::<f64>().tanh();
            1.0 - t * t
        })
        .collect();
    let by_w: Vec<f64> = (0..3).map(|k| (0..4).map(|i| slopes[i] * reals(&xs)[3 * i + k]).sum()).collect();
    let by_xs: Vec<f64> = (0..12).map(|k| slopes[k / 3] * reals(&w)[k % 3]).collect();
    expect_close(&grad(f).call((&w, &xs)).unwrap(), &by_w);
    expect_close(&grad(f).wrt::<1>().call((&w, &xs)).unwrap(), &by_xs);
    // vmap of vmap, and of its gradient.
    let outer = |x: Var, y: Var| x.sin() * y;
    let grid = |xs: Var, ys: Var| {
        use retrograde_core::trace::function::Function;
        vmap(move |x: Var| vmap(move |y: Var| outer(x, y)).apply((ys,))).apply((xs,))
    };
    let (xs, ys) = (array([0.1, 0.2]), array([1.0, 2.0, 3.0]));
    let found = jit(grid).call((&xs, &ys)).unwrap();
    let expected: Vec<f64> =
        [0.1f64, 0.2].iter().flat_map(|x| [1.0, 2.0, 3.0].map(|y| x.sin() * y)).collect();
    expect_close(&found, &expected);
    let slope = grad(move |xs: Var, ys: Var| grid(xs, ys).sum()).call((&xs, &ys)).unwrap();
    expect_close(&slope, &[6.0 * 0.1f64.cos(), 6.0 * 0.2f64.cos()]);
}

#[test]
fn jvp_of_vjp() {
    // f = Σ x³: the gradient is 3 x², its derivative along v is 6 x v; also through the pullback with free cotangents.
    let x = array([0.5, -1.5]);
    let v = array([2.0, 3.0]);
    let (g, g_dot) = jvp(|x: Var| grad(|x: Var| (x * x * x).sum()).at(x)).call(&x, &v).unwrap();
    expect_close(&g, &[0.75, 6.75]);
    expect_close(&g_dot, &[6.0, -27.0]);
    let (value, tangent) = jvp(|x: Var| jvp(|x: Var| x * x * x).at(x, &(2.0 * x)).1[0]).call(&x, &v).unwrap();
    expect_close(&value, &[6.0 * 0.125, 6.0 * -3.375]);
    expect_close(&tangent, &[18.0 * 0.25 * 2.0, 18.0 * 2.25 * 3.0]);
    let door = vjp(|x: Var| (x * x, x.sum()));
    let ((squares, total), pullback) = door.call(&x).unwrap();
    expect_close(&squares, &[0.25, 2.25]);
    expect_close(&total, &[-1.0]);
    expect_close(&pullback.call(&(array([1.0, 10.0]), array(100.0))).unwrap(), &[101.0, 70.0]);
    expect_close(&pullback.call(&(array([0.0, 0.0]), array(1.0))).unwrap(), &[1.0, 1.0]);
    // vjp of jvp: reverse through forward.
    let door = vjp(|x: Var| jvp(|x: Var| x * x * x).at(x, &x).1[0]);
    let (_, pullback) = door.call(&x).unwrap();
    expect_close(&pullback.call(&array([1.0, 1.0])).unwrap(), &[9.0 * 0.25, 9.0 * 2.25]);
    // Both modes of the jacobian, of a function of other shape than its argument.
    let f = |x: Var| {
        (x.spread([3, 2]) * constant(&Array::new([3, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap())).sin()
    };
    let (a, b) = (jacobian(f).call(&x).unwrap(), jacobian(f).forward().call(&x).unwrap());
    assert_eq!(a.shape().to_vec(), [3, 2, 2]);
    expect_close(&a, &reals(&b));
}

#[test]
fn cond_inside_scan_inside_grad() {
    // Steps left or right by the sign of the state; the branches capture an outer value each.
    let f = |x: Var, c: Var| {
        let twice = 2.0 * c;
        scan(6).repeat(x, move |x| cond(x.gt(0.0), move |x| x - c * x.sin(), move |x| x * x + twice, x))
    };
    let by_hand = |x: f64, c: f64| {
        let (mut s, mut dx, mut dc) = (x, 1.0, 0.0);
        for _ in 0..6 {
            if s > 0.0 {
                (dx, dc) = (dx - c * s.cos() * dx, dc - s.sin() - c * s.cos() * dc);
                s -= c * s.sin();
            } else {
                (dx, dc) = (2.0 * s * dx, 2.0 * s * dc + 2.0);
                s = s * s + 2.0 * c;
            }
        }
        (s, dx, dc)
    };
    let xs = array([0.9, -0.6, 0.2, -1.3]);
    for i in 0..4 {
        for c in [0.8, 1.7, -0.4] {
            let (x, shift) = (xs.row(i), array(c));
            let (value, dx, dc) = by_hand(reals(&x)[0], c);
            let (v, g) = value_and_grad(f).call((&x, &shift)).unwrap();
            expect_close(&v, &[value]);
            expect_close(&g, &[dx]);
            expect_close(&grad(f).wrt::<1>().call((&x, &shift)).unwrap(), &[dc]);
            expect_bits(&grad(f).tape(SQRT).call((&x, &shift)).unwrap(), &g);
        }
    }
    // A predicate per lane.
    let c = array(1.7);
    let mapped = jit(vmap(grad(|x: Var| f(x, constant(&c))))).call(&xs).unwrap();
    expect_bits(&mapped, &lanes(&xs, |x| grad(f).call((x, &c)).unwrap()));
}

#[test]
fn loops_inside_cond_and_loops() {
    // A while inside a cond: the branch that is not taken runs no step.
    let branches = |x: Var| {
        cond(
            x.gt(0.0),
            |x| while_loop(x, |x| x.lt(10.0), |x| x * x + 1.0),
            |x| scan(3).repeat(x, |x| x * x - 0.5),
            x,
        )
    };
    let slope = |x: f64| {
        let (mut x, mut d, positive) = (x, 1.0, x > 0.0);
        if positive {
            while x < 10.0 {
                (x, d) = (x * x + 1.0, 2.0 * x * d);
            }
        } else {
            (0..3).for_each(|_| (x, d) = (x * x - 0.5, 2.0 * x * d));
        }
        d
    };
    for x in [0.5, -0.3, 12.0] {
        expect_close(&grad(branches).call(&array(x)).unwrap(), &[slope(x)]);
        expect_bits(
            &grad(branches).tape(SQRT).call(&array(x)).unwrap(),
            &grad(branches).call(&array(x)).unwrap(),
        );
    }
    // A while inside a scan, of another length in every step.
    let f = |x: Var| {
        scan(4).repeat(x, |x| while_loop(x, |x| x.lt(5.0), |x| x * 1.7 + 0.1 * x.sin()) - 4.9 + 0.1 * x * x)
    };
    let slope = |x: f64| {
        let (mut x, mut d) = (x, 1.0);
        for _ in 0..4 {
            let (mut y, mut dy) = (x, d);
            while y < 5.0 {
                (y, dy) = (y * 1.7 + 0.1 * y.sin(), (1.7 + 0.1 * y.cos()) * dy);
            }
            (x, d) = (y - 4.9 + 0.1 * x * x, dy + 0.2 * x * d);
        }
        d
    };
    let one = array(1.0);
    for x in [0.3, 1.9] {
        let at = array(x);
        expect_close(&grad(f).call(&at).unwrap(), &[slope(x)]);
        expect_bits(&grad(f).tape(SQRT).call(&at).unwrap(), &grad(f).call(&at).unwrap());
        let second = hvp(f).call(&at, &one).unwrap();
        expect_close(&hvp(f).reverse_over_forward().call(&at, &one).unwrap(), &reals(&second));
        expect_bits(&hvp(f).tape(SQRT).call(&at, &one).unwrap(), &second);
        expect_close(&grad(grad(f)).call(&at).unwrap(), &reals(&second));
        let expected = (slope(x + 1e-6) - slope(x - 1e-6)) / 2e-6;
        assert!(
            (reals(&second)[0] - expected).abs() < 1e-6 * expected.abs(),
            "{second:?}, expected {expected}"
        );
    }
    let xs = array([0.3, 1.9, 4.0]);
    expect_bits(&jit(vmap(grad(f))).call(&xs).unwrap(), &lanes(&xs, |x| grad(f).call(x).unwrap()));
    expect_bits(
        &jit(vmap(grad(branches))).call(&xs).unwrap(),
        &lanes(&xs, |x| grad(branches).call(x).unwrap()),
    );
    // A while inside a while.
    let f =
        |x: Var| while_loop(x, |x| x.lt(40.0), |x| while_loop(x, |x| x.lt(9.0), |x| x * x + 0.7) * 1.5 + x);
    let slope = |x: f64| {
        let (mut x, mut d) = (x, 1.0);
        while x < 40.0 {
            let (mut y, mut dy) = (x, d);
            while y < 9.0 {
                (y, dy) = (y * y + 0.7, 2.0 * y * dy);
            }
            (x, d) = (1.5 * y + x, 1.5 * dy + d);
        }
        d
    };
    for x in [0.1, 2.0, 20.0] {
        expect_close(&grad(f).call(&array(x)).unwrap(), &[slope(x)]);
        expect_bits(&grad(f).tape(SQRT).call(&array(x)).unwrap(), &grad(f).call(&array(x)).unwrap());
    }
}

#[test]
fn scans_inside_scans_with_policies_of_their_own() {
    let f = |outer: Option<Tape>, inner: Option<Tape>| {
        let with = |config: ScanConfig, policy: Option<Tape>| policy.map_or(config, |p| config.tape(p));
        move |s: Var, c: Var| {
            let start = (s.index(0, 0), s.index(0, 1));
            let (x, v) = with(scan(5), outer).repeat(start, |(x, v)| {
                let (x, v) = with(scan(4), inner).repeat((x, v), |(x, v)| {
                    let x = x + 0.1 * v;
                    let v = v - 0.1 * c * x.sin();
                    (x, v)
                });
                (x, v)
            });
            x * v
        }
    };
    let (s, c) = (array([0.4, 1.1]), array(1.3));
    let reference = grad(f(None, None)).call((&s, &c)).unwrap();
    let by_c = grad(f(None, None)).wrt::<1>().call((&s, &c)).unwrap();
    let v = array([0.5, 0.25]);
    let second = hvp(f(None, None)).call((&s, &c), &v).unwrap();
    let plain = grad(|s: Var| {
        let (x, v) = (0..20).fold((s.index(0, 0), s.index(0, 1)), |(x, v), _| {
            let x = x + 0.1 * v;
            let v = v - 0.1 * 1.3 * x.sin();
            (x, v)
        });
        x * v
    });
    expect_close(&reference, &reals(&plain.call(&s).unwrap()));
    for outer in POLICIES {
        for inner in POLICIES {
            let own = f(Some(outer), Some(inner));
            // An inner loop has no exact inverse, so whole steps of the outer one are reversed.
            expect_bits(&grad(own).call((&s, &c)).unwrap(), &reference);
            expect_bits(&grad(own).wrt::<1>().call((&s, &c)).unwrap(), &by_c);
            expect_bits(&hvp(own).call((&s, &c), &v).unwrap(), &second);
        }
    }
}

/// softplus with the rule d = sigmoid, stable for all x.
fn softplus(x: Var) -> Var {
    custom_jvp(
        &Law::Exact,
        x,
        |x| x.max(0.0) + ((-(x.max(-x))).exp() + 1.0).log(),
        |x, x_dot| (x.max(0.0) + ((-(x.max(-x))).exp() + 1.0).log(), x_dot / ((-x).exp() + 1.0)),
    )
}

/// x ↦ x³ with a reverse rule that keeps 3 x².
fn cube(x: Var) -> Var {
    custom_vjp(&Law::Exact, x, |x| x * x * x, |x| (x * x * x, 3.0 * x * x), |slope, y_bar| slope * y_bar)
}

#[test]
fn custom_derivatives_nest() {
    let xs = array([-2.0, -0.3, 0.4, 3.0]);
    let v = array([1.0, 2.0, -1.0, 0.5]);
    let sigmoid: Vec<f64> = reals(&xs).iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect();
    let slope = |x: f64| 1.0 / (1.0 + (-x).exp());
    let second: Vec<f64> = reals(&xs).iter().zip(reals(&v)).map(|(&x, v)| slope(x) * slope(-x) * v).collect();
    let f = |x: Var| softplus(x).sum();
    expect_close(&grad(f).call(&xs).unwrap(), &sigmoid);
    expect_close(&jvp(softplus).call(&xs, &array([1.0; 4])).unwrap().1, &sigmoid);
    expect_close(&hvp(f).call(&xs, &v).unwrap(), &second);
    expect_close(&hvp(f).reverse_over_forward().call(&xs, &v).unwrap(), &second);
    expect_bits(&jit(vmap(softplus)).call(&xs).unwrap(), &lanes(&xs, |x| jit(softplus).call(x).unwrap()));
    expect_bits(
        &jit(vmap(grad(softplus))).call(&xs).unwrap(),
        &lanes(&xs, |x| grad(softplus).call(x).unwrap()),
    );
    let third = lanes(&xs, |x| grad(grad(grad(softplus))).call(x).unwrap());
    let expected: Vec<f64> =
        reals(&xs).iter().map(|&x| slope(x) * slope(-x) * (1.0 - 2.0 * slope(x))).collect();
    expect_close(&third, &expected);

    let f = |x: Var| cube(x).sum();
    let of = |g: fn(f64) -> f64| reals(&xs).iter().map(|&x| g(x)).collect::<Vec<f64>>();
    let twice: Vec<f64> = reals(&xs).iter().zip(reals(&v)).map(|(x, v)| 6.0 * x * v).collect();
    expect_close(&grad(f).call(&xs).unwrap(), &of(|x| 3.0 * x * x));
    expect_close(&jvp(cube).call(&xs, &array([1.0; 4])).unwrap().1, &of(|x| 3.0 * x * x));
    expect_close(&hvp(f).call(&xs, &v).unwrap(), &twice);
    expect_close(&hvp(f).reverse_over_forward().call(&xs, &v).unwrap(), &twice);
    expect_bits(&jit(vmap(grad(cube))).call(&xs).unwrap(), &lanes(&xs, |x| grad(cube).call(x).unwrap()));
    expect_close(&lanes(&xs, |x| grad(grad(grad(cube))).call(x).unwrap()), &[6.0; 4]);
    let h = hessian(f).call(&xs).unwrap();
    let diagonal: Vec<f64> =
        (0..16).map(|k| if k / 4 == k % 4 { 6.0 * reals(&xs)[k / 4] } else { 0.0 }).collect();
    expect_close(&h, &diagonal);

    // Inside a loop, under every policy that fits.
    let looped = |x: Var| scan(4).repeat(x, |x| 0.5 * softplus(x) - 0.1 * cube(x)).sum();
    let g = grad(looped).call(&xs).unwrap();
    expect_bits(&grad(looped).tape(SQRT).call(&xs).unwrap(), &g);
    let unrolled = |x: Var| (0..4).fold(x, |x, _| 0.5 * (x.exp() + 1.0).log() - 0.1 * x * x * x).sum();
    expect_close(&g, &reals(&grad(unrolled).call(&xs).unwrap()));
    expect_close(&hvp(looped).call(&xs, &v).unwrap(), &reals(&hvp(unrolled).call(&xs, &v).unwrap()));
}

#[test]
fn custom_rules_may_hold_loops() {
    // √a by Newton steps; the rule differentiates the same loop, primal and tangent together.
    let newton = |a: Var| scan(30).repeat(a, |z| 0.5 * (z + a / z));
    let root = move |a: Var| {
        custom_jvp(&Law::Exact, a, newton, |a, a_dot| {
            let (y, dots) = jvp(newton).at(a, &a_dot);
            (y, dots[0])
        })
    };
    let a = array(2.0);
    let d = [0.5 / 2f64.sqrt(), -0.25 / 2f64.powf(1.5), 0.375 / 2f64.powf(2.5)];
    expect_close(&jvp(root).call(&a, &array(1.0)).unwrap().1, &d[..1]);
    expect_close(&grad(root).call(&a).unwrap(), &d[..1]);
    expect_close(&grad(grad(root)).call(&a).unwrap(), &d[1..2]);
    expect_close(&grad(grad(grad(root))).call(&a).unwrap(), &d[2..]);
    expect_close(&hvp(root).call(&a, &array(1.0)).unwrap(), &d[1..2]);
    // A reverse rule whose backward half is itself a gradient of a loop.
    let by_vjp = move |a: Var| {
        custom_vjp(
            &Law::Exact,
            a,
            newton,
            move |a| (newton(a), a),
            move |a, y_bar| grad(newton).at(a) * y_bar,
        )
    };
    expect_close(&grad(by_vjp).call(&a).unwrap(), &d[..1]);
    expect_close(&jvp(by_vjp).call(&a, &array(1.0)).unwrap().1, &d[..1]);
    expect_close(&grad(grad(by_vjp)).call(&a).unwrap(), &d[1..2]);
}

/// The identity, whose cotangents are clipped to ±1.
fn clip(x: Var) -> Var {
    custom_vjp(
        &Law::Inexact("cotangents are clipped to ±1".into()),
        x,
        |x| x,
        |x| (x, Vec::<Var>::new()),
        |_, y_bar| -((-y_bar.max(-1.0)).max(-1.0)),
    )
}

/// The identity; a large cotangent goes through a branch and a loop, neither linear.
fn branch(x: Var) -> Var {
    custom_vjp(
        &Law::Inexact("large cotangents are halved until they are small".into()),
        x,
        |x| x,
        |x| (x, Vec::<Var>::new()),
        |_, y_bar| {
            let large = (y_bar * y_bar).sum().gt(4.0);
            cond(large, |y: Var| scan(2).repeat(y, |y| y * y * 0.5), |y| y, y_bar)
        },
    )
}

#[test]
fn a_nonlinear_backward_half_is_for_reverse_mode() {
    let x = array([0.3, -2.0, 5.0]);
    let clipped = |x: Var| (clip(x) * clip(x) * 0.5).sum();
    // Two uses, each with a clipped cotangent of x / 2: they are not merged into one.
    expect_close(&grad(clipped).call(&x).unwrap(), &[0.3, -2.0, 2.0]);
    let f = |x: Var| (clip(x) * constant(&array([0.3, -2.0, 5.0]))).sum();
    expect_close(&grad(f).call(&x).unwrap(), &[0.3, -1.0, 1.0]);
    expect_bits(&jit(vmap(grad(|x: Var| 3.0 * clip(x)))).call(&x).unwrap(), &array([1.0; 3]));
    // Reverse over reverse and forward over reverse differentiate the clipped gradient.
    let g = |x: Var| grad(|x: Var| (clip(x) * x).sum()).at(x);
    let (value, tangent) = jvp(g).call(&x, &array([1.0; 3])).unwrap();
    expect_close(&value, &[0.6, -3.0, 6.0]);
    expect_close(&tangent, &[2.0, 1.0, 1.0]);
    expect_close(&grad(move |x: Var| g(x).sum()).call(&x).unwrap(), &[2.0, 1.0, 1.0]);
    // Inside a loop too.
    let looped = |x: Var| scan(3).repeat(x, |x| 3.0 * clip(x)).sum();
    expect_close(&grad(looped).call(&x).unwrap(), &[1.0; 3]);
    expect_close(&grad(|x: Var| branch(x).sum()).call(&array([1.0, 2.0])).unwrap(), &[1.0, 1.0]);
    expect_close(
        &grad(|x: Var| (3.0 * branch(x)).sum()).call(&array([1.0, 2.0])).unwrap(),
        &[10.125, 10.125],
    );
    // Forward mode has no answer, and says so.
    for e in [
        jvp(clip).call(&x, &x).unwrap_err(),
        jvp(branch).call(&x, &x).unwrap_err(),
        jvp(|x: Var| scan(3).repeat(x, clip)).call(&x, &x).unwrap_err(),
        jit(vmap_of_jvp).call(&x).unwrap_err(),
    ] {
        let e = e.to_string();
        assert!(e.contains("custom_vjp") && e.contains("linear") && e.contains("reverse mode"), "{e}");
    }
}

/// The identity, clipped on the way back as [`clip`] is, and left alone in forward mode.
fn clip_backwards(x: Var) -> Var {
    let none = Vec::<Var>::new;
    let law = Law::Inexact("cotangents are clipped to ±1".into());
    custom_rules(&law, x, |x| x, |_, x_dot| x_dot, |x| (x, none()), |_, y_bar: Var| y_bar.clamp(-1.0, 1.0))
}

#[test]
fn a_rule_of_its_own_for_each_mode() {
    let x = array([0.3, -2.0, 5.0]);
    let weights = || constant(&array([0.3, -2.0, 5.0]));
    // Reverse mode as without one.
    let f = |x: Var| (clip_backwards(x) * weights()).sum();
    expect_close(&grad(f).call(&x).unwrap(), &[0.3, -1.0, 1.0]);
    expect_bits(&jit(vmap(grad(|x: Var| 3.0 * clip_backwards(x)))).call(&x).unwrap(), &array([1.0; 3]));
    let looped = |x: Var| scan(3).repeat(x, |x| 3.0 * clip_backwards(x));
    let slope = same_under_all(|policy| grad(move |x: Var| looped(x).sum()).tape(policy).call(&x).unwrap());
    expect_close(&slope, &[1.0; 3]);
    // Forward mode by its own, also in loops, batches and in a forward mode of it.
    let ones = array([1.0; 3]);
    expect_bits(&jvp(|x: Var| clip_backwards(x) * weights()).call(&x, &ones).unwrap().1, &x);
    expect_bits(&jvp(looped).call(&x, &ones).unwrap().1, &array([27.0; 3]));
    let batched = |x: Var| {
        use retrograde_core::trace::function::Function;
        vmap(|x: Var| jvp(clip_backwards).at(x, &x).1[0]).apply((x,))
    };
    expect_bits(&jit(batched).call(&x).unwrap(), &x);
    let twice = |x: Var| jvp(|x: Var| clip_backwards(x * x)).at(x, &(x * 0.0 + 1.0)).1[0];
    expect_bits(&jvp(twice).call(&x, &ones).unwrap().1, &array([2.0; 3]));
    // Equal uses are not one: two clamps, not the clamp of a sum.
    let both = |x: Var| (3.0 * clip_backwards(x) + 3.0 * clip_backwards(x)).sum();
    expect_bits(&grad(both).call(&x).unwrap(), &array([2.0; 3]));
    // Over reverse mode, both modes differentiate the clipped gradient: of x², clipped where |2x| > 1.
    let g = |x: Var| {
        grad(|x: Var| {
            let y = clip_backwards(x);
            (y * y).sum()
        })
        .at(x)
    };
    expect_close(&jvp(g).call(&x, &ones).unwrap().1, &[2.0, 0.0, 0.0]);
    expect_close(&grad(move |x: Var| g(x).sum()).call(&x).unwrap(), &[2.0, 0.0, 0.0]);
    // A forward rule that is not linear is a mistake.
    let law = Law::Exact;
    let broken = |x: Var| {
        custom_rules(&law, x, Var::exp, |x, d| x.exp() * d * d, |x| (x.exp(), x), |x, y| x.exp() * y)
    };
    let e = jvp(broken).call(&x, &x).unwrap_err().to_string();
    assert!(e.contains("custom_rules: the rule is not linear in the tangent"), "{e}");
}

/// A key among the arguments of a rule: no cotangent is asked for it, and the rule reads it both ways.
#[test]
fn a_rule_may_read_a_key() {
    let masked = |x: Var, key: Var| {
        let mask = |key: Var| retrograde_core::trace::var::random_bits(key, [50], 1).convert(DType::F64);
        custom_vjp(
            &Law::Exact,
            (x, key),
            |(x, key)| x * mask(key),
            |(x, key)| (x * mask(key), key),
            |key, y_bar: Var| (y_bar * mask(key), key),
        )
    };
    let (x, key) = (array(uniform(1, 50, 1.0, 2.0)), Key::from_seed(7).to_array());
    let slope = grad(move |x: Var, key: Var| masked(x, key).sum()).call((&x, &key)).unwrap();
    let kept = slope.to_vec::<f64>().unwrap().iter().filter(|g| **g == 1.0).count();
    assert!((10..40).contains(&kept));
    let y = jit(masked).call((&x, &key)).unwrap();
    let expected = jit(|x: Var, mask: Var| x * mask).call((&x, &slope)).unwrap();
    expect_bits(&y, &expected);
}

fn vmap_of_jvp(x: Var) -> Var {
    use retrograde_core::trace::function::Function;
    vmap(|x: Var| jvp(clip).at(x, &x).1[0]).apply((x,))
}

#[test]
fn recomputed_steps_are_counted() {
    let s = array([0.4, 1.1]);
    for n_steps in [1usize, 9, 10, 100, 101] {
        let door = value_and_grad(swing_scan(n_steps)).tape(SQRT);
        door.call(&s).unwrap();
        let report = door.last_tape();
        let segment = (n_steps as f64).sqrt().ceil() as u64;
        assert!(report.recomputed_steps <= n_steps as u64, "{n_steps} steps: {report}");
        assert!(report.recomputed_steps + 2 * segment >= n_steps as u64, "{n_steps} steps: {report}");
        assert_eq!(report.inverse_steps, 0);
        let plain = value_and_grad(swing_scan(n_steps));
        plain.call(&s).unwrap();
        assert_eq!((plain.last_tape().recomputed_steps, plain.last_tape().inverse_steps), (0, 0));
        let back = value_and_grad(swing_scan(n_steps)).tape(Tape::Reverse);
        back.call(&s).unwrap();
        assert_eq!((back.last_tape().recomputed_steps, back.last_tape().inverse_steps), (0, n_steps as u64));
        if n_steps == 100 {
            assert_eq!(report.recomputed_steps, 90);
            assert!(
                report.tape_bytes() < plain.last_tape().tape_bytes() / 4,
                "{report}\n{}",
                plain.last_tape()
            );
        }
    }
}

#[test]
fn reversed_scans() {
    // s ← s·c + x from the last x to the first: the ys stay in the order of the xs.
    let run = |c: Var, xs: Var| {
        scan_over().reversed().run(full(DType::F64, [], 0.5), xs, move |s, x| (s * c + x, s))
    };
    let (c, xs) = (array(0.7), array([1.0, 2.0, 4.0]));
    let (last, ys) = jit(run).call((&c, &xs)).unwrap();
    let (s1, s2) = (0.5 * 0.7 + 4.0, (0.5 * 0.7 + 4.0) * 0.7 + 2.0);
    expect_close(&last, &[s2 * 0.7 + 1.0]);
    expect_close(&ys, &[s2, s1, 0.5]);
    let f = move |c: Var, xs: Var| {
        let (last, ys) = run(c, xs);
        last + (ys * &array([1.0, 10.0, 100.0])).sum()
    };
    // By c: last' = 3 c² s₀ + 2 c x₂ + x₁, ys' = (2 c s₀ + x₂, s₀, 0).
    let of_c = 3.0 * 0.49 * 0.5 + 2.0 * 0.7 * 4.0 + 2.0 + (2.0 * 0.7 * 0.5 + 4.0) + 10.0 * 0.5;
    let of_xs = [1.0, 0.7 + 1.0, 0.49 + 0.7 + 10.0];
    for policy in [Tape::Store, SQRT] {
        expect_close(&grad(f).tape(policy).call((&c, &xs)).unwrap(), &[of_c]);
        expect_close(&grad(f).tape(policy).wrt::<1>().call((&c, &xs)).unwrap(), &of_xs);
    }
    let turned = |s: Var| scan(20).reversed().repeat((s.index(0, 0), s.index(0, 1)), swing).0;
    let g = same_under_all(|policy| grad(turned).tape(policy).call(&array([0.4, 1.1])).unwrap());
    expect_bits(&g, &grad(swing_scan(20)).call(&array([0.4, 1.1])).unwrap());
}

#[test]
fn loops_of_no_steps() {
    let empty = Array::zeros(DType::F64, [0, 2]);
    let f = |s: Var, xs: Var| {
        let (s, ys) = scan_over().run(s, xs, |s, x| (s * x.sum(), s * x));
        s * s + ys.sum()
    };
    let s = array(3.0);
    for policy in [Tape::Store, SQRT] {
        expect_close(&grad(f).tape(policy).call((&s, &empty)).unwrap(), &[6.0]);
        let by_xs = grad(f).tape(policy).wrt::<1>().call((&s, &empty)).unwrap();
        assert_eq!(by_xs.shape().to_vec(), [0, 2]);
        expect_close(&hvp(f).tape(policy).call((&s, &empty), &s).unwrap(), &[6.0]);
    }
    for policy in POLICIES {
        expect_close(&grad(swing_scan(0)).tape(policy).call(&array([0.4, 1.1])).unwrap(), &[1.0, 0.0]);
        let never = |x: Var| while_loop((x, x), |(x, _)| x.lt(-1e9), swing).0;
        expect_close(&grad(never).tape(policy).call(&s).unwrap(), &[1.0]);
    }
    let mapped = jit(vmap(|s: Var| scan(0).repeat(s, |s| s * s))).call(&array([1.0, 2.0])).unwrap();
    expect_close(&mapped, &[1.0, 2.0]);
}

#[test]
fn captures_in_bodies_have_gradients() {
    // A parameter captured by the body of a scan, by a loop inside it, by the condition's branches and by a while.
    let f = |w: Var, x: Var| {
        let rate = w.index(0, 0);
        let (y, _) = scan(3).run(x, Vec::<Var>::new(), |x, _: Vec<Var>| {
            let inner = scan(2).repeat(x, |x| x + rate * x.sin());
            let kicked = cond(inner.gt(1.0), |x| x * w.index(0, 1), |x| x - rate, inner);
            (kicked, kicked)
        });
        let start = (y, full(DType::I64, [], 0.0));
        while_loop(start, |(_, k)| k.lt(2), |(y, k)| (y * rate + w.sum(), k + 1)).0
    };
    let by_hand = |w: [f64; 2], x: f64| {
        let mut y = x;
        for _ in 0..3 {
            (0..2).for_each(|_| y += w[0] * y.sin());
            y = if y > 1.0 { y * w[1] } else { y - w[0] };
        }
        (0..2).for_each(|_| y = y * w[0] + w[0] + w[1]);
        y
    };
    let (w, x) = ([0.3, 0.8], 0.6);
    let h = 1e-5;
    let slope = |k: usize| {
        let at =
            |t: f64| by_hand([w[0] + if k == 0 { t } else { 0.0 }, w[1] + if k == 1 { t } else { 0.0 }], x);
        (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h)
    };
    let (value, g) = value_and_grad(f).call((&array(w), &array(x))).unwrap();
    expect_close(&value, &[by_hand(w, x)]);
    for k in 0..2 {
        assert!((reals(&g)[k] - slope(k)).abs() < 1e-9, "{g:?}, expected {}", slope(k));
    }
    expect_bits(&grad(f).tape(SQRT).call((&array(w), &array(x))).unwrap(), &g);
    // The cotangent of a captured parameter under reversal: x += h v, v -= h p sin x.
    let loss = |p: Var| {
        let (x, v) = scan(40).repeat((full(DType::F64, [], 0.4), full(DType::F64, [], 1.1)), |(x, v)| {
            let x = x + 0.1 * v;
            let v = v - 0.1 * p * x.sin();
            (x, v)
        });
        x * v
    };
    let plain = grad(|p: Var| {
        let (x, v) = (0..40).fold((full(DType::F64, [], 0.4), full(DType::F64, [], 1.1)), |(x, v), _| {
            let x = x + 0.1 * v;
            let v = v - 0.1 * p * x.sin();
            (x, v)
        });
        x * v
    });
    let g = same_under_all(|policy| grad(loss).tape(policy).call(&array(1.3)).unwrap());
    expect_close(&g, &reals(&plain.call(&array(1.3)).unwrap()));
    // A front door inside a body captures too: gradient descent on a captured target.
    let descend = |target: Var| {
        scan(8).repeat(full(DType::F64, [], 0.0), |x| {
            x - 0.25 * grad(move |x: Var| (x - target) * (x - target)).at(x)
        })
    };
    expect_close(&grad(descend).call(&array(3.0)).unwrap(), &[1.0 - 0.5f64.powi(8)]);
}

#[test]
fn select_hides_what_is_not_taken() {
    // √ at a negative number is NaN: with its operand made harmless, no derivative of any order sees it.
    let x = array([4.0, -1.0]);
    let safe = |x: Var| {
        let inside = select(x.gt(0.0), x, full(DType::F64, [2], 1.0));
        select(x.gt(0.0), inside.sqrt(), 2.0 * x).sum()
    };
    expect_close(&grad(safe).call(&x).unwrap(), &[0.25, 2.0]);
    expect_close(&hvp(safe).call(&x, &array([1.0, 1.0])).unwrap(), &[-1.0 / 32.0, 0.0]);
}
