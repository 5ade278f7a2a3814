//! What is compared, and the bars.

/// A bar: what a figure is to stay at or below.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bar {
    /// Our seconds over those of the fastest other.
    Ratio(f64),
    /// A figure of ours.
    Field {
        /// Its name.
        name: &'static str,
        /// To the unit.
        scale: f64,
        /// The unit.
        unit: &'static str,
        /// The limit, in the unit.
        limit: f64,
    },
    /// What we say holds, in every round.
    Holds(&'static str),
    /// A figure of ours over another, to stay below a limit, or below it times a third.
    Fields {
        /// The figure.
        name: &'static str,
        /// The other.
        to: &'static str,
        /// The third.
        times: Option<&'static str>,
        /// The limit.
        limit: f64,
    },
}

/// Another program.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    /// Its script: in the folder of scripts, or in `tools` of this tree.
    pub script: &'static str,
    /// Arguments, with single spaces between them; `{threads}` and `{instances}` stand for what they say.
    pub args: &'static str,
    /// The figure to compare.
    pub figure: &'static str,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What readers call it.
    pub name: &'static str,
    /// What it is chosen by.
    pub case: &'static str,
    /// Threads of both.
    pub threads: usize,
    /// Arguments of `retrograde bench`, as for [`Peer::args`].
    pub ours: &'static str,
    /// The figure that is compared.
    pub figure: &'static str,
    /// The others.
    pub peers: &'static [Peer],
    /// What is to be reached.
    pub bars: &'static [Bar],
    /// Whether both compute the same numbers, so that `value` and `gnorm2` are to agree.
    pub same_values: bool,
}

/// Seconds that the scripts of networks take for their readings, as `retrograde bench` does.
macro_rules! network {
    ($name:literal, $task:literal) => {
        [
            Peer {
                name: "PyTorch",
                script: "dl/torch_peer.py",
                args: concat!("--task ", $task, " --threads {threads} --seconds 2"),
                figure: "step_s",
            },
            Peer {
                name: "JAX",
                script: "dl/jax_peer.py",
                args: concat!("--task ", $task, " --threads {threads} --seconds 2"),
                figure: "step_s",
            },
        ]
    };
}

const MLP: &[Peer] = &network!("mlp", "mlp");
const TINY: &[Peer] = &network!("tiny", "tiny");
const CNN: &[Peer] = &network!("cnn", "cnn");
const LSTM: &[Peer] = &network!("lstm", "lstm");
const TRANSFORMER: &[Peer] = &network!("transformer", "trf");
const HVP: &[Peer] = &network!("hvp", "hvp");

const fn jax(script: &'static str, args: &'static str, figure: &'static str) -> Peer {
    Peer { name: "JAX", script, args, figure }
}

const W1: &[Peer] = &[jax("tools/bench_jax.py", "fused --threads {threads}", "w1_s")];
const W1B: &[Peer] = &[jax("tools/bench_jax.py", "fused --threads {threads}", "w1b_s")];
const CALL: &[Peer] = &[jax("tools/bench_jax.py", "fused --threads {threads}", "call_s")];
const BOTH: &[Peer] = &[jax("tools/bench_jax.py", "hvp --threads {threads}", "both_s")];
const GMM: &[Peer] = &[jax("adbench/gmm.py", "j {instances}/gmm/gmm_d10_K25.txt", "gradient_s")];
const LSTM_ADBENCH: &[Peer] = &[jax("adbench/lstm.py", "j {instances}/lstm/lstm_l2_c1024.txt", "gradient_s")];
/// Prints a line for each mode; the faster one counts.
const BA: &[Peer] = &[jax("adbench/ba.py", "j {instances}/ba/ba1_n49_m7776_p31843.txt", "gradient_s")];
const HAND_SIMPLE: &[Peer] =
    &[jax("adbench/hand.py", "j {instances}/hand/simple_small/hand1_t26_c100.txt", "gradient_s")];
const HAND_COMPLICATED: &[Peer] =
    &[jax("adbench/hand.py", "j {instances}/hand/complicated_small/hand1_t26_c100.txt", "gradient_s")];

