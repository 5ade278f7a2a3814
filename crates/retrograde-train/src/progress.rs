//! How the training loop tells its caller how far it is. The loop prints nothing; the command draws a bar from this.

/// Hears about every step of a run.
pub trait Progress {
    /// The run starts and will take `total_steps` steps; of a minimiser of the sum over all rows, passes, and at most so many.
    fn begin(&mut self, total_steps: u64);
    /// Step `step` (counted from 1) is done; `loss` is that of its batch.
    fn step(&mut self, step: u64, loss: f64);
    /// The run is over, early or not.
    fn end(&mut self);
}

/// Hears and says nothing.
#[derive(Clone, Copy, Default, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _total_steps: u64) {}
    fn step(&mut self, _step: u64, _loss: f64) {}
    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count {
        total: u64,
        seen: Vec<u64>,
        ended: bool,
    }

    impl Progress for Count {
        fn begin(&mut self, total_steps: u64) {
            self.total = total_steps;
        }
        fn step(&mut self, step: u64, _loss: f64) {
            self.seen.push(step);
        }
        fn end(&mut self) {
            self.ended = true;
        }
    }

    #[test]
    fn progress_is_usable_as_an_object() {
        let run = |progress: &mut dyn Progress| {
            progress.begin(2);
            progress.step(1, 0.5);
            progress.step(2, 0.25);
            progress.end();
        };
        let mut count = Count::default();
        run(&mut count);
        assert!(count.total == 2 && count.seen == [1, 2] && count.ended);
        run(&mut Silent);
    }
}
