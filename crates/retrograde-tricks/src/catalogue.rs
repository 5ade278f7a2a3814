//! The catalogue: one constant for each trick, beside what it describes, and the list of all.
//!
//! A trick is a row: what it is called, its formula, the law it keeps, where it comes from, which file holds it, which item's
//! documentation shows it, and which test asserts its property. The tidy tests hold the rows to the tree.

/// Which box of the picture a trick replaces. A program P is differentiated to P', and P' is used.
///
/// ```
/// use retrograde_tricks::catalogue::Group;
/// assert_eq!(Group::of("B12"), Some(Group::Adjoint));
/// assert_eq!(Group::Adjoint.letter(), 'B');
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    /// A: P itself, so that its derivatives are nice.
    Primal,
    /// B: the adjoint map at a point.
    Adjoint,
    /// C: what is remembered between P and P'.
    Tape,
    /// D: the derivative, by an estimate of it.
    Estimate,
    /// E: what is done with it.
    Update,
    /// F: where it is summed.
    Scale,
}

impl Group {
    /// All, in the order of their letters.
    pub const ALL: [Group; 6] =
        [Group::Primal, Group::Adjoint, Group::Tape, Group::Estimate, Group::Update, Group::Scale];

    /// A to F.
    pub fn letter(self) -> char {
        char::from(b'A' + self as u8)
    }

    /// The group of an id such as `B12`.
    pub fn of(id: &str) -> Option<Group> {
        Group::ALL.into_iter().find(|group| id.starts_with(group.letter()))
    }
}

/// What a trick promises about the derivative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Law {
    /// That of the program as written: the adjoint identity ⟨ȳ, Jẋ⟩ = ⟨Jᵀȳ, ẋ⟩ holds.
    Exact,
    /// A mathematically equal rewrite of the primal.
    Rounding {
        /// How far it may be off.
        bound: &'static str,
    },
    /// Another derivative than that of the program, on purpose.
    Inexact {
        /// What it is instead: a named function, or an estimate of mean zero error.
        what: &'static str,
    },
}

/// A publication.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// As BibTeX wants them: `V. Nair and G. E. Hinton`.
    pub authors: &'static str,
    /// The title.
    pub title: &'static str,
    /// Journal with volume, conference, or `arXiv:1234.56789`.
    pub venue: &'static str,
    /// Of publication.
    pub year: u16,
}

/// What a test asserts of a trick, numerically.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Property {
    /// The claim.
    pub claim: &'static str,
    /// The name of the test that asserts it, anywhere in the workspace.
    pub test: &'static str,
    /// The figure that the test finds at its fixed seed, and the bound that it is held to.
    pub found: &'static str,
}

/// A row of the catalogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trick {
    /// A letter for the group, and a number: `B12`.
    pub id: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// In a line of plain text.
    pub formula: &'static str,
    /// What it promises.
    pub law: Law,
    /// Where it comes from, the earliest first.
    pub cite: &'static [Source],
    /// The file that holds it, from the root of the workspace: `file!()`.
    pub file: &'static str,
    /// The item there whose documentation shows it in a runnable example.
    pub example: &'static str,
    /// What is asserted of it.
    pub property: Property,
}

impl Trick {
    /// The box that it replaces.
    ///
    /// ```
    /// use retrograde_tricks::catalogue::ALL;
    /// assert!(ALL.iter().flat_map(|rows| rows.iter()).all(|trick| trick.id.starts_with(trick.group().letter())));
    /// ```
    pub fn group(&self) -> Group {
        Group::of(self.id).expect("ids begin with the letter of a group; this is a bug in retrograde")
    }

    /// Its number in the group.
    ///
    /// ```
    /// assert_eq!(retrograde_tricks::catalogue::find("E10").unwrap().number(), 10);
    /// ```
    pub fn number(&self) -> u32 {
        self.id[1..].parse().expect("ids end with a number; this is a bug in retrograde")
    }

    /// The year that it was published in first.
    ///
    /// ```
    /// assert_eq!(retrograde_tricks::catalogue::find("E1").unwrap().year(), 1964);
    /// ```
    pub fn year(&self) -> u16 {
        self.cite.iter().map(|source| source.year).min().unwrap_or_default()
    }
}

impl Source {
    /// A key for it: the last name of the first author, the year, the first long word of the title.
    ///
    /// ```
    /// use retrograde_tricks::catalogue::find;
    /// let source = &find("E1").unwrap().cite[0];
    /// assert_eq!(source.key(), "polyak1964some");
    /// assert!(source.bibtex().starts_with("@misc{polyak1964some,\n  author = {B. T. Polyak},\n"));
    /// ```
    pub fn key(&self) -> String {
        let word =
            |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let first = self.authors.split(" and ").next().unwrap_or_default();
        let author = word(first.rsplit(' ').next().unwrap_or_default());
        let title = self.title.split_whitespace().map(word).find(|word| word.len() > 3);
        format!("{author}{}{}", self.year, title.unwrap_or_default())
    }

