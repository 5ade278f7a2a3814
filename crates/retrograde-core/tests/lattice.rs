//! Lattice states: reversed with no bit kept, more accurate than plain floats; contraction keeps its information and no more.
#![allow(clippy::print_stdout, reason = "what was measured, beside what is asserted: shown with --nocapture")]

use retrograde_array::{Array, DType, array, ops};
use retrograde_core::ir::{parse, print};
use retrograde_core::prim::{Checkpoint, Prim, Tape};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{scan, scan_over};
use retrograde_core::trace::door::{grad, hvp, jit, value_and_grad, vmap};
use retrograde_core::trace::function::Function;
use retrograde_core::trace::lattice::{Contract, Lattice};
use retrograde_core::trace::var::constant;

const BODIES: usize = 8;
const STEP: f64 = 0.01;
const LATTICE: Lattice = Lattice { grid: 1.0 / (1_u64 << 57) as f64, range: 64.0 };
const SQRT: Tape = Tape::Checkpoint(Checkpoint::Sqrt);

/// A planetary disc: positions and velocities [3, 8], masses [8].
fn disc() -> (Array, Array, Array) {
    let (mut x, mut v, mut m) = (vec![0.0; 3 * BODIES], vec![0.0; 3 * BODIES], vec![1.0; BODIES]);
    for i in 1..BODIES {
        let (r, angle) = (1.0 + 0.35 * i as f64, 2.399963229728653 * i as f64);
        let speed = (1.0 / r).sqrt();
        (x[i], x[BODIES + i], x[2 * BODIES + i]) =
            (r * angle.cos(), r * angle.sin(), 0.01 * (i as f64).sin());
        (v[i], v[BODIES + i]) = (-speed * angle.sin(), speed * angle.cos());
        m[i] = 1e-6 * (1 + i % 3) as f64;
    }
    let matrix = |e: Vec<f64>| Array::new([3, BODIES], e).unwrap();
    (matrix(x), matrix(v), array(m))
}

