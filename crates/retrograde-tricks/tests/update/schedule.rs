//! Learning rates.

use retrograde_tricks::update::schedule::Schedule;

use crate::distance;
use crate::others::rows;

#[test]
fn schedules_are_exact_at_their_knots() {
    let linear = Schedule::linear(0.1, 0.7, 30).values(50).unwrap();
    assert_eq!((linear[0], linear[30], linear[49]), (0.1, 0.7, 0.7));
    let cosine = Schedule::cosine(0.3, 0.1, 30).values(50).unwrap();
    assert_eq!((cosine[0], cosine[30], cosine[49]), (0.3, 0.1, 0.1));
    let cycle = Schedule::one_cycle(0.3, 40, 10).values(42).unwrap();
    assert_eq!((cycle[0], cycle[10], cycle[40]), (0.3 / 25.0, 0.3, 0.3 / 25.0 / 1e4));
    let wsd = Schedule::warmup_stable_decay(0.3, 4, 6, 5).values(20).unwrap();
    assert_eq!((wsd[0], wsd[4], wsd[10], wsd[15], wsd[19]), (0.0, 0.3, 0.3, 0.0, 0.0));
    assert_eq!(wsd[5..10], [0.3; 5]);
    let over_t = Schedule::one_over_t(0.5, 1.0).values(9).unwrap();
    assert_eq!((over_t[0], over_t[1], over_t[3]), (0.5, 0.25, 0.125));
    let step = Schedule::step(1.0, 0.5, 3).values(9).unwrap();
    assert_eq!(step, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]);
    for (name, schedule) in [
        ("cosine", Schedule::cosine(0.2, 0.01, 40)),
        ("linear", Schedule::linear(0.1, 0.02, 30)),
        ("step", Schedule::step(0.2, 0.5, 10)),
        ("warmup_cosine", Schedule::linear(0.0, 0.2, 8).then(8, Schedule::cosine(0.2, 0.01, 32))),
        ("one_cycle", Schedule::one_cycle(0.2, 40, 10)),
    ] {
        let reference = rows(name).into_iter().find(|(library, _)| *library == "schedule");
        let off = distance(&schedule.values(50).unwrap(), &reference.unwrap().1);
        assert!(off <= 2e-16, "{name}: {off:e}");
    }
    // One step late is far off.
    let late = distance(&Schedule::linear(0.1, 0.02, 31).values(50).unwrap(), &rows("linear")[0].1);
    assert!(late > 1e-3);
}