    /// An entry for BibTeX.
    pub fn bibtex(&self) -> String {
        let Source { authors, title, venue, year } = self;
        format!(
            "@misc{{{},\n  author = {{{authors}}},\n  title = {{{title}}},\n  howpublished = {{{venue}}},\n  year = {{{year}}}\n}}\n",
            self.key()
        )
    }
}

/// A trick of the list that there is no file for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotBuilt {
    /// As that of a [`Trick`].
    pub id: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// Why not.
    pub reason: &'static str,
}

/// Why the group of scale is not there.
const ONE_PROCESS: &str = "not built yet: training runs in one process";

/// The tricks of the list that are not built, with the reason of each.
pub const NOT_BUILT: &[NotBuilt] = &[
    NotBuilt {
        id: "C3",
        name: "divide-and-conquer checkpointing of arbitrary programs",
        reason: "patented in 2024 (J. M. Siskind, B. A. Pearlmutter); structured loops cover its use",
    },
    NotBuilt { id: "F1", name: "synchronous data parallel all-reduce", reason: ONE_PROCESS },
    NotBuilt { id: "F2", name: "1-bit SGD with error feedback", reason: ONE_PROCESS },
    NotBuilt { id: "F3", name: "unbiased quantisers: QSGD, TernGrad", reason: ONE_PROCESS },
    NotBuilt { id: "F4", name: "top-k, deep gradient compression", reason: ONE_PROCESS },
    NotBuilt { id: "F5", name: "PowerSGD", reason: ONE_PROCESS },
    NotBuilt { id: "F6", name: "Hogwild, stale gradients, delay compensation", reason: ONE_PROCESS },
    NotBuilt { id: "F7", name: "local SGD, FedAvg, elastic averaging, DiLoCo", reason: ONE_PROCESS },
    NotBuilt { id: "F8", name: "pipeline, tensor and sharded parallelism", reason: ONE_PROCESS },
    NotBuilt { id: "F9", name: "mixture of experts", reason: ONE_PROCESS },
    NotBuilt { id: "F10", name: "half-precision all-reduce", reason: ONE_PROCESS },
];

