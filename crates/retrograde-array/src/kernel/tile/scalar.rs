//! Straight-line code over single numbers, for values of so few entries that a pass over each would be all overhead.
//!
//! A register holds one number; truth values are one and zero. Whatever only arranges entries is no instruction, but the choice of the
//! registers that others read. Code is checked when it is made, as Note [checked code] of `check` says: every register exists,
//! every entry that is read or written lies inside its array.

use std::slice;

use super::super::{Float, Level, dispatch};
use super::body::Routine;
use super::check::check;
use super::code::Pointer;
use super::pair::{Arithmetic, Pair};
use super::routine::{Op, op_routine};
use crate::ops::piecewise::{Fractions, Pieces};
use crate::ops::{Binary, Comparison, Logic, Piecewise, Unary, strong};
use crate::{DType, Element};

/// Registers there are: a power of two, and few enough for the first cache.
pub(crate) const REGISTERS: usize = 1024;

/// A number of scalar code.
pub(crate) trait Number: Float + Pieces + Fractions + PartialOrd + Element {
    fn finite(self) -> bool;
}
impl Number for f64 {
    #[inline(always)]
    fn finite(self) -> bool {
        self.is_finite()
    }
}
impl Number for f32 {
    #[inline(always)]
    fn finite(self) -> bool {
        self.is_finite()
    }
}

#[inline(always)]
fn truth<T: Number>(holds: bool) -> T {
    if holds { T::ONE } else { T::ZERO }
}

#[inline(always)]
fn two<T: Number>(how: Arithmetic, x: T, y: T) -> T {
    match how {
        Arithmetic::Add => x.plus(y),
        Arithmetic::Sub => x.minus(y),
        Arithmetic::Mul => x.times(y),
        Arithmetic::StrongMul => strong::product(x, y),
    }
}

macro_rules! operations {
    (
        ($x:ident, $y:ident, $z:ident)
        single { $($name:ident $e:expr;)* }
        pairs { $($pair:ident $first:ident $second:ident $turned:literal;)* }
    ) => {
        /// What an instruction computes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Operation {
            $($name,)*
            $($pair,)*
            /// The call whose number is the first operand.
            Call,
        }

        /// The result for up to three operands.
        #[inline(always)]
        fn computed<T: Number>(operation: Operation, $x: T, $y: T, $z: T) -> T {
            match operation {
                $(Operation::$name => $e,)*
                $(Operation::$pair => {
                    let first = two(Arithmetic::$first, $x, $y);
                    if $turned { two(Arithmetic::$second, $z, first) } else { two(Arithmetic::$second, first, $z) }
                })*
                Operation::Call => $x,
            }
        }

        fn of_pair(pair: Pair) -> Operation {
            // Only a difference changes when its operands change places.
            let turned = pair.turned && pair.second == Arithmetic::Sub;
            match (pair.first, pair.second, turned) {
                $((Arithmetic::$first, Arithmetic::$second, $turned) => Operation::$pair,)*
                (_, _, true) => unreachable!("only differences are turned; this is a bug in retrograde"),
            }
        }
    };
}

operations! {
    (x, y, z)
    single {
        Neg x.negated();
        Sqrt x.root();
        Add x.plus(y);
        Sub x.minus(y);
        Mul x.times(y);
        Div x.divided(y);
        Max x.larger(y);
        Min x.smaller(y);
        Rem x.remainder(y);
        StrongMul strong::product(x, y);
        StrongDiv strong::quotient(x, y);
        Fma x.fma(y, z);
        Clamp x.larger(y).smaller(z);
        Abs x.magnitude();
        Sign Pieces::sign(x);
        Floor x.below();
        Ceil x.above();
        Round x.nearest();
        Eq truth(x == y);
        Ne truth(x != y);
        Lt truth(x < y);
        Le truth(x <= y);
        Gt truth(x > y);
        Ge truth(x >= y);
        Select if x != T::ZERO { y } else { z };
        And truth(x != T::ZERO && y != T::ZERO);
        Or truth(x != T::ZERO || y != T::ZERO);
        Xor truth((x != T::ZERO) != (y != T::ZERO));
        Not truth(x == T::ZERO);
        IsFinite truth(x.finite());
        IsNonzero truth(x != T::ZERO);
    }
    pairs {
        AddAdd Add Add false;
        AddSub Add Sub false;
        AddFrom Add Sub true;
        AddMul Add Mul false;
        AddStrongMul Add StrongMul false;
        SubAdd Sub Add false;
        SubSub Sub Sub false;
        SubFrom Sub Sub true;
        SubMul Sub Mul false;
        SubStrongMul Sub StrongMul false;
        MulAdd Mul Add false;
        MulSub Mul Sub false;
        MulFrom Mul Sub true;
        MulMul Mul Mul false;
        MulStrongMul Mul StrongMul false;
        StrongMulAdd StrongMul Add false;
        StrongMulSub StrongMul Sub false;
        StrongMulFrom StrongMul Sub true;
        StrongMulMul StrongMul Mul false;
        StrongMulStrongMul StrongMul StrongMul false;
    }
}

