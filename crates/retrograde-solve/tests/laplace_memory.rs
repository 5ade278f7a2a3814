//! Error bars of a network of 10⁵ parameters under 200 MB. One test, alone in its process, as it counts bytes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use retrograde_array::Array;
use retrograde_array::rng::{Key, normal};
use retrograde_core::trace::Var;
use retrograde_engine::jit;
use retrograde_solve::curvature::Likelihood;
use retrograde_solve::uses::{Posterior, laplace};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const MOST_BYTES: usize = 200_000_000;
const WIDTHS: [usize; 4] = [400, 200, 100, 10];
const N_ROWS: usize = 26;
const RANK: usize = 10;

type Network = (Var, Var, Var);

/// What comes into the last layer.
fn features((first, second, _): Network, x: Var) -> Var {
    x.dot(first).tanh().dot(second).tanh()
}

fn logits(network: Network, x: Var) -> Var {
    let (.., head) = network;
    features(network, x).dot(head)
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// The most bytes that live at once while `f` runs, as another thread sees them.
fn most_live_bytes<R>(f: impl FnOnce() -> R) -> (R, usize) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(live_bytes());
                // Short beside what is watched, long beside a look.
                thread::sleep(Duration::from_micros(200));
            }
            most
        });
        let result = f();
        done.store(true, Ordering::Relaxed);
        (result, watch.join().unwrap())
    })
}

/// What the system says was resident at most; a look between two looks of the other thread is not missed here.
#[cfg(target_os = "linux")]
fn peak_resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_network_of_1e5_parameters_stays_under_200_mb() {
    let n_parameters: usize = WIDTHS.windows(2).map(|pair| pair[0] * pair[1]).sum();
    assert!(n_parameters > 100_000);
    // One array of rows, parameters and outputs would be seen.
    assert!(N_ROWS * n_parameters * WIDTHS[3] * size_of::<f64>() > MOST_BYTES);
    let keys = Key::from_seed(1).split(4);
    let weight = |i: usize| {
        let mut weight = normal(keys[i], [WIDTHS[i], WIDTHS[i + 1]]);
        let size = 1.0 / (WIDTHS[i] as f64).sqrt();
        weight.make_mut::<f64>().unwrap().iter_mut().for_each(|w| *w *= size);
        weight
    };
    let network = (weight(0), weight(1), weight(2));
    let x = normal(keys[3], [N_ROWS, WIDTHS[0]]);
    let few = normal(keys[3].fold_in(1), [2, WIDTHS[0]]);
    let bars = laplace(logits, Likelihood::Categorical);
    let prior = 1.0;
    let (answers, most) = most_live_bytes(|| {
        let diagonal = bars.diagonal((&network, &x)).unwrap();
        let independent = Posterior::diagonal(&network, &diagonal, prior).unwrap();
        let times = |v: &(Array, Array, Array)| bars.curvature_times((&network, &x), v);
        let low_rank = Posterior::low_rank(&network, times, prior, RANK, Key::from_seed(2)).unwrap();
        let into_head = jit(features).call((&network, &x)).unwrap();
        let head = laplace(|head: Var, x: Var| x.dot(head), Likelihood::Categorical);
        let head_times = |v: &Array| head.curvature_times((&network.2, &into_head), v);
        let last_layer = Posterior::dense(&network.2, head_times, prior).unwrap();
        let into_head = jit(features).call((&network, &few)).unwrap();
        [
            bars.predict(&independent, &few).unwrap(),
            bars.predict(&low_rank, &few).unwrap(),
            head.predict(&last_layer, &into_head).unwrap(),
        ]
    });
    for predicted in answers {
        let deviations = predicted.standard_deviations();
        // Between that of no parameter and that of the prior alone, √(Σ j²/τ).
        assert!(
            deviations.len() == 20 && deviations.iter().all(|sd| *sd > 1e-3 && *sd < 30.0),
            "{deviations:?}"
        );
    }
    assert!(most > n_parameters * size_of::<f64>() && most < MOST_BYTES, "{most} bytes");
    #[cfg(target_os = "linux")]
    {
        let peak = peak_resident_bytes();
        assert!(peak >= most / 2 && peak < MOST_BYTES, "{peak} bytes resident");
    }
}