/// The methods of the script that differentiate, of which the fastest counts.
macro_rules! nbody {
    ($sizes:literal) => {
        [
            Peer {
                name: "JAX, all kept",
                script: "tools/loops_jax.py",
                args: concat!("nbody store ", $sizes),
                figure: "gradient_s",
            },
            Peer {
                name: "JAX, nested √T",
                script: "tools/loops_jax.py",
                args: concat!("nbody sqrt ", $sizes),
                figure: "gradient_s",
            },
            Peer {
                name: "JAX, reversed in floats",
                script: "tools/loops_jax.py",
                args: concat!("nbody reversed ", $sizes),
                figure: "gradient_s",
            },
        ]
    };
}
const NBODY_8: &[Peer] = &nbody!("100000 --bodies 8");
const NBODY_64: &[Peer] = &nbody!("10000 --bodies 64");

const MIB: f64 = 1.0 / 1_048_576.0;

const fn tape_mib(limit: f64) -> Bar {
    Bar::Field { name: "tape_bytes", scale: MIB, unit: "MiB", limit }
}

const fn both(threads: usize) -> Row {
    Row {
        name: "gradient and Hessian–vector product",
        case: "hvp",
        threads,
        ours: "hvp",
        figure: "both_s",
        peers: BOTH,
        bars: BOTH_BARS,
        same_values: false,
    }
}

const fn network(
    name: &'static str,
    case: &'static str,
    threads: usize,
    peers: &'static [Peer],
    bars: &'static [Bar],
) -> Row {
    Row { name, case, threads, ours: case, figure: "step_s", peers, bars, same_values: false }
}

const fn fused(
    name: &'static str,
    threads: usize,
    figure: &'static str,
    peers: &'static [Peer],
    bars: &'static [Bar],
) -> Row {
    Row { name, case: "fused", threads, ours: "fused", figure, peers, bars, same_values: false }
}

const fn instance(
    name: &'static str,
    case: &'static str,
    ours: &'static str,
    peers: &'static [Peer],
    bars: &'static [Bar],
) -> Row {
    Row { name, case, threads: 1, ours, figure: "gradient_s", peers, bars, same_values: true }
}

/// Also beside the loop by hand, which is AVX-512 where the machine has it.
const W1_BARS: &[Bar] =
    &[Bar::Ratio(0.35), Bar::Fields { name: "w1_s", to: "w1_by_hand_s", times: None, limit: 1.35 }];
/// The bars of the networks: seconds at most 1 or 1.5 times the fastest other, and what is kept.
const MLP_BARS: &[Bar] =
    &[Bar::Ratio(1.0), tape_mib(0.51), Bar::Field { name: "work_mem", scale: 1.0, unit: "MiB", limit: 14.0 }];
const HVP_BARS: &[Bar] = &[
    Bar::Ratio(1.0),
    Bar::Fields { name: "step_s", to: "gradient_s", times: Some("flop_ratio"), limit: 1.15 },
];
const BOTH_BARS: &[Bar] = &[
    Bar::Ratio(1.0),
    Bar::Fields { name: "both_s", to: "gradient_s", times: Some("both_flop_ratio"), limit: 1.15 },
];
const CNN_BARS: &[Bar] = &[Bar::Ratio(1.5), tape_mib(16.2)];
const LSTM_BARS: &[Bar] = &[Bar::Ratio(1.5), tape_mib(24.0)];
const TRANSFORMER_BARS: &[Bar] = &[Bar::Ratio(1.5), tape_mib(34.2)];

const fn loops(name: &'static str, case: &'static str, ours: &'static str, peers: &'static [Peer]) -> Row {
    Row { name, case, threads: 1, ours, figure: "gradient_s", peers, bars: &[], same_values: false }
}

const fn gradient_s(limit: f64) -> Bar {
    Bar::Field { name: "gradient_s", scale: 1.0, unit: "s", limit }
}

/// Bits are those of a run under checkpoints, in another process; the start is found again.
const EXACT: [Bar; 2] = [Bar::Holds("bit_identical"), Bar::Holds("start_recovered")];
const NBODY_8_BARS: &[Bar] = &[Bar::Ratio(0.6), EXACT[0], EXACT[1]];
const NBODY_64_BARS: &[Bar] = &[Bar::Ratio(0.5), EXACT[0], EXACT[1]];
const LONG_BARS: &[Bar] = &[
    gradient_s(10.0),
    Bar::Field { name: "tape_bytes", scale: 1e-6, unit: "MB", limit: 0.14 },
    EXACT[0],
    EXACT[1],
];
const LATTICE_BARS: &[Bar] = &[
    gradient_s(10.0),
    Bar::Field { name: "bits_per_value_step", scale: 1.0, unit: "bits", limit: 0.0 },
    EXACT[0],
    EXACT[1],
];

