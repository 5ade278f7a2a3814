//! Threads that help with operations: hired when an operation first wants them, kept for the life of the process.
//!
//! Note [team]: an operation that is to be shared publishes one function and opens as many *seats* as it wants helpers. Whoever takes a
//! seat calls the function, which claims parts of the operation until none is left; so does the caller. Then the caller closes
//! the seats that nobody took and waits for those who are at work. So a helper that is late delays nobody, and all is done if none comes.
//! Seats, those at work and the number of the operation are one word, so that a seat of an operation that is over cannot be taken.
//!
//! Operations follow each other by microseconds, and to wake a thread takes tens of them: a helper looks for the next one for
//! [`AWAKE`] before it sleeps. Whoever finds the team at work for another caller does everything alone.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Workers;

/// The caller's thread and helpers, so many in all at most. Helpers are threads that the process keeps; where there are none to be had, or
/// all of them help another caller, the caller does everything.
///
/// ```
/// use retrograde_array::{Threads, Workers};
/// let calls = std::sync::atomic::AtomicUsize::new(0);
/// Threads(3).each(&|| _ = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
/// assert!((1..=3).contains(&calls.into_inner()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads(pub usize);

impl Workers for Threads {
    fn count(&self) -> usize {
        self.0.max(1)
    }

    fn each(&self, work: &(dyn Fn() + Sync)) {
        match self.count() {
            1 => work(),
            n => TEAM.share(n - 1, work),
        }
    }
}

static TEAM: Team = Team {
    is_taken: AtomicBool::new(false),
    state: AtomicU64::new(0),
    work: Work(UnsafeCell::new(None)),
    panic: Mutex::new(None),
    n_hired: AtomicUsize::new(0),
    n_asleep: AtomicUsize::new(0),
    sleep: Mutex::new(()),
    bell: Condvar::new(),
};

/// For how long a helper looks for the next operation: a few times what waking it takes.
const AWAKE: Duration = Duration::from_micros(200);
/// Helpers at most, however many threads somebody asks for.
const MOST: usize = 255;

/// See Note [team].
struct Team {
    /// Whether an operation is shared.
    is_taken: AtomicBool,
    /// See [`State`].
    state: AtomicU64,
    work: Work,
    /// What the first helper that panicked said.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    n_hired: AtomicUsize,
    n_asleep: AtomicUsize,
    sleep: Mutex<()>,
    bell: Condvar,
}

/// The function of the operation. Who has taken the team writes it while no seat is open and nobody is at work; who is at work reads it.
struct Work(UnsafeCell<Option<&'static (dyn Fn() + Sync)>>);
// SAFETY: writing and reading are ordered by the state, as said above.
unsafe impl Sync for Work {}

/// The word: the number of the operation, open seats, helpers at work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    operation: u32,
    seats: u16,
    at_work: u16,
}

impl State {
    const SEATS: u64 = 0xffff << 16;

    fn of(word: u64) -> State {
        State { operation: (word >> 32) as u32, seats: (word >> 16) as u16, at_work: word as u16 }
    }
    fn word(self) -> u64 {
        u64::from(self.operation) << 32 | u64::from(self.seats) << 16 | u64::from(self.at_work)
    }
}

