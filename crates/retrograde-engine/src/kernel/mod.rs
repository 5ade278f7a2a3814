//! Fused loops: what of a program runs entry by entry, in as few passes over memory as can be.
//!
//! [`fuse`] divides a program into [`Group`]s: kernels, and equations that are none. A [`Kernel`] is code over tiles
//! ([`tile`](retrograde_array::tile)) with the arrays that it reads and writes. Broadcasts, transposes, slices, reversals and most reshapes are no
//! work of their own but the way in which kernels read; so are constants. A kernel gives the bits that the interpreter gives
//! for its equations one after the other, at every instruction set and for any number of threads.
//!
//! Where arithmetic follows arithmetic in a kernel of thousands of entries, it is one loop of machine code (feature `jit`, x86-64).
//!
//! Cost: `fuse` takes a few microseconds for each equation, once, and ten or twenty for each kernel with machine code; a run of
//! a kernel takes about 50 ns and 5 ns for each step beside its work, or 1.5 ns for each number where there are so few that they are
//! computed one by one; it allocates nothing once its scratch memory has grown.

mod compile;
mod group;
mod role;

use std::collections::BTreeSet;
use std::fmt;

use retrograde_array::tile::{AsArray, Code, Places};
use retrograde_array::{Array, Threads};
use retrograde_core::ir::ValueId;
use retrograde_core::prim::Program;

pub use retrograde_array::tile::{Level, Scratch};

use group::{Entry, Groups};
pub(crate) use role::is_view;

/// What runs at once.
#[derive(Debug)]
pub enum Group {
    /// A kernel, with the arrays that it reads and writes: any values of the program, also such that others are views of.
    Kernel {
        /// The loops.
        kernel: Kernel,
        /// Arrays that are read.
        inputs: Vec<ValueId>,
        /// Arrays that are written.
        outputs: Vec<ValueId>,
    },
    /// The equation of that index, by other means.
    Equation(usize),
}

/// Fused equations, ready to run.
pub struct Kernel {
    code: Box<Code>,
    equations: Vec<usize>,
    /// What a run takes on one thread, roughly.
    estimate_ns: f64,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("equations", &self.equations).finish_non_exhaustive()
    }
}

/// Work for which a further thread is asked: it takes a microsecond or two to begin, and more where a thread has to be woken.
const WORTH_A_THREAD_NS: f64 = 8_000.0;

/// What a byte that passes through memory takes on one thread: about 20 gigabytes per second.
const NS_PER_BYTE: f64 = 0.05;

/// Divides a program into groups, in an order in which they can run. Equations that nothing needs, or that are only how others read,
/// are in none.
///
/// ```
/// use retrograde_array::{Array, DType, array};
/// use retrograde_core::{ir::parse, prim::Prim};
/// use retrograde_engine::kernel::{Group, Scratch, fuse};
/// let program = parse::<Prim>(
///     "program(a:f64[3], b:f64[]) {\n  c:f64[3] = sin a\n  d:f64[3] = broadcast[shape=[3], axes=[]] b\n  e:f64[3] = mul c d\n  return e\n}",
/// )?;
/// let groups = fuse(&program);
/// let [Group::Kernel { kernel, inputs, outputs }] = &groups[..] else { panic!("one kernel") };
/// assert_eq!((&inputs[..], &outputs[..]), (&program.inputs[..], &program.outputs[..]));
/// let mut out = [Array::zeros(DType::F64, [3])];
/// kernel.run(&[&array([0.0, -0.0, 0.0]), &array(2.0)], &mut out, &mut Scratch::default(), 1);
/// assert_eq!((out[0].clone(), kernel.equations()), (array([0.0, -0.0, 0.0]), &[0, 2][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fuse(program: &Program) -> Vec<Group> {
    fuse_at(program, Level::best())
}

/// As [`fuse`], with code for at most the given instruction set; the bits are the same.
///
/// ```
/// use retrograde_core::{ir::parse, prim::Prim};
/// use retrograde_engine::kernel::{Level, fuse_at};
/// let program = parse::<Prim>("program(a:f64[3]) {\n  b:f64[3] = sin a\n  return b\n}")?;
/// assert_eq!(fuse_at(&program, Level::Portable).len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fuse_at(program: &Program, level: Level) -> Vec<Group> {
    let groups = Groups::new(program);
    let needed = needed(program, &groups);
    let mut all = vec![];
    for entry in &groups.entries {
        match entry {
            Entry::Equation(index) => all.push(Group::Equation(*index)),
            Entry::Kernel { members, shape } => {
                let (code, inputs, outputs) =
                    compile::compile(program, &groups, members, shape.as_ref(), &needed, level);
                if !outputs.is_empty() {
                    let equations = members.iter().map(|member| member.equation).collect();
                    let bytes: usize =
                        inputs.iter().chain(&outputs).map(|&v| program.ty(v).size_bytes()).sum();
                    let steps: f64 = members.iter().map(|member| member.estimate_ns(program)).sum();
                    let estimate_ns = steps.max(bytes as f64 * NS_PER_BYTE);
                    all.push(Group::Kernel {
                        kernel: Kernel { code: Box::new(code), equations, estimate_ns },
                        inputs,
                        outputs,
                    });
                }
            }
        }
    }
    all
}