impl Operation {
    /// The operation on operands of these dtypes; `None` where it is a call, or there is none.
    pub(crate) fn new(op: Op, operands: &[DType]) -> Option<Operation> {
        let are_truths = operands.first() == Some(&DType::Bool);
        Some(match op {
            Op::Unary(Unary::Neg) => Operation::Neg,
            Op::Unary(Unary::Sqrt) => Operation::Sqrt,
            Op::Binary(Binary::Mul) | Op::Logic(Logic::And) if are_truths => Operation::And,
            Op::Binary(Binary::Max) | Op::Logic(Logic::Or) if are_truths => Operation::Or,
            Op::Logic(Logic::Xor) if are_truths => Operation::Xor,
            Op::Not if are_truths => Operation::Not,
            Op::Binary(Binary::Add) => Operation::Add,
            Op::Binary(Binary::Sub) => Operation::Sub,
            Op::Binary(Binary::Mul) => Operation::Mul,
            Op::Binary(Binary::Max) => Operation::Max,
            Op::Binary(Binary::Div) => Operation::Div,
            Op::Min => Operation::Min,
            Op::Rem => Operation::Rem,
            Op::StrongMul => Operation::StrongMul,
            Op::StrongDiv => Operation::StrongDiv,
            Op::Fma => Operation::Fma,
            Op::Clamp => Operation::Clamp,
            Op::Piecewise(Piecewise::Abs) => Operation::Abs,
            Op::Piecewise(Piecewise::Sign) => Operation::Sign,
            Op::Piecewise(Piecewise::Floor) => Operation::Floor,
            Op::Piecewise(Piecewise::Ceil) => Operation::Ceil,
            Op::Piecewise(Piecewise::Round) => Operation::Round,
            Op::Compare(Comparison::Eq) => Operation::Eq,
            Op::Compare(Comparison::Ne) => Operation::Ne,
            Op::Compare(Comparison::Lt) => Operation::Lt,
            Op::Compare(Comparison::Le) => Operation::Le,
            Op::Compare(Comparison::Gt) => Operation::Gt,
            Op::Compare(Comparison::Ge) => Operation::Ge,
            Op::Select => Operation::Select,
            Op::IsFinite => Operation::IsFinite,
            Op::Convert(DType::Bool) => Operation::IsNonzero,
            Op::Pair(pair) => of_pair(pair),
            _ => return None,
        })
    }
}

/// One operation on registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instruction {
    pub(crate) operation: Operation,
    pub(crate) out: u16,
    pub(crate) operands: [u16; 3],
}

/// A function of the numbers in registers that lie one after another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) function: Op,
    pub(crate) out: u16,
    pub(crate) operands: [u16; 2],
    pub(crate) n: u16,
}

/// Neighbouring entries of an array, and the registers that hold them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) array: usize,
    pub(crate) is_truth: bool,
    pub(crate) place: usize,
    pub(crate) register: u16,
    pub(crate) n: u16,
}

/// What scalar code is made of.
#[derive(Debug, Clone)]
pub(crate) struct Script<T> {
    /// In the last registers.
    pub(crate) constants: Vec<T>,
    pub(crate) loads: Vec<Run>,
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) calls: Vec<Call>,
    pub(crate) stores: Vec<Run>,
}

/// Code over numbers of one type.
pub(crate) struct Scalars<T> {
    script: Script<T>,
    routines: Vec<Routine>,
}

/// Code over numbers.
pub(crate) enum Scalar {
    F64(Scalars<f64>),
    F32(Scalars<f32>),
}

impl<T: Number> Scalars<T> {
    /// Code that may run on arrays of these dtypes and sizes.
    ///
    /// # Panics
    /// When it may not: internal misuse.
    pub(crate) fn new(
        script: Script<T>,
        inputs: &[(DType, usize)],
        outputs: &[(DType, usize)],
        level: Level,
    ) -> Self {
        let inside = |first: u16, n: u16| usize::from(first) + usize::from(n) <= REGISTERS;
        check(script.constants.len() <= REGISTERS, "more constants than registers");
        for (runs, arrays) in [(&script.loads, inputs), (&script.stores, outputs)] {
            for run in runs {
                let dtype = if run.is_truth { DType::Bool } else { T::DTYPE };
                let fits = arrays
                    .get(run.array)
                    .is_some_and(|&(own, size)| own == dtype && run.place + usize::from(run.n) <= size);
                check(fits && inside(run.register, run.n), "a number outside");
            }
        }
        let stores = |i: usize| script.stores.iter().filter(move |run| run.array == i);
        let written = |i: usize| stores(i).map(|run| usize::from(run.n)).sum::<usize>();
        check(
            outputs.iter().enumerate().all(|(i, &(_, size))| size == written(i)),
            "entries that are not written",
        );
        let routines = script.calls.iter().map(|call| {
            let n_operands = if matches!(call.function, Op::Function2(_)) { 2 } else { 1 };
            let apart = |from: u16| from + call.n <= call.out || call.out + call.n <= from;
            let fits = inside(call.out, call.n)
                && call.operands.iter().all(|&from| inside(from, call.n) && apart(from));
            check(fits && call.n > 0, "a function of registers that are not there");
            let is_function = matches!(call.function, Op::Function(_) | Op::Function2(_));
            let found =
                op_routine(call.function, &[T::DTYPE, T::DTYPE][..n_operands], level).filter(|_| is_function);
            let Some((routine, _)) = found else { super::check::broken("a call of no function") };
            routine
        });
        let routines: Vec<Routine> = routines.collect();
        let is_call =
            |i: &Instruction| i.operation != Operation::Call || usize::from(i.operands[0]) < routines.len();
        check(script.instructions.iter().all(is_call), "a call that is not there");
        Scalars { script, routines }
    }