impl Team {
    /// Calls `work` on this thread, and on up to `n_helpers` others; returns when all calls have returned.
    fn share(&'static self, n_helpers: usize, work: &(dyn Fn() + Sync)) {
        if self.is_taken.swap(true, Ordering::Acquire) {
            return work();
        }
        let _taken = Taken(self);
        let seats = self.hire(n_helpers.min(MOST)) as u16;
        if seats == 0 {
            return work();
        }
        // SAFETY: nobody is at work, as every operation before this one has waited for. The reference outlives its use: it is followed
        // only by who is at work, whom `_opened` waits for before this function returns or unwinds.
        unsafe {
            *self.work.0.get() =
                Some(std::mem::transmute::<&(dyn Fn() + Sync), &'static (dyn Fn() + Sync)>(work));
        }
        let before = State::of(self.state.load(Ordering::Relaxed));
        let state = State { operation: before.operation.wrapping_add(1), seats, at_work: 0 };
        {
            let _opened = Opened(self);
            // Either a helper that goes to sleep sees this, or this thread sees it asleep.
            self.state.store(state.word(), Ordering::SeqCst);
            if self.n_asleep.load(Ordering::SeqCst) > 0 {
                let _awake = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
                (0..seats).for_each(|_| self.bell.notify_one());
            }
            work();
        }
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Sees to it that there are `n` helpers; how many of them there are. For whoever has taken the team.
    fn hire(&'static self, n: usize) -> usize {
        let n_hired = self.n_hired.load(Ordering::Relaxed);
        for i in n_hired..n {
            let helper = thread::Builder::new().name(format!("retrograde {}", i + 1));
            if helper.spawn(|| self.help()).is_err() {
                return i;
            }
            self.n_hired.store(i + 1, Ordering::Relaxed);
        }
        n
    }

    /// What a helper does all its life.
    fn help(&self) {
        let mut operation = State::of(self.state.load(Ordering::SeqCst)).operation.wrapping_sub(1);
        loop {
            operation = self.next(operation);
            // SAFETY: this thread has taken a seat, which was opened after the function was written, and is at work until it says
            // otherwise.
            let work = unsafe { *self.work.0.get() };
            let outcome = catch_unwind(AssertUnwindSafe(|| work.map_or((), |work| work())));
            if let Err(panic) = outcome {
                self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            }
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for a seat of another operation than the one of that number, and takes it; the number of the operation.
    fn next(&self, seen: u32) -> u32 {
        let begin = Instant::now();
        while begin.elapsed() < AWAKE {
            for _ in 0..32 {
                if let Some(operation) = self.seat(seen) {
                    return operation;
                }
                std::hint::spin_loop();
            }
            thread::yield_now();
        }
        let mut asleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.n_asleep.fetch_add(1, Ordering::SeqCst);
        let operation = loop {
            match self.seat(seen) {
                Some(operation) => break operation,
                None => asleep = self.bell.wait(asleep).unwrap_or_else(PoisonError::into_inner),
            }
        };
        self.n_asleep.fetch_sub(1, Ordering::SeqCst);
        operation
    }

    /// Takes a seat of another operation than the one of that number, if one is open.
    fn seat(&self, seen: u32) -> Option<u32> {
        let mut word = self.state.load(Ordering::SeqCst);
        loop {
            let state = State::of(word);
            if state.seats == 0 || state.operation == seen {
                return None;
            }
            let taken = State { seats: state.seats - 1, at_work: state.at_work + 1, ..state };
            match self.state.compare_exchange_weak(word, taken.word(), Ordering::AcqRel, Ordering::SeqCst) {
                Ok(_) => return Some(state.operation),
                Err(now) => word = now,
            }
        }
    }
}

/// Lets others have the team when it goes.
struct Taken(&'static Team);

impl Drop for Taken {
    fn drop(&mut self) {
        if thread::panicking() {
            // The caller's own panic is on its way.
            *self.0.panic.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.0.is_taken.store(false, Ordering::Release);
    }
}

/// Closes the seats when it goes, and waits for who is at work.
struct Opened(&'static Team);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.state.fetch_and(!State::SEATS, Ordering::AcqRel);
        let mut n_looks = 0;
        while State::of(self.0.state.load(Ordering::Acquire)).at_work > 0 {
            n_looks += 1;
            if n_looks % 64 == 0 {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// How often each of `n_parts` parts is computed, by so many threads.
    fn counts(n_threads: usize, n_parts: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..n_parts).map(|_| AtomicUsize::new(0)).collect();
        let next = AtomicUsize::new(0);
        Threads(n_threads).each(&|| {
            while let Some(count) = counts.get(next.fetch_add(1, Ordering::Relaxed)) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn a_state_is_a_word() {
        let state = State { operation: u32::MAX, seats: 3, at_work: 7 };
        assert_eq!(State::of(state.word()), state);
        assert_eq!(State::of(state.word() & !State::SEATS), State { seats: 0, ..state });
    }

    #[test]
    fn every_part_is_computed_once_whoever_asks_at_the_same_time() {
        let n_rounds = if cfg!(miri) { 3 } else { 300 };
        thread::scope(|scope| {
            for n_threads in [1, 2, 4, 7] {
                scope.spawn(move || {
                    for round in 0..n_rounds {
                        assert_eq!(counts(n_threads, round % 20), vec![1; round % 20]);
                    }
                });
            }
        });
    }

    #[test]
    fn helpers_come_to_a_long_operation() {
        // However the system schedules threads: again until a second one has come, which is at once but where another test has the team.
        let (calls, second) = (AtomicUsize::new(0), AtomicBool::new(false));
        for _ in 0..1000 {
            if second.load(Ordering::Relaxed) {
                return;
            }
            calls.store(0, Ordering::Relaxed);
            Threads(2).each(&|| {
                if calls.fetch_add(1, Ordering::Relaxed) == 1 {
                    second.store(true, Ordering::Relaxed);
                }
                let begin = Instant::now();
                while !second.load(Ordering::Relaxed) && begin.elapsed() < Duration::from_millis(50) {
                    thread::yield_now();
                }
            });
        }
        assert!(second.load(Ordering::Relaxed), "no helper came to a thousand operations");
    }

    #[test]
    fn an_operation_within_an_operation_is_done_alone() {
        let inner = AtomicUsize::new(0);
        Threads(2).each(&|| {
            let own = thread::current().id();
            Threads(2).each(&|| {
                // Another caller may have the team; then this one is the inner operation's helper at most.
                inner.fetch_add(usize::from(thread::current().id() == own), Ordering::Relaxed);
            });
        });
        assert!((1..=2).contains(&inner.into_inner()));
    }

    #[test]
    fn a_panic_of_anyone_comes_to_the_caller_and_the_team_works_on() {
        for _ in 0..if cfg!(miri) { 2 } else { 50 } {
            let first = AtomicBool::new(true);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                Threads(3).each(&|| {
                    assert!(!first.swap(false, Ordering::Relaxed), "the first of them");
                });
            }));
            assert!(outcome.is_err());
            assert_eq!(counts(3, 10), [1; 10]);
        }
    }
}