fn acceleration(x: Var, m: Var) -> Var {
    let pairs = [3, BODIES, BODIES];
    let d = x.broadcast(pairs, &[0, 2]) - x.broadcast(pairs, &[0, 1]);
    let eye: Vec<f64> = (0..BODIES * BODIES).map(|k| if k % (BODIES + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let eye = constant(&Array::new([BODIES, BODIES], eye).unwrap());
    let r2 = (d * d).sum_axes(&[0]) + 1e-4 + eye;
    let weight = m.broadcast([BODIES, BODIES], &[1]) / (r2 * r2.sqrt());
    (d * weight.broadcast(pairs, &[1, 2])).sum_axes(&[2])
}

/// Positions and velocities after so many steps of leapfrog on the lattice.
fn orbit(n_steps: usize, (x, v): (Var, Var), m: Var) -> (Var, Var) {
    let (x, v) = scan(n_steps).repeat((LATTICE.at(x), LATTICE.at(v)), |(x, v)| {
        let x = x + 0.5 * STEP * v.value();
        let v = v + STEP * acceleration(x.value(), m);
        (x + 0.5 * STEP * v.value(), v)
    });
    (x.value(), v.value())
}

fn loss(n_steps: usize) -> impl Fn((Var, Var), Var) -> Var {
    move |state, m| {
        let (x, v) = orbit(n_steps, state, m);
        let w: Vec<f64> = (0..3 * BODIES).map(|k| ((k % BODIES + 3 * (k / BODIES)) as f64).cos()).collect();
        (x * &Array::new([3, BODIES], w).unwrap()).sum() + 0.5 * (v * v).sum()
    }
}

fn same(a: &(Array, Array), b: &(Array, Array)) -> bool {
    a.0.bits_eq(&b.0) && a.1.bits_eq(&b.1)
}

#[test]
fn a_lattice_is_reversed_with_no_bit_kept() {
    let (x, v, m) = disc();
    let state = (x, v);
    let n_steps = 10_000;
    let stored = value_and_grad(loss(n_steps)).tape(Tape::Store).call((&state, &m)).unwrap();
    let door = value_and_grad(loss(n_steps)).tape(Tape::Reverse);
    let reversed = door.call((&state, &m)).unwrap();
    assert!(reversed.0.bits_eq(&stored.0) && same(&reversed.1, &stored.1));
    let report = door.last_tape();
    assert_eq!(report.stack_bits(), 0);
    assert_eq!((report.inverse_steps, report.recomputed_steps), (n_steps as u64, 0));
    // Points and values of positions and velocities, at either end.
    assert!(report.tape_bytes() <= 2 * 4 * 3 * BODIES * 8, "{report}");
    assert!(report.notes.is_empty(), "{report}");
}

#[test]
fn gradients_and_hessian_products_agree_to_the_bit_under_every_policy() {
    let (x, v, m) = disc();
    let state = (x.clone(), v.clone());
    let mut first: Option<(Array, Array)> = None;
    for policy in [Tape::Store, Tape::Recompute, SQRT, Tape::Reverse] {
        let g = grad(loss(300)).tape(policy).call((&state, &m)).unwrap();
        assert!(same(&g, first.get_or_insert(g.clone())), "{policy} changes bits");
    }
    for reverse_over_forward in [false, true] {
        let mut first: Option<(Array, Array)> = None;
        for policy in [Tape::Store, Tape::Reverse] {
            let mut door = hvp(loss(1000)).tape(policy);
            if reverse_over_forward {
                door = door.reverse_over_forward();
            }
            let product = door.call((&state, &m), &(v.clone(), x.clone())).unwrap();
            assert!(same(&product, first.get_or_insert(product.clone())), "{policy} changes bits");
        }
    }
    // With respect to the masses alone, the state is not differentiated.
    let mut first: Option<Array> = None;
    for policy in [Tape::Store, Tape::Reverse] {
        let g = grad(loss(300)).wrt::<1>().tape(policy).call((&state, &m)).unwrap();
        assert!(g.bits_eq(first.get_or_insert(g.clone())), "{policy} changes bits");
    }
}

/// To rounding: those of the same map in plain floats, second ones too.
#[test]
fn derivatives_of_every_order_are_those_of_plain_floats() {
    let (x, v, m) = disc();
    let state = (x.clone(), v.clone());
    let plain = |(x, v): (Var, Var), m: Var| {
        let step = |(x, v): (Var, Var)| {
            let x = x + 0.5 * STEP * v;
            let v = v + STEP * acceleration(x, m);
            (x + 0.5 * STEP * v, v)
        };
        let (x, v) = scan(100).repeat((x, v), step);
        let w: Vec<f64> = (0..3 * BODIES).map(|k| ((k % BODIES + 3 * (k / BODIES)) as f64).cos()).collect();
        (x * &Array::new([3, BODIES], w).unwrap()).sum() + 0.5 * (v * v).sum()
    };
    let near = |a: &(Array, Array), b: &(Array, Array)| {
        let all = |s: &(Array, Array)| [s.0.to_vec::<f64>().unwrap(), s.1.to_vec::<f64>().unwrap()].concat();
        let (a, b) = (all(a), all(b));
        let size = b.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        size > 0.1 && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-11 * size)
    };
    let (on_lattice, in_floats) = (grad(loss(100)).call((&state, &m)), grad(plain).call((&state, &m)));
    assert!(near(&on_lattice.unwrap(), &in_floats.unwrap()));
    let along = (v, x);
    for reverse_over_forward in [false, true] {
        let (mut of_lattice, mut of_floats) = (hvp(loss(100)), hvp(plain));
        if reverse_over_forward {
            (of_lattice, of_floats) = (of_lattice.reverse_over_forward(), of_floats.reverse_over_forward());
        }
        let found = of_lattice.call((&state, &m), &along).unwrap();
        assert!(near(&found, &of_floats.call((&state, &m), &along).unwrap()), "{reverse_over_forward}");
    }
}

/// An unevaluated sum of two floats, about 106 bits: the reference for trajectories.
#[derive(Clone, Copy, Default)]
struct Double(f64, f64);

impl Double {
    fn quick(a: f64, b: f64) -> Double {
        let sum = a + b;
        Double(sum, b - (sum - a))
    }
    fn plus(self, other: Double) -> Double {
        let sum = self.0 + other.0;
        let of_other = sum - self.0;
        let lost = (self.0 - (sum - of_other)) + (other.0 - of_other);
        Double::quick(sum, lost + (self.1 + other.1))
    }
    fn minus(self, other: Double) -> Double {
        self.plus(Double(-other.0, -other.1))
    }
    fn times(self, other: Double) -> Double {
        let product = self.0 * other.0;
        let lost = self.0.mul_add(other.0, -product);
        Double::quick(product, lost + (self.0 * other.1 + self.1 * other.0))
    }
    fn over(self, other: Double) -> Double {
        let first = self.0 / other.0;
        let rest = self.minus(other.times(Double(first, 0.0)));
        let second = rest.0 / other.0;
        let rest = rest.minus(other.times(Double(second, 0.0)));
        Double::quick(first, second).plus(Double(rest.0 / other.0, 0.0))
    }
    fn sqrt(self) -> Double {
        // One step of Newton's method from the root of the leading part.
        let root = Double(self.0.sqrt(), 0.0);
        let rest = self.minus(root.times(root));
        root.plus(Double(rest.0 / (2.0 * root.0), 0.0))
    }
}

#[test]
fn the_reference_is_good_to_thirty_digits() {
    let (two, three) = (Double(2.0, 0.0), Double(3.0, 0.0));
    for (found, expected) in [(two.sqrt().times(two.sqrt()), two), (two.over(three).times(three), two)] {
        let error = found.minus(expected);
        assert!((error.0 + error.1).abs() < 1e-30, "{error:?}", error = (error.0, error.1));
    }
}

/// Positions after so many steps of leapfrog, with nearly no rounding.
fn reference(n_steps: usize) -> Vec<Double> {
    let (x, v, m) = disc();
    let doubles =
        |a: &Array| a.to_vec::<f64>().unwrap().into_iter().map(|x| Double(x, 0.0)).collect::<Vec<_>>();
    let (mut x, mut v, m) = (doubles(&x), doubles(&v), m.to_vec::<f64>().unwrap());
    let drift = |x: &mut [Double], v: &[Double]| {
        x.iter_mut().zip(v).for_each(|(x, v)| *x = x.plus(Double(0.5 * STEP, 0.0).times(*v)));
    };
    for _ in 0..n_steps {
        drift(&mut x, &v);
        for i in 0..BODIES {
            for j in (0..BODIES).filter(|&j| j != i) {
                let d = [0, 1, 2].map(|k| x[k * BODIES + j].minus(x[k * BODIES + i]));
                let r2 = d.iter().fold(Double(1e-4, 0.0), |sum, d| sum.plus(d.times(*d)));
                let weight =
                    Double(m[j] * STEP, m[j].mul_add(STEP, -(m[j] * STEP))).over(r2.times(r2.sqrt()));
                for k in 0..3 {
                    v[k * BODIES + i] = v[k * BODIES + i].plus(weight.times(d[k]));
                }
            }
        }
        drift(&mut x, &v);
    }
    x
}

#[test]
fn a_lattice_is_more_accurate_than_plain_floats() {
    let n_steps = 1000;
    let (x, v, m) = disc();
    let state = (x, v);
    let plain = move |(x, v): (Var, Var), m: Var| {
        let step = |(x, v): (Var, Var)| {
            let x = x + 0.5 * STEP * v;
            let v = v + STEP * acceleration(x, m);
            (x + 0.5 * STEP * v, v)
        };
        scan(n_steps).repeat((x, v), step)
    };
    let on_lattice =
        jit(move |state: (Var, Var), m: Var| orbit(n_steps, state, m)).call((&state, &m)).unwrap().0;
    let plain = jit(plain).call((&state, &m)).unwrap().0;
    let exact = reference(n_steps);
    let error = |x: &Array| {
        let distances =
            x.to_vec::<f64>().unwrap().into_iter().zip(&exact).map(|(x, e)| ((x - e.0) - e.1).abs());
        distances.fold(0.0, f64::max)
    };
    let (of_lattice, of_plain) = (error(&on_lattice), error(&plain));
    println!("8 bodies, {n_steps} steps: error {of_lattice:.1e} on the lattice, {of_plain:.1e} in plain f64");
    assert!(of_lattice <= of_plain / 4.0, "{of_lattice:e} on the lattice, {of_plain:e} in plain f64");
}

const WEIGHTS: usize = 64;

/// Noise of the gradients, and curvatures.
fn noise(n_steps: usize) -> (Array, Array) {
    use retrograde_array::rng::{Key, normal};
    let curvature: Vec<f64> = (0..WEIGHTS).map(|i| 0.1 + i as f64 / WEIGHTS as f64).collect();
    (normal(Key::from_seed(3), [n_steps, WEIGHTS]), array(curvature))
}

/// Weights and remainders after momentum with γ = n/d on a quadratic with noisy gradients.
fn momentum(by: Contract, w: Var, curvature: Var, noise: Var) -> (Var, Var) {
    let gamma = f64::from(by.n) / f64::from(by.d);
    let (w, v) = (LATTICE.at(w), LATTICE.at(0.0 * w));
    let nothing: Vec<Var> = vec![];
    let start = (w, v, by.remainder(v));
    let ((w, _, rest), _) = scan_over().run(start, noise, |(w, v, rest), noise| {
        let g = curvature * (w.value() - 1.0) + 0.1 * noise;
        let (v, rest) = v.contract(rest);
        let v = v - (1.0 - gamma) * g;
        ((w + 0.5 * v.value(), v, rest), nothing)
    });
    (w.value(), rest.rest())
}

#[test]
fn momentum_keeps_the_information_that_it_destroys() {
    let n_steps = 10_000;
    let (noise, curvature) = noise(n_steps);
    let w = array(vec![0.5; WEIGHTS]);
    for (by, bound) in [(Contract { n: 9, d: 10 }, 0.155), (Contract { n: 99, d: 100 }, 0.016)] {
        let training = move |(w, c): (Var, Var), noise: Var| {
            let end = momentum(by, w, c, noise).0;
            (end * end).sum()
        };
        let inputs = (w.clone(), curvature.clone());
        let stored = grad(training).tape(Tape::Store).call((&inputs, &noise)).unwrap();
        let door = grad(training).tape(Tape::Reverse);
        // Reversal compares the weights, velocities and remainders that it arrives at with the first ones, bit by bit.
        let reversed = door.call((&inputs, &noise)).unwrap();
        assert!(same(&stored, &reversed));
        let report = door.last_tape();
        assert_eq!(report.inverse_steps, n_steps as u64);
        let run = jit(move |(w, c): (Var, Var), noise: Var| momentum(by, w, c, noise));
        let (end, rest) = run.call((&inputs, &noise)).unwrap();
        let live: f64 = rest.to_vec::<i64>().unwrap().iter().map(|r| (*r as f64).log2()).sum();
        let bits = (report.stack_bits() as f64 + live) / (n_steps * WEIGHTS) as f64;
        // The same map in plain floats, whose contraction cannot be undone: what is kept is every state.
        let gamma = f64::from(by.n) / f64::from(by.d);
        let plain = move |(w, c): (Var, Var), noise: Var| {
            let nothing: Vec<Var> = vec![];
            let ((w, _), _) = scan_over().run((w, 0.0 * w), noise, |(w, v), noise| {
                let g = c * (w - 1.0) + 0.1 * noise;
                let v = gamma * v - (1.0 - gamma) * g;
                ((w + 0.5 * v, v), nothing)
            });
            w
        };
        let of_plain = jit(plain).call((&inputs, &noise)).unwrap();
        let door = grad(move |s: (Var, Var), noise: Var| (plain(s, noise) * plain(s, noise)).sum());
        // A product of floats has no inverse update by update: whole steps are iterated.
        let door = door.tape(Tape::Reverse);
        door.call((&inputs, &noise)).unwrap();
        let notes = door.last_tape().notes.join(" ");
        assert!(notes.contains("`mul` cannot be solved for it to the bit"), "{notes}");
        let entries = |a: &Array| a.to_vec::<f64>().unwrap();
        let far =
            entries(&end).iter().zip(entries(&of_plain)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!(
            "momentum {gamma}, {n_steps} steps, {WEIGHTS} weights: {bits:.4} bits per value and step, {:.4} destroyed; \
             plain f64 keeps 64 and ends {far:.1e} away",
            (1.0 / gamma).log2()
        );
        assert!(bits <= bound, "{bits} bits per value and step");
        assert!(far < 1e-12);
    }
}

#[test]
fn a_carry_that_is_a_function_of_the_others_is_computed_and_not_inverted() {
    let run = |start: fn(Var) -> Var| {
        move |(x, v): (Var, Var)| {
            let (x, v, a) = scan(500).repeat((x, v, start(x)), |(x, v, a)| {
                let v = v + 0.05 * a;
                let x = x + 0.1 * v;
                let a = -x.sin();
                (x, v + 0.05 * a, a)
            });
            (x * v * a).sum()
        }
    };
    let state = (array([1.0, -0.3, 0.0]), array([0.0, 0.7, -0.0]));
    let right = run(|x| -x.sin());
    let stored = value_and_grad(right).tape(Tape::Store).call(&state).unwrap();
    let door = value_and_grad(right).tape(Tape::Reverse);
    let reversed = door.call(&state).unwrap();
    assert!(stored.0.bits_eq(&reversed.0) && same(&stored.1, &reversed.1));
    assert_eq!(door.last_tape().inverse_steps, 500);
    // A start that is not what the steps go on with is an error, whatever its values.
    let wrong = run(|x| 0.0 * x);
    assert!(grad(wrong).tape(Tape::Store).call(&state).is_ok());
    let error = grad(wrong).tape(Tape::Reverse).call(&state).unwrap_err().to_string();
    for part in [
        "part 2 of the state is a function of the other parts after every step",
        "entry 0 is 0, expected -0.8414709848078965",
        "say `.tape(Checkpoint::Sqrt)` for this loop",
    ] {
        assert!(error.contains(part), "{error}");
    }
    // What changes with more than the state is not derived: here the number that comes in.
    let fed = |x: Var, f: Var| {
        let nothing: Vec<Var> = vec![];
        let step = |(x, a): (Var, Var), f: Var| {
            let x = x + 0.1 * a;
            ((x, x.sin() * f), nothing)
        };
        let ((x, _), _) = scan_over().run((x, x.sin()), f, step);
        x
    };
    let door = grad(fed).tape(Tape::Reverse);
    let slope = door.call((&array(1.0), &array([1.0, 2.0]))).unwrap();
    assert!(slope.bits_eq(&grad(fed).call((&array(1.0), &array([1.0, 2.0]))).unwrap()));
    let notes = door.last_tape().notes.join(" ");
    assert!(notes.contains("the step cannot be reversed for part"), "{notes}");
}

#[test]
fn leaving_the_range_is_an_error_that_names_what_would_do() {
    let small = Lattice { grid: 0.25, range: 8.0 };
    let f = move |x: Var| {
        let (x, _) = scan(20).repeat((small.at(x), small.at(x)), |(x, v)| {
            let x = x + v.value();
            (x, v + x.value())
        });
        x.value().sum()
    };
    let x = array([0.25, -1.0]);
    for error in [
        jit(f).call(&x).unwrap_err().to_string(),
        grad(f).tape(Tape::Store).call(&x).unwrap_err().to_string(),
        grad(move |x: Var| f(x) * f(x)).tape(Tape::Reverse).call(&x).unwrap_err().to_string(),
    ] {
        let expected = "lattice_add: entry 1 would be -8, expected |x| < 8, the range of this lattice of grid 2^-2; a range of 16 \
                        would do (in step 1 of the loop, counted from 0)";
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("lattice.rs:"), "{error}");
    }
    assert_eq!(x, array([0.25, -1.0]));
    let nan =
        jit(move |x: Var| (small.at(x) + x / 0.0).value()).call(&array([1.0, 0.0])).unwrap_err().to_string();
    assert!(nan.contains("entry 0 is inf, which has no place on a lattice"), "{nan}");
}

#[test]
fn mistakes_are_found_while_tracing() {
    let text = |f: &dyn Fn(Var) -> Var| jit(|x: Var| f(x)).call(&array([1.0, 2.0])).unwrap_err().to_string();
    let lattice = Lattice { grid: 0.25, range: 8.0 };
    let at = |grid, range| move |x: Var| Lattice { grid, range }.at(x).value();
    assert!(
        text(&at(0.25, 0.1)).contains("found a range of 0.1 on a grid of 2^-2, expected one above the grid")
    );
    assert!(text(&at(0.25, 1e30)).contains("and at most 2305843009213694000"));
    assert!(text(&at(f64::NAN, 1.0)).contains("found a grid of NaN"));
    let factor =
        |n, d| move |x: Var| lattice.at(x).contract(Contract { n, d }.remainder(lattice.at(x))).0.value();
    assert!(text(&factor(10, 9)).contains("found a factor of 10/9, expected n/d with 1 <= n < d <= 32768"));
    assert!(text(&factor(9, 10)).contains("found a lattice of 31 points, expected at least n · d = 90"));
    assert!(text(&|x| lattice.at(x.convert(DType::I64)).value()).contains("Lattice::at: found i64[2]"));
    assert!(text(&|x| (lattice.at(x) + x.index(0, 0).broadcast([3], &[])).value()).contains("of one shape"));
    assert!(text(&|x| (lattice.at(x) + x.convert(DType::I64)).value()).contains("increments i64[2]"));
}

#[test]
fn zeros_lanes_and_narrow_increments() {
    // Zeros of either sign are one point, and reversal arrives at them.
    let f = |x: Var| {
        let (end, _) = scan(7).repeat((LATTICE.at(x), LATTICE.at(x)), |(x, v)| {
            let v = v + -0.0 * x.value().sin();
            (x - v.value() + -0.0 * v.value().cos(), v)
        });
        end.value().sum()
    };
    let g = grad(f).tape(Tape::Reverse).call(&array([-0.0, 0.0])).unwrap();
    assert!(g.bits_eq(&array([-6.0, -6.0])));
    assert!(jit(|x: Var| LATTICE.at(x).value()).call(&array([-0.0])).unwrap().bits_eq(&array([0.0])));
    // Each lane has the bits of a run of its own, reversed or not.
    let by = Contract { n: 3, d: 4 };
    let lane = move |x: Var| {
        let v = LATTICE.at(0.5 * x);
        let (x, ..) = scan(100).repeat((LATTICE.at(x), v, by.remainder(v)), |(x, v, rest)| {
            let (v, rest) = v.contract(rest);
            let v = v - 0.1 * x.value().sin();
            (x + v.value(), v, rest)
        });
        (x.value() * x.value()).sum()
    };
    let batch = array([[1.0, 0.2], [-0.7, 2.0], [0.0, 3.0]]);
    for policy in [Tape::Store, Tape::Reverse] {
        let door = jit(vmap(grad(lane))).tape(policy);
        let lanes = door.call(&batch).unwrap();
        for i in 0..3 {
            let alone = grad(lane).tape(policy).call(&batch.row(i)).unwrap();
            assert!(lanes.row(i).bits_eq(&alone), "lane {i}, {policy}");
        }
        let whole = grad(move |x: Var| vmap(lane).apply((x,)).sum()).tape(policy);
        assert!(whole.call(&batch).unwrap().bits_eq(&lanes), "{policy}");
        if policy == Tape::Reverse {
            assert_eq!(door.last_tape().inverse_steps, 100);
            let report = whole.last_tape();
            // log2(4/3) bits a value and step, of which the last words are in the remainders.
            assert!(
                report.stack_bits() as f64 <= 600.0 * (4.0f64 / 3.0).log2() && report.stack_bits() > 0,
                "{report}"
            );
        }
    }
    // Increments and values of f32.
    let narrow = |x: Var| {
        let (end, _) = scan(50).repeat((LATTICE.at(x), LATTICE.at(0.0 * x)), |(x, v)| {
            let v = v - 0.1 * x.value().sin().convert(DType::F32);
            (x + 0.1 * v.value(), v)
        });
        (end.value() * end.value()).sum()
    };
    for x in [array([1.0, -2.0]), ops::convert(&array([1.0, -2.0]), DType::F32)] {
        let door = grad(narrow).tape(Tape::Reverse);
        let g = door.call(&x).unwrap();
        assert_eq!(g.dtype(), x.dtype());
        assert!(g.bits_eq(&grad(narrow).tape(Tape::Store).call(&x).unwrap()));
        assert_eq!(door.last_tape().stack_bits(), 0);
    }
}

#[test]
fn programs_on_a_lattice_are_read_back() {
    let f = |x: Var| {
        let v = LATTICE.at(x);
        let start = (LATTICE.at(x), v, Contract { n: 9, d: 10 }.remainder(v));
        let (x, ..) = scan(10).repeat(start, |(x, v, rest)| {
            let (v, rest) = v.contract(rest);
            let v = v - x.value().sin();
            (x + v.value(), v, rest)
        });
        x.value() * x.value()
    };
    let lowered = grad(f).tape(Tape::Reverse).lowered(&array(1.0)).unwrap();
    for program in [&lowered.forward, &lowered.backward] {
        let text = print(program);
        assert_eq!(parse::<Prim>(&text).as_ref(), Ok(program), "{text}");
    }
    let text = print(&lowered.forward) + &print(&lowered.backward);
    for name in [
        "lattice_point[grid=-57, limit=9223372036854775807]",
        "lattice_add",
        "contract[n=9, d=10]",
        "spill",
        "expand",
        "agree",
    ] {
        assert!(text.contains(name), "{name} in\n{text}");
    }
}