    /// Runs the code.
    ///
    /// # Safety
    /// The pointers are those of arrays of the dtypes and sizes that were promised; the outputs are used by nobody else meanwhile.
    unsafe fn run(&self, inputs: &[Pointer], outputs: &[Pointer], room: &mut Vec<T>) {
        if room.len() < REGISTERS {
            room.resize(REGISTERS, T::ZERO);
        }
        let Some((registers, _)) = room.split_first_chunk_mut::<REGISTERS>() else { return };
        let Script { constants, loads, instructions, calls, stores } = &self.script;
        registers[REGISTERS - constants.len()..].copy_from_slice(constants);
        for run in loads {
            let (n, to) = (usize::from(run.n), usize::from(run.register));
            let to = &mut registers[to..to + n];
            let from = inputs[run.array].0;
            if run.is_truth {
                // SAFETY: `new` has seen that the array is one of truth values and has these.
                let from = unsafe { slice::from_raw_parts(from.cast::<bool>().add(run.place), n) };
                to.iter_mut().zip(from).for_each(|(to, &holds)| *to = truth(holds));
            } else {
                // SAFETY: `new` has seen that the array is one of these numbers and has so many.
                to.copy_from_slice(unsafe { slice::from_raw_parts(from.cast::<T>().add(run.place), n) });
            }
        }
        interpret(instructions, registers, calls, &self.routines);
        for run in stores {
            let (n, from) = (usize::from(run.n), usize::from(run.register));
            let from = &registers[from..from + n];
            let to = outputs[run.array].0;
            if run.is_truth {
                // SAFETY: as for what is loaded; nobody else uses it.
                let to = unsafe { slice::from_raw_parts_mut(to.cast::<bool>().add(run.place), n) };
                to.iter_mut().zip(from).for_each(|(to, &x)| *to = x != T::ZERO);
            } else {
                // SAFETY: the same.
                unsafe { slice::from_raw_parts_mut(to.cast::<T>().add(run.place), n) }.copy_from_slice(from);
            }
        }
    }
}

/// Memory for the registers of scalar code.
#[derive(Default)]
pub(super) struct Room {
    f64: Vec<f64>,
    f32: Vec<f32>,
}

impl Room {
    pub(super) fn bytes(&self) -> usize {
        8 * self.f64.capacity() + 4 * self.f32.capacity()
    }
}

impl Scalar {
    /// Runs the code.
    ///
    /// # Safety
    /// As for [`Scalars::run`].
    pub(super) unsafe fn run(&self, inputs: &[Pointer], outputs: &[Pointer], room: &mut Room) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Scalar::F64(code) => code.run(inputs, outputs, &mut room.f64),
                Scalar::F32(code) => code.run(inputs, outputs, &mut room.f32),
            }
        }
    }
}

dispatch! {
    fn interpret [T: Number] [T] (
        instructions: &[Instruction],
        registers: &mut [T; REGISTERS],
        calls: &[Call],
        routines: &[Routine],
    ) {
        // There are as many registers as a power of two: no number needs to be compared with theirs.
        let at = |register: u16| usize::from(register) & (REGISTERS - 1);
        for instruction in instructions {
            let [a, b, c] = instruction.operands;
            if instruction.operation == Operation::Call {
                let (call, routine) = (calls[usize::from(a)], routines[usize::from(a)]);
                let first = registers.as_mut_ptr();
                let [x, y] = call.operands.map(|from| first.wrapping_add(at(from)).cast_const().cast::<u8>());
                let out = first.wrapping_add(at(call.out)).cast::<u8>();
                // SAFETY: `Scalars::new` has checked that so many registers are there behind each place, that the result lies apart
                // from the operands, and that the routine is a function of numbers of this type, compiled for a level
                // that the CPU has.
                unsafe { routine(out, x, y, y, usize::from(call.n)) };
                continue;
            }
            let (x, y, z) = (registers[at(a)], registers[at(b)], registers[at(c)]);
            registers[at(instruction.out)] = computed(instruction.operation, x, y, z);
        }
    }
}
