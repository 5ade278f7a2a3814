//! What `Store` keeps: as little as cheap operations rebuild the rest from.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, array};
use retrograde_core::ir::parse;
use retrograde_core::prim::Program;
use retrograde_core::tape::{Checkpoint, Lowered, Tape, audit, lower};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan;
use retrograde_core::trace::door::grad;
use retrograde_core::trace::var::constant;

fn lowered(text: &str, policy: Tape) -> Lowered {
    let program: Program = parse(text).unwrap();
    let lowered = lower(&program, 1, 1, policy).unwrap();
    assert_eq!(audit(&program, &lowered, 1), Ok(()));
    lowered
}

fn kept(lowered: &Lowered) -> Vec<String> {
    lowered.tape.iter().map(|entry| format!("{} {}", entry.op, entry.ty)).collect()
}

#[test]
fn what_cheap_operations_rebuild_is_not_kept() {
    // b and c are sums and products of a, which is kept anyway; d is no cheap operation's.
    let l = lowered(
        "program(x:f64[4], s:f64[4]) {
           a:f64[4] = exp x
           b:f64[4] = mul a a
           c:f64[4] = add a b
           d:f64[4] = sin c
           p:f64[4] = mul s a
           q:f64[4] = mul p b
           r:f64[4] = mul q c
           t:f64[4] = mul r d
           return d, t
         }",
        Tape::Store,
    );
    assert_eq!(kept(&l), ["exp f64[4]", "sin f64[4]"]);
}

#[test]
fn of_two_ways_the_smaller_is_kept() {
    // The row is kept, not the matrix made of it.
    let l = lowered(
        "program(x:f64[4], s:f64[3,4]) {
           a:f64[4] = exp x
           b:f64[3,4] = broadcast[shape=[3,4], axes=[1]] a
           c:f64[3,4] = mul b b
           d:f64[3,4] = mul s c
           return a, d
         }",
        Tape::Store,
    );
    assert_eq!(kept(&l), ["exp f64[4]"]);
}

#[test]
fn recompute_keeps_nothing_of_straight_lines() {
    let text = "program(x:f64[4], s:f64[4]) {
           a:f64[4] = exp x
           b:f64[4] = sin a
           c:f64[4] = mul s b
           return b, c
         }";
    assert_eq!(kept(&lowered(text, Tape::Store)), ["sin f64[4]"]);
    assert_eq!(kept(&lowered(text, Tape::Recompute)), Vec::<String>::new());
}

fn relu_layer(x: Var, w: &Array) -> Var {
    let h = x.dot(constant(w));
    h.max(0.0)
}

#[test]
fn a_relu_keeps_one_bit_for_an_entry() {
    let (x, w) = (normal(Key::from_seed(1), [32, 40]), normal(Key::from_seed(2), [40, 50]));
    let door = grad(|x: Var| {
        let y = relu_layer(x, &w);
        (y * &normal(Key::from_seed(3), [32, 50])).sum()
    })
    .tape(Tape::Store);
    door.call(&x).unwrap();
    // Two masks, above and equal: a bit each.
    let report = door.last_tape();
    assert!(report.tape_bytes() <= 2 * (32 * 50) / 8, "{report}");
}

#[test]
fn loops_keep_less_and_the_same_bits() {
    let w = normal(Key::from_seed(4), [6, 6]);
    let loss = |x: Var| {
        let end = scan(20).repeat(x, |x| {
            let y = x.dot(constant(&w)).max(0.0);
            let z = y * y + x;
            z / (1.0 + z * z)
        });
        end.sum()
    };
    let x = normal(Key::from_seed(5), [6]);
    let stored = grad(loss).tape(Tape::Store);
    let g = stored.call(&x).unwrap();
    let again = grad(loss).tape(Tape::Recompute);
    assert!(g.bits_eq(&again.call(&x).unwrap()));
    // z, of which 1 + z² and its quotients are made again: not those themselves.
    let report = stored.last_tape();
    assert!(report.tape_bytes() <= 20 * (3 * 6 * 8 + 2), "{report}");
    assert_eq!(report.recomputed_steps, 0);
}

/// Entries name what made a value inside the loop and where: residuals, states before a step, checkpoints and the last state.
#[test]
fn entries_name_the_operation_inside_the_loop() {
    let line = line!();
    let f = |x: Var, v: Var| {
        let step = |(x, v): (Var, Var)| {
            let x = x + 0.1 * v;
            (x, v - x * x.sin())
        };
        scan(50).repeat((x, v), step).0
    };
    let of = |policy: Tape| {
        let door = grad(f).tape(policy);
        door.call((&array(1.0), &array(0.5))).unwrap();
        let report = door.last_tape();
        let mut made: Vec<(String, u32)> = report
            .entries
            .iter()
            .map(|e| {
                let at = e.line().rsplit_once(':').unwrap().1.parse::<u32>().unwrap();
                (format!("{} {}", e.op, e.ty), at - line)
            })
            .collect();
        made.sort();
        let made: Vec<(&str, u32)> = made.iter().map(|(op, at)| (op.as_str(), *at)).collect();
        (format!("{made:?}"), report)
    };
    let (stored, _) = of(Tape::Store);
    assert_eq!(stored, r#"[("add f64[50]", 3), ("cos f64[50]", 4), ("sin f64[50]", 4)]"#);
    let (checkpoints, report) = of(Checkpoint::Slots(4).into());
    assert_eq!(checkpoints, r#"[("add f64[5]", 3), ("sub f64[5]", 4)]"#);
    let of_loop = &report.loops[0];
    assert_eq!(
        (of_loop.n_steps, of_loop.n_values, of_loop.policy),
        (Some(50), 2, Checkpoint::Slots(4).into())
    );
    let (reversed, report) = of(Tape::Reverse);
    assert_eq!(reversed, r#"[("add f64[]", 3), ("retain bits", 6), ("sub f64[]", 4)]"#);
    let bits = report.loops[0].bits_per_value_step().unwrap();
    assert_eq!(bits, report.stack_bits() as f64 / 100.0);
}
