//! What is promised of random programs.

use std::collections::{BTreeMap, BTreeSet};

use retrograde_core::ir::{Op, check, parse, print};
use retrograde_core::prim::{Prim, Program};
use retrograde_sample::{LOWERED, draw};

/// How often each primitive stands in a program, bodies included.
fn count(program: &Program, counts: &mut BTreeMap<&'static str, usize>) {
    for equation in &program.equations {
        *counts.entry(equation.op.name()).or_default() += 1;
        equation.op.map_bodies(&mut |body| {
            count(body, counts);
            body.clone()
        });
    }
}

#[test]
fn every_primitive_is_drawn_and_every_program_is_sound() {
    let n = (Prim::ALL.len() - LOWERED.len()) as u64;
    let mut counts = BTreeMap::new();
    let (mut ranks, mut dtypes) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..2 * n {
        let sample = draw(seed, &[]);
        let program = &sample.program;
        check(program).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", print(program)));
        assert_eq!(parse(&print(program)).as_ref(), Ok(program), "seed {seed}");
        assert!(program.equations.len() >= 3, "seed {seed}:\n{}", print(program));
        count(program, &mut counts);
        ranks.extend(program.types.iter().map(|ty| ty.shape.rank()));
        dtypes.extend(program.types.iter().map(|ty| ty.dtype.name()));
    }
    let missing: Vec<&&str> = Prim::ALL
        .iter()
        .filter(|name| !LOWERED.contains(name) && counts.get(*name).is_none_or(|c| *c < 2))
        .collect();
    assert!(missing.is_empty(), "drawn less than twice: {missing:?}");
    assert!((0..=3).all(|rank| ranks.contains(&rank)), "{ranks:?}");
    assert_eq!(dtypes.len(), 7, "{dtypes:?}");
}

#[test]
fn what_is_left_out_is_not_drawn() {
    for seed in 0..40 {
        let mut counts = BTreeMap::new();
        count(&draw(seed, &["sin", "scan"]).program, &mut counts);
        let only_in_bodies = |name| counts.get(name).copied().unwrap_or(0);
        assert_eq!(only_in_bodies("scan"), 0, "seed {seed}");
    }
}