/// The table, in order; rows of the same command stand together and share its runs.
pub const ROWS: &[Row] = &[
    fused("tanh(x a + b) exp(−x²) + sin x, 10⁶ f32", 1, "w1_s", W1, W1_BARS),
    fused("(x a + b) (x − b) + x, 10⁶ f32", 1, "w1b_s", W1B, &[Bar::Ratio(1.05)]),
    fused(
        "a compiled call, 16 f32",
        1,
        "call_s",
        CALL,
        &[Bar::Field { name: "call_s", scale: 1e6, unit: "µs", limit: 1.0 }],
    ),
    fused("tanh(x a + b) exp(−x²) + sin x, 10⁶ f32", 2, "w1_s", W1, &[]),
    fused("(x a + b) (x − b) + x, 10⁶ f32", 2, "w1b_s", W1B, &[Bar::Ratio(1.05)]),
    network("MLP step", "mlp", 1, MLP, MLP_BARS),
    network("MLP step", "mlp", 2, MLP, MLP_BARS),
    network(
        "tiny MLP step",
        "tiny",
        1,
        TINY,
        &[Bar::Field { name: "step_s", scale: 1e6, unit: "µs", limit: 10.0 }],
    ),
    network("Hessian–vector product", "hvp", 1, HVP, HVP_BARS),
    both(1),
    network("Hessian–vector product", "hvp", 2, HVP, HVP_BARS),
    both(2),
    network("CNN step", "cnn", 1, CNN, CNN_BARS),
    network("CNN step", "cnn", 2, CNN, CNN_BARS),
    network("LSTM step", "lstm", 1, LSTM, LSTM_BARS),
    network("LSTM step", "lstm", 2, LSTM, LSTM_BARS),
    network("transformer step", "transformer", 1, TRANSFORMER, TRANSFORMER_BARS),
    network("transformer step", "transformer", 2, TRANSFORMER, TRANSFORMER_BARS),
    instance(
        "GMM d10 K25 n1000, gradient",
        "gmm",
        "gmm {instances}/gmm/gmm_d10_K25.txt",
        GMM,
        &[Bar::Ratio(1.0)],
    ),
    instance(
        "LSTM l2 c1024 (ADBench), gradient",
        "lstm-adbench",
        "lstm-adbench {instances}/lstm/lstm_l2_c1024.txt",
        LSTM_ADBENCH,
        &[Bar::Ratio(0.45)],
    ),
    instance("BA ba1, blocks", "ba", "ba {instances}/ba/ba1_n49_m7776_p31843.txt", BA, &[Bar::Ratio(0.25)]),
    instance("HAND small, simple", "hand", "hand {instances}/hand/simple_small", HAND_SIMPLE, &[]),
    instance(
        "HAND small, complicated",
        "hand",
        "hand {instances}/hand/complicated_small",
        HAND_COMPLICATED,
        &[],
    ),
    Row {
        bars: NBODY_8_BARS,
        ..loops(
            "N-body 8, T = 10⁵, `reverse`",
            "nbody",
            "nbody --bodies 8 --steps 100000 --tape reverse",
            NBODY_8,
        )
    },
    Row {
        bars: NBODY_64_BARS,
        ..loops(
            "N-body 64, T = 10⁴, `reverse`",
            "nbody",
            "nbody --bodies 64 --steps 10000 --tape reverse",
            NBODY_64,
        )
    },
    Row {
        bars: LONG_BARS,
        ..loops(
            "N-body 8, T = 10⁶, `reverse`",
            "nbody-long",
            "nbody --bodies 8 --steps 1000000 --tape reverse",
            &[],
        )
    },
    Row {
        bars: LATTICE_BARS,
        ..loops(
            "N-body 8 on a lattice, T = 10⁶, `reverse`",
            "nbody-long",
            "lattice --steps 1000000 --tape reverse",
            &[],
        )
    },
];
