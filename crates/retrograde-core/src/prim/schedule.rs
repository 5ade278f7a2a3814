//! Which states of a loop to keep in a given number of slots, so that as few steps as possible run again.
//!
//! With c slots, the state at the start among them, and no step run more than r times, at most β(c, r) = C(c + r, c)
//! steps can be reversed. Reversing l steps with β(c, r - 1) < l ≤ β(c, r) takes t(l, c) = r l - β(c + 1, r - 1) steps forward,
//! and no schedule takes fewer. Where the number of steps is not known before, every k-th state is kept, and every second of
//! them dropped whenever the slots are full.
//! Source: A. Griewank and A. Walther, Algorithm 799: Revolve, ACM Transactions on Mathematical Software 26 (2000) 19-45;
//! P. Stumm and A. Walther, New algorithms for optimal online checkpointing, SIAM Journal on Scientific Computing 32 (2010)
//! 836-854 for the setting of the second.

/// C(slots + repeats, slots), or the largest number there is.
fn reach(slots: usize, repeats: usize) -> u128 {
    let few = slots.min(repeats) as u128;
    let many = slots.max(repeats) as u128;
    (1..=few).fold(1u128, |product, i| product.saturating_mul(many + i) / i)
}

/// How often the steps run at most: the least r with β(c, r) ≥ l.
fn repeats(n_steps: usize, slots: usize) -> usize {
    (0..).find(|&r| reach(slots, r) >= n_steps as u128).unwrap_or(0)
}

/// How many steps forward it takes to visit the states before each of `n_steps` steps, last to first, with `slots` states
/// in memory, the first among them.
pub fn forward_steps(n_steps: usize, slots: usize) -> u128 {
    let r = repeats(n_steps, slots);
    if r == 0 { 0 } else { r as u128 * n_steps as u128 - reach(slots + 1, r - 1) }
}

/// How far to go for the next state to keep, where the state before the first of `n_steps` ≥ 2 steps is one of the
/// `slots` ≥ 2 states that may be kept.
pub fn next_state(n_steps: usize, slots: usize) -> usize {
    let r = repeats(n_steps, slots);
    let least = if r >= 2 { reach(slots, r - 2) } else { 1 };
    let rest = (n_steps as u128).saturating_sub(reach(slots - 1, r));
    least.max(rest).clamp(1, n_steps as u128 - 1) as usize
}

/// The steps before which a loop of known length keeps its state on the way to the end: those in the slots, and the
/// last, which is at hand when the sweep starts.
pub fn kept_on_the_way(n_steps: usize, slots: usize) -> Vec<usize> {
    let mut at = Vec::with_capacity(slots.min(n_steps) + 1);
    let (mut start, mut free) = (0, slots.max(1));
    while start < n_steps {
        at.push(start);
        free -= 1;
        if free == 0 || n_steps - start == 1 {
            break;
        }
        start += next_state(n_steps - start, free + 1);
    }
    if n_steps > 0 && at.last() != Some(&(n_steps - 1)) {
        at.push(n_steps - 1);
    }
    at
}

/// How far apart the states are in the end that an unknown number of steps leaves in `slots` slots.
pub fn online_distance(n_steps: usize, slots: usize) -> usize {
    let mut distance = 1;
    while n_steps.div_ceil(distance) > slots.max(1) {
        distance *= 2;
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least number of steps, over every schedule.
    fn by_enumeration(most: usize, slots: usize) -> Vec<Vec<u128>> {
        let mut t = vec![vec![0u128; slots + 1]; most + 1];
        for l in 2..=most {
            t[l][1] = (l * (l - 1) / 2) as u128;
            for c in 2..=slots {
                t[l][c] = (1..l).map(|m| m as u128 + t[l - m][c - 1] + t[m][c]).min().unwrap();
            }
        }
        t
    }

    /// What the schedule of this file takes.
    fn taken(n_steps: usize, slots: usize) -> u128 {
        match (n_steps, slots) {
            (0 | 1, _) => 0,
            (l, 1) => (l * (l - 1) / 2) as u128,
            (l, c) => {
                let m = next_state(l, c);
                m as u128 + taken(l - m, c - 1) + taken(m, c)
            }
        }
    }

    #[test]
    fn no_schedule_takes_fewer_steps() {
        let least = by_enumeration(90, 9);
        for (n_steps, row) in least.iter().enumerate() {
            for (slots, &least) in row.iter().enumerate().skip(1) {
                assert_eq!(forward_steps(n_steps, slots), least, "{n_steps} steps, {slots} slots");
                assert_eq!(taken(n_steps, slots), least, "{n_steps} steps, {slots} slots");
            }
        }
    }

    #[test]
    fn a_million_steps_in_sixteen_slots() {
        assert_eq!(forward_steps(1_000_000, 16), 7_918_425);
    }

    #[test]
    fn states_fit_into_the_slots() {
        for n_steps in 0..300 {
            for slots in 1..20 {
                let at = kept_on_the_way(n_steps, slots);
                assert!(
                    at.len() <= slots + 1 && at.is_sorted() && at.first().is_none_or(|first| *first == 0)
                );
                assert!(at.iter().all(|step| *step < n_steps));
                assert!(n_steps.div_ceil(online_distance(n_steps, slots)) <= slots);
            }
        }
    }
}