/// The values that somebody outside of the kernel which computes them reads.
fn needed(program: &Program, groups: &Groups<'_>) -> BTreeSet<ValueId> {
    let mut needed: BTreeSet<ValueId> = program.outputs.iter().copied().collect();
    for entry in &groups.entries {
        match entry {
            Entry::Equation(index) => needed.extend(&program.equations[*index].inputs),
            Entry::Kernel { members, .. } => {
                let own: BTreeSet<ValueId> = members.iter().map(|member| member.value).collect();
                let roots =
                    members.iter().flat_map(|member| &member.operands).map(|v| groups.roots[v.index()].value);
                needed.extend(roots.filter(|root| !own.contains(root)));
            }
        }
    }
    needed
}

impl Kernel {
    /// Runs the kernel: writes every entry of the outputs, which are row-major arrays of the types that the program says, not
    /// shared with anybody, with any entries but where they [lie over an input](Kernel::over); as many threads as said take part
    /// where there is enough to do.
    ///
    /// # Panics
    /// When arrays are not of the types that the program says: internal misuse.
    ///
    /// # Cost
    /// See the [module](self).
    pub fn run(&self, inputs: &[&Array], outputs: &mut [Array], scratch: &mut Scratch, threads: usize) {
        let parts = self.parts(threads);
        self.code.run(inputs, outputs, scratch, (parts > 1).then_some((parts, &Threads(threads))));
    }

    /// The same kernel with an input and an output, by their places among all, in one array: what is written over the entries of the
    /// input is the output, and the input is none any more. `None` where entries are not written where they are read.
    ///
    /// ```
    /// use retrograde_array::{Array, ops};
    /// use retrograde_core::{ir::parse, prim::Prim};
    /// use retrograde_engine::kernel::{Group, Scratch, fuse};
    /// let text = "program(a:f64[2000], b:f64[2000]) {\n  c:f64[2000] = sub a b\n  return c\n}";
    /// let [Group::Kernel { kernel, .. }] = &fuse(&parse::<Prim>(text)?)[..] else { panic!("one kernel") };
    /// let kernel = kernel.over(1, 0).expect("entry by entry");
    /// let mut b = [Array::full(retrograde_array::DType::F64, [2000], 2.0.into())];
    /// let a = ops::unary(ops::Unary::Neg, &b[0]);
    /// kernel.run(&[&a], &mut b, &mut Scratch::default(), 1);
    /// assert_eq!(b[0].get(1999), Some((-4.0).into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn over(&self, input: usize, output: usize) -> Option<Kernel> {
        let code = Box::new(self.code.over(input, output)?);
        Some(Kernel { code, equations: self.equations.clone(), estimate_ns: self.estimate_ns })
    }

    /// [`Kernel::run`] on arrays among the values of a workspace.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, array, tile::Places};
    /// use retrograde_core::{ir::parse, prim::Prim};
    /// use retrograde_engine::kernel::{Group, Scratch, fuse};
    /// let program = parse::<Prim>("program(a:f64[2]) {\n  b:f64[2] = neg a\n  return b\n}")?;
    /// let [Group::Kernel { kernel, .. }] = &fuse(&program)[..] else { panic!("one kernel") };
    /// let mut slots = [array([1.0, 2.0]), Array::zeros(DType::F64, [2])];
    /// kernel.run_in(&mut slots, &Places::new(vec![0], vec![1]), &mut Scratch::default(), 1);
    /// assert_eq!(slots[1], array([-1.0, -2.0]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_in<S: AsArray>(
        &self,
        slots: &mut [S],
        places: &Places,
        scratch: &mut Scratch,
        threads: usize,
    ) {
        let parts = self.parts(threads);
        self.code.run_in(slots, places, scratch, (parts > 1).then_some((parts, &Threads(threads))));
    }

    /// Into how many parts a run is divided that may use so many threads.
    ///
    /// ```
    /// use retrograde_core::{ir::parse, prim::Prim};
    /// use retrograde_engine::kernel::{Group, fuse};
    /// let parts = |n: usize| {
    ///     let text = format!("program(a:f64[{n}]) {{\n  b:f64[{n}] = sin a\n  return b\n}}");
    ///     match &fuse(&parse::<Prim>(&text).unwrap())[..] {
    ///         [Group::Kernel { kernel, .. }] => kernel.parts(2),
    ///         _ => panic!("one kernel"),
    ///     }
    /// };
    /// assert_eq!((parts(100), parts(1_000_000)), (1, 2));
    /// ```
    pub fn parts(&self, threads: usize) -> usize {
        let worth = threads.min((self.estimate_ns / WORTH_A_THREAD_NS) as usize);
        worth.min(self.code.most_parts()).max(1)
    }

    /// The equations that the kernel computes, by their index in the program; views and constants that it reads are not among
    /// them, but those that it makes are.
    pub fn equations(&self) -> &[usize] {
        &self.equations
    }
}