/// Files of the groups that hold no row, with the reason of each.
pub const WITHOUT_ROW: &[(&str, &str)] = &[
    (
        "crates/retrograde-tricks/src/adjoint/check_rule.rs",
        "the check of declared rules that the rows are held to",
    ),
    ("crates/retrograde-tricks/src/adjoint/map.rs", "what a map of cotangents is"),
    ("crates/retrograde-tricks/src/estimate/curvature.rs", "the rows of D15 and D20, which the solvers hold"),
    ("crates/retrograde-tricks/src/estimate/distribution.rs", "what D3 and D5 draw from"),
    ("crates/retrograde-tricks/src/estimate/draw.rs", "draws inside traces, which the estimators share"),
    ("crates/retrograde-tricks/src/estimate/estimator.rs", "the type of all estimators"),
    ("crates/retrograde-tricks/src/estimate/leafwise.rs", "arithmetic on trees, which the estimators share"),
    ("crates/retrograde-tricks/src/primal/augment.rs", "part of A21, whose row is in label_smoothing.rs"),
    ("crates/retrograde-tricks/src/primal/conv.rs", "a layer as it stands"),
    ("crates/retrograde-tricks/src/primal/curriculum.rs", "part of A21, whose row is in label_smoothing.rs"),
    ("crates/retrograde-tricks/src/primal/dense.rs", "a layer as it stands"),
    ("crates/retrograde-tricks/src/primal/embedding.rs", "a layer as it stands"),
    ("crates/retrograde-tricks/src/primal/group_norm.rs", "part of A11, whose row is in batch_norm.rs"),
    ("crates/retrograde-tricks/src/primal/gru.rs", "part of A9, whose row is in lstm.rs"),
    ("crates/retrograde-tricks/src/primal/highway.rs", "part of A9, whose row is in lstm.rs"),
    ("crates/retrograde-tricks/src/primal/layer_norm.rs", "part of A11, whose row is in batch_norm.rs"),
    ("crates/retrograde-tricks/src/primal/memory.rs", "part of A17, whose row is in soft_sort.rs"),
    ("crates/retrograde-tricks/src/primal/mixup.rs", "part of A21, whose row is in label_smoothing.rs"),
    ("crates/retrograde-tricks/src/primal/refuse.rs", "the messages that layers share"),
    ("crates/retrograde-tricks/src/primal/sinkhorn.rs", "part of A17, whose row is in soft_sort.rs"),
    ("crates/retrograde-tricks/src/primal/soft_rasteriser.rs", "part of A17, whose row is in soft_sort.rs"),
    ("crates/retrograde-tricks/src/primal/softmax.rs", "a function that attention and losses share"),
    ("crates/retrograde-tricks/src/primal/weight_norm.rs", "part of A11, whose row is in batch_norm.rs"),
    ("crates/retrograde-tricks/src/primal/whitening.rs", "part of A21, whose row is in label_smoothing.rs"),
    ("crates/retrograde-tricks/src/tape/flat.rs", "parameters as one vector, which C11 to C14 share"),
    ("crates/retrograde-tricks/src/update/adafactor.rs", "part of E2, whose row is in adam.rs"),
    ("crates/retrograde-tricks/src/update/adagrad.rs", "part of E2, whose row is in adam.rs"),
    ("crates/retrograde-tricks/src/update/clip.rs", "B1 and B2 as links of a chain"),
    ("crates/retrograde-tricks/src/update/finite_sum/adam.rs", "a method that E16 is compared with"),
    ("crates/retrograde-tricks/src/update/finite_sum/descent.rs", "a run that is taken step by step"),
    ("crates/retrograde-tricks/src/update/finite_sum/epochs.rs", "the loop that methods share"),
    ("crates/retrograde-tricks/src/update/finite_sum/lbfgs.rs", "a method that E16 is compared with"),
    (
        "crates/retrograde-tricks/src/update/finite_sum/linear_recursion.rs",
        "part of E16, whose row is in stochastic_newton.rs",
    ),
    ("crates/retrograde-tricks/src/update/finite_sum/lissa.rs", "a method that E16 is compared with"),
    ("crates/retrograde-tricks/src/update/finite_sum/memory.rs", "what runs remember between two steps"),
    ("crates/retrograde-tricks/src/update/finite_sum/newton_cg.rs", "a method that E16 is compared with"),
    ("crates/retrograde-tricks/src/update/finite_sum/preconditioner.rs", "a part of stochastic Newton"),
    ("crates/retrograde-tricks/src/update/finite_sum/problem.rs", "what is minimised"),
    ("crates/retrograde-tricks/src/update/finite_sum/run.rs", "what a method spends"),
    (
        "crates/retrograde-tricks/src/update/finite_sum/saga.rs",
        "D16 as a method, whose row is in variance_reduction.rs",
    ),
    (
        "crates/retrograde-tricks/src/update/finite_sum/secants.rs",
        "the memory that quasi-Newton methods share",
    ),
    ("crates/retrograde-tricks/src/update/finite_sum/sgd.rs", "a method that E16 is compared with"),
    (
        "crates/retrograde-tricks/src/update/finite_sum/svrg.rs",
        "D16 as a method, whose row is in variance_reduction.rs",
    ),
    (
        "crates/retrograde-tricks/src/update/finite_sum/traced.rs",
        "the user's functions on flat parameters, which methods share",
    ),
    ("crates/retrograde-tricks/src/update/finite_sum/vector.rs", "sums that methods share"),
    ("crates/retrograde-tricks/src/update/map.rs", "what an update is"),
];

/// The law of policies: the same bits.
const POLICY: Law = Law::Exact;

/// The rows of the tape, which lie in the crates below.
pub const TAPE: &[Trick] = &[
    Trick {
        id: "C1",
        name: "binomial checkpointing",
        formula: "T steps in s slots; each runs again at most r times, r least with C(s+r, s) >= T",
        law: POLICY,
        cite: &[
            Source {
                authors: "A. Griewank",
                title: "Achieving logarithmic growth of temporal and spatial complexity in reverse automatic differentiation",
                venue: "Optimization Methods and Software 1",
                year: 1992,
            },
            Source {
                authors: "A. Griewank and A. Walther",
                title: "Algorithm 799: Revolve: An Implementation of Checkpointing for the Reverse or Adjoint Mode of Computational Differentiation",
                venue: "ACM Transactions on Mathematical Software 26",
                year: 2000,
            },
        ],
        file: "crates/retrograde-core/src/prim/policy.rs",
        example: "Checkpoint",
        property: Property {
            claim: "the bits of the plain tape, in s states, with the fewest steps that any schedule needs",
            test: "as_few_steps_as_can_be_and_the_same_bits",
            found: "equal to the bit; steps equal to the formula for up to 1000 steps in 1 to 2000 slots",
        },
    },
    Trick {
        id: "C2",
        name: "recomputation of regions and of segments of sqrt T steps",
        formula: "keep the arguments of a region, or every sqrt T-th state; run the rest again",
        law: POLICY,
        cite: &[Source {
            authors: "T. Chen and B. Xu and C. Zhang and C. Guestrin",
            title: "Training Deep Nets with Sublinear Memory Cost",
            venue: "arXiv:1604.06174",
            year: 2016,
        }],
        file: "crates/retrograde-core/src/trace/control.rs",
        example: "taped",
        property: Property {
            claim: "a region that runs again keeps its arguments alone and gives the same bits",
            test: "a_region_that_is_computed_again_keeps_its_arguments",
            found: "equal to the bit; the bytes of the arguments, exactly",
        },
    },
    Trick {
        id: "C4",
        name: "reversal: the inverse step in place of a tape, with the bits that rounding destroys",
        formula: "x_t = inverse of x_(t+1), corrected by kept bits",
        law: POLICY,
        cite: &[
            Source {
                authors: "D. Levesque and L. Verlet",
                title: "Molecular dynamics and time reversibility",
                venue: "Journal of Statistical Physics 72",
                year: 1993,
            },
            Source {
                authors: "D. Maclaurin and D. Duvenaud and R. P. Adams",
                title: "Gradient-based Hyperparameter Optimization through Reversible Learning",
                venue: "ICML",
                year: 2015,
            },
            Source {
                authors: "A. G. Baydin and B. A. Pearlmutter and J. M. Siskind",
                title: "Tricks from Deep Learning",
                venue: "arXiv:1611.03777",
                year: 2016,
            },
        ],
        file: "crates/retrograde-core/src/prim/policy.rs",
        example: "Tape",
        property: Property {
            claim: "the bits of the plain tape from a reconstructed state, which is compared with the true start, for less than 1 bit a value and step of leapfrog",
            test: "gradients_agree_to_the_bit_and_reversal_keeps_little",
            found: "equal to the bit under every policy",
        },
    },
    Trick {
        id: "C5",
        name: "reversible networks",
        formula: "y1 = x1 + F(x2), y2 = x2 + G(y1), undone from the outputs",
        law: POLICY,
        cite: &[
            Source {
                authors: "L. Dinh and D. Krueger and Y. Bengio",
                title: "NICE: Non-linear Independent Components Estimation",
                venue: "arXiv:1410.8516",
                year: 2014,
            },
            Source {
                authors: "A. N. Gomez and M. Ren and R. Urtasun and R. B. Grosse",
                title: "The Reversible Residual Network: Backpropagation Without Storing Activations",
                venue: "NIPS",
                year: 2017,
            },
        ],
        file: "crates/retrograde-tricks/src/primal/reversible.rs",
        example: "couple",
        property: Property {
            claim: "the bits of the plain tape, and no more kept than rounding destroys",
            test: "a_thousand_blocks_keep_what_rounding_destroys",
            found: "equal to the bit; at most 0.3 bit for an activation and update",
        },
    },
    Trick {
        id: "C6",
        name: "the output in place of the input: the fewest bytes from which the rest is rebuilt",
        formula: "a cheapest cut between what is kept and what a derivative reads",
        law: POLICY,
        cite: &[Source {
            authors: "S. Rota Bulo and L. Porzi and P. Kontschieder",
            title: "In-Place Activated BatchNorm for Memory-Optimized Training of DNNs",
            venue: "arXiv:1712.02616",
            year: 2017,
        }],
        file: "crates/retrograde-core/src/tape/minimise.rs",
        example: "choose",
        property: Property {
            claim: "no other choice of kept values that suffices has fewer bytes",
            test: "the_least_is_kept",
            found: "equal to the least of all choices, by enumeration over random programs",
        },
    },
    Trick {
        id: "C7",
        name: "a tape of few bits, rounded at random",
        formula: "coefficients in 1 to 8 bits with mean the exact ones; a draw for each factor of a product",
        law: Law::Inexact {
            what: "a gradient whose mean is the exact one, with a stated bound on its variance",
        },
        cite: &[
            Source {
                authors: "A. Jain and A. Phanishayee and J. Mars and L. Tang and G. Pekhimenko",
                title: "Gist: Efficient Data Encoding for Deep Neural Network Training",
                venue: "ISCA",
                year: 2018,
            },
            Source {
                authors: "J. Chen and L. Zheng and Z. Yao and D. Wang and I. Stoica and M. W. Mahoney and J. E. Gonzalez",
                title: "ActNN: Reducing Training Memory Footprint via 2-Bit Activation Compressed Training",
                venue: "ICML",
                year: 2021,
            },
        ],
        file: "crates/retrograde-core/src/tape/quantise.rs",
        example: "reseeded",
        property: Property {
            claim: "the mean of the gradient is the exact one, its variance within the bound",
            test: "the_mean_is_the_gradient_and_the_variance_within_its_bound",
            found: "Hotelling's p above 0.01 at seeds fixed before; broken draws are refused",
        },
    },
    Trick {
        id: "C8",
        name: "a tape of low precision: 8 and 4 bits, with products and sums in full",
        formula: "saved values in 8 bits and a quarter for the grid, accumulated in f32",
        law: Law::Inexact {
            what: "a gradient whose mean is the exact one, with a stated bound on its variance",
        },
        cite: &[
            Source {
                authors: "S. Gupta and A. Agrawal and K. Gopalakrishnan and P. Narayanan",
                title: "Deep Learning with Limited Numerical Precision",
                venue: "ICML",
                year: 2015,
            },
            Source {
                authors: "P. Micikevicius and S. Narang and J. Alben and others",
                title: "Mixed Precision Training",
                venue: "ICLR",
                year: 2018,
            },
        ],
        file: "crates/retrograde-core/src/tape/variance.rs",
        example: "variance_bound",
        property: Property {
            claim: "a network keeps a quarter and an eighth of its bytes",
            test: "a_network_keeps_a_quarter_and_an_eighth",
            found: "f32: at least 0.9 of 32/8.25 times fewer bytes in 8 bits, and of 32/4.25 in 4",
        },
    },
    Trick {
        id: "C9",
        name: "attention by tiles, with recompute inside",
        formula: "softmax by running maxima; the derivative from the log-sum-exp of each row",
        law: Law::Rounding { bound: "1e-6 of the values" },
        cite: &[Source {
            authors: "T. Dao and D. Y. Fu and S. Ermon and A. Rudra and C. Re",
            title: "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness",
            venue: "NeurIPS",
            year: 2022,
        }],
        file: "crates/retrograde-tricks/src/primal/attention.rs",
        example: "tiled_attention",
        property: Property {
            claim: "values and gradients are those of plain attention, and the tape grows with tokens, not with pairs",
            test: "attention_by_tiles_is_attention",
            found: "at most 1e-6 apart",
        },
    },
    Trick {
        id: "C10",
        name: "a resident tape within a budget; by recomputation, nothing is paged out",
        formula: "the cheapest way back that holds at most so many bytes",
        law: POLICY,
        cite: &[
            Source {
                authors: "M. Rhu and N. Gimelshein and J. Clemons and A. Zulfiqar and S. W. Keckler",
                title: "vDNN: Virtualized Deep Neural Networks for Scalable, Memory-Efficient Neural Network Design",
                venue: "MICRO",
                year: 2016,
            },
            Source {
                authors: "P. Jain and A. Jain and A. Nrusimha and A. Gholami and P. Abbeel and K. Keutzer and I. Stoica and J. E. Gonzalez",
                title: "Checkmate: Breaking the Memory Wall with Optimal Tensor Rematerialization",
                venue: "MLSys",
                year: 2020,
            },
        ],
        file: "crates/retrograde-core/src/trace/door.rs",
        example: "budget",
        property: Property {
            claim: "the bits of the plain tape, and never a byte more held than the budget, as the allocator counts",
            test: "what_is_held_stays_within_the_budget",
            found: "equal to the bit, within every budget",
        },
    },
];

/// Every trick, group by group.
pub const ALL: &[&[Trick]] = &[
    crate::primal::TRICKS,
    crate::adjoint::TRICKS,
    TAPE,
    crate::tape::TRICKS,
    crate::estimate::TRICKS,
    crate::update::TRICKS,
];

/// Every trick, in the order of groups and numbers.
///
/// ```
/// use retrograde_tricks::catalogue::{all, find};
/// assert!(all().count() > 20);
/// assert_eq!(find("e1").map(|trick| trick.id), Some("E1"));
/// assert_eq!(find("E99"), None);
/// ```
pub fn all() -> impl Iterator<Item = &'static Trick> {
    let mut tricks: Vec<&'static Trick> = ALL.iter().flat_map(|rows| rows.iter()).collect();
    tricks.sort_by_key(|trick| (trick.group(), trick.number()));
    tricks.into_iter()
}

/// The trick of an id, in letters of either case.
pub fn find(id: &str) -> Option<&'static Trick> {
    all().find(|trick| trick.id.eq_ignore_ascii_case(id))
}
