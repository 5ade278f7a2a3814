//! From values of few entries to code over single numbers, where that takes less time than passes over tiles.

use std::collections::HashMap;

use super::build::{Builder, Source};
use super::{Op, Reduction};
use crate::kernel::Level;
use crate::kernel::tile::{
    Call, Instruction, Number, Operation, REGISTERS, Run, Scalar, Scalars, Script, Where,
};
use crate::{Array, DType, Scalar as Entry};

/// What an instruction takes, and a step of tile code on few entries, in nanoseconds as measured on one machine with AVX-512.
const INSTRUCTION_NS: f64 = 1.5;
const STEP_NS: f64 = 6.0;
/// A division or a root, which the next instructions seldom wait for; a call of a function of up to a vector of numbers; a
/// group of entries that is read or written.
const DIVISION_NS: f64 = 3.0;
const CALL_NS: f64 = 20.0;
const RUN_NS: f64 = 2.0;
/// Terms of one chain of a product: Note [canonical product] of `dot`.
const CHAIN: usize = 256;

/// The values of small code as scalar code, if that is faster than so many steps over tiles.
///
/// Without fused multiplication in hardware each is a call: not on the portable level of a CPU that may not have it.
pub(super) fn scalarised(builder: &Builder, n_steps: usize, level: Level) -> Option<Scalar> {
    if cfg!(target_arch = "x86_64") && level == Level::Portable {
        return None;
    }
    scalarised_at(builder, n_steps, level)
}

/// The same on any level.
pub(super) fn scalarised_at(builder: &Builder, n_steps: usize, level: Level) -> Option<Scalar> {
    let mut floats = builder.values.iter().map(|value| value.dtype).filter(|&dtype| dtype != DType::Bool);
    let dtype = floats.next().filter(|&dtype| floats.all(|other| other == dtype))?;
    let outputs: Vec<(DType, usize)> =
        builder.outputs.iter().map(|v| (builder.values[v.0].dtype, builder.values[v.0].size)).collect();
    let limit = n_steps as f64 * STEP_NS;
    match dtype {
        DType::F64 => {
            let script = script::<f64>(builder, limit)?;
            Some(Scalar::F64(Scalars::new(script, &builder.inputs, &outputs, level)))
        }
        DType::F32 => {
            let script = script::<f32>(builder, limit)?;
            Some(Scalar::F32(Scalars::new(script, &builder.inputs, &outputs, level)))
        }
        _ => None,
    }
}

fn script<T: Number>(builder: &Builder, limit_ns: f64) -> Option<Script<T>> {
    let mut writer = Writer::<T> {
        script: Script {
            constants: vec![],
            loads: vec![],
            instructions: vec![],
            calls: vec![],
            stores: vec![],
        },
        constants: HashMap::new(),
        read: HashMap::new(),
        next: 0,
        ns: 0.0,
        limit_ns,
    };
    let mut values: Vec<Vec<u16>> = vec![];
    for value in &builder.values {
        let entries = writer.value(builder, &values, &value.source, value.size)?;
        values.push(entries);
    }
    for (array, v) in builder.outputs.iter().enumerate() {
        let is_truth = builder.values[v.0].dtype == DType::Bool;
        let places = values[v.0].iter().enumerate().map(|(place, &register)| (place, register));
        runs(&mut writer.script.stores, array, is_truth, places);
    }
    // The first constant is in the last register.
    writer.script.constants.reverse();
    let n_runs = writer.script.loads.len() + writer.script.stores.len();
    (writer.ns + RUN_NS * n_runs as f64 <= limit_ns).then_some(writer.script)
}

/// Puts entries together that lie side by side in their array and in registers.
fn runs(runs: &mut Vec<Run>, array: usize, is_truth: bool, entries: impl Iterator<Item = (usize, u16)>) {
    for (place, register) in entries {
        match runs.last_mut() {
            Some(run)
                if run.array == array
                    && run.place + usize::from(run.n) == place
                    && run.register + run.n == register =>
            {
                run.n += 1;
            }
            _ => runs.push(Run { array, is_truth, place, register, n: 1 }),
        }
    }
}

/// Scalar code that is being written; nothing comes of it once it needs too many registers or too much time.
struct Writer<T> {
    script: Script<T>,
    /// The registers of constants, by their bits.
    constants: HashMap<Array, u16>,
    /// Those of entries of inputs.
    read: HashMap<(usize, usize), u16>,
    next: u16,
    ns: f64,
    limit_ns: f64,
}

impl<T: Number> Writer<T> {
    fn registers(&mut self, n: usize) -> Option<u16> {
        let first = self.next;
        let end = usize::from(first) + n;
        if end + self.script.constants.len() > REGISTERS || self.ns > self.limit_ns {
            return None;
        }
        self.next = end as u16;
        Some(first)
    }

    fn constant(&mut self, value: Entry) -> Option<u16> {
        let number: T = match value {
            Entry::Bool(holds) => {
                if holds {
                    T::ONE
                } else {
                    T::ZERO
                }
            }
            value => *Array::full(value.dtype(), [], value).as_slice::<T>()?.first()?,
        };
        let bits = Array::scalar(number);
        if let Some(&known) = self.constants.get(&bits) {
            return Some(known);
        }
        self.registers(1)?;
        self.next -= 1;
        self.script.constants.push(number);
        let register = (REGISTERS - self.script.constants.len()) as u16;
        self.constants.insert(bits, register);
        Some(register)
    }

    /// One instruction into a new register.
    fn instruction(&mut self, operation: Operation, operands: &[u16]) -> Option<u16> {
        let out = self.registers(1)?;
        self.write(operation, out, operands);
        Some(out)
    }

    fn write(&mut self, operation: Operation, out: u16, operands: &[u16]) {
        let is_slow =
            matches!(operation, Operation::Div | Operation::StrongDiv | Operation::Sqrt | Operation::Rem);
        self.ns += INSTRUCTION_NS + if is_slow { DIVISION_NS } else { 0.0 };
        let first = operands.first().copied().unwrap_or_default();
        let operand = |i: usize| operands.get(i).copied().unwrap_or(first);
        let operands = [first, operand(1), operand(2)];
        self.script.instructions.push(Instruction { operation, out, operands });
    }

    /// The registers of the entries of a value.
    fn value(
        &mut self,
        builder: &Builder,
        values: &[Vec<u16>],
        source: &Source,
        size: usize,
    ) -> Option<Vec<u16>> {
        match source {
            Source::Constant(scalar) => Some(vec![self.constant(*scalar)?; size]),
            Source::Read { array: Where::Kept(i), view } => {
                view.places().map(|place| self.constant(builder.kept[*i].get(place)?)).collect()
            }
            Source::Read { array: Where::Output(_), .. } => None,
            Source::Read { array: Where::Input(i), view } => {
                let mut entries = vec![];
                for place in view.places() {
                    if let Some(&known) = self.read.get(&(*i, place)) {
                        entries.push(known);
                        continue;
                    }
                    let register = self.registers(1)?;
                    let is_truth = builder.inputs[*i].0 == DType::Bool;
                    runs(&mut self.script.loads, *i, is_truth, [(place, register)].into_iter());
                    self.read.insert((*i, place), register);
                    entries.push(register);
                }
                Some(entries)
            }
            Source::View { of, view } => Some(view.places().map(|place| values[of.0][place]).collect()),
            Source::Assemble { fill, parts } => {
                let mut entries = vec![values[fill.0][0]; size];
                for (part, view) in parts {
                    for (place, &register) in view.places().zip(&values[part.0]) {
                        entries[place] = register;
                    }
                }
                Some(entries)
            }
            Source::Op { op, operands } => {
                let dtypes: Vec<DType> = operands.iter().map(|v| builder.values[v.0].dtype).collect();
                let operands: Vec<&[u16]> = operands.iter().map(|v| &values[v.0][..]).collect();
                match op {
                    // Truth values are numbers already.
                    Op::Copy => return Some(operands[0].to_vec()),
                    Op::Convert(to) if *to == dtypes[0] || *to == T::DTYPE => {
                        return Some(operands[0].to_vec());
                    }
                    Op::Function(_) | Op::Function2(_) => return self.called(*op, &operands, size),
                    _ => {}
                }
                let operation = Operation::new(*op, &dtypes)?;
                let first = self.registers(size)?;
                for i in 0..size {
                    let of_entry: Vec<u16> = operands.iter().map(|entries| entries[i]).collect();
                    self.write(operation, first + i as u16, &of_entry);
                }
                Some((first..first + size as u16).collect())
            }
            Source::Reduce { reduction, of, lengths } => self.reduced(*reduction, &values[of.0], *lengths),
            Source::Product { a, b, lengths } => self.product(&values[a.0], &values[b.0], lengths),
        }
    }

    /// A function, of neighbours at once.
    fn called(&mut self, function: Op, operands: &[&[u16]], size: usize) -> Option<Vec<u16>> {
        let first = self.registers(size)?;
        let mut done = 0;
        while done < size {
            let follows = |n: usize| {
                operands.iter().all(|entries| entries[done + n] == entries[done].wrapping_add(n as u16))
            };
            let n = (1..size - done).take_while(|&n| follows(n)).count() + 1;
            let at = |i: usize| operands.get(i).map_or(operands[0][done], |entries| entries[done]);
            let number = u16::try_from(self.script.calls.len()).ok()?;
            let call = Call { function, out: first + done as u16, operands: [at(0), at(1)], n: n as u16 };
            self.script.calls.push(call);
            let operands = [number, 0, 0];
            self.script.instructions.push(Instruction { operation: Operation::Call, out: 0, operands });
            self.ns += CALL_NS * n.div_ceil(64 / size_of::<T>()) as f64;
            done += n;
        }
        Some((first..first + size as u16).collect())
    }

    /// In the order of Note [canonical sum] of `reduce`.
    fn reduced(
        &mut self,
        reduction: Reduction,
        of: &[u16],
        [outer, n, inner]: [usize; 3],
    ) -> Option<Vec<u16>> {
        let operation = match reduction {
            Reduction::Sum => Operation::Add,
            Reduction::Prod => Operation::Mul,
            Reduction::Max => Operation::Max,
            Reduction::Min => Operation::Min,
        };
        let mut entries = vec![];
        for i in 0..outer {
            for j in 0..inner {
                let term = |row: usize| of[(i * n + row) * inner + j];
                let n_lanes = n.min(T::LANES);
                let mut lanes: Vec<u16> = (0..n_lanes).map(term).collect();
                if n <= T::LANES {
                    let rest = lanes.split_off(1);
                    let total = rest
                        .into_iter()
                        .try_fold(lanes[0], |total, term| self.instruction(operation, &[total, term]))?;
                    entries.push(total);
                    continue;
                }
                for row in T::LANES..n {
                    lanes[row % T::LANES] =
                        self.instruction(operation, &[lanes[row % T::LANES], term(row)])?;
                }
                let mut half = T::LANES / 2;
                while half > 0 {
                    for lane in 0..half {
                        lanes[lane] = self.instruction(operation, &[lanes[lane], lanes[lane + half]])?;
                    }
                    half /= 2;
                }
                entries.push(lanes[0]);
            }
        }
        Some(entries)
    }

    /// In the order of Note [canonical product] of `dot`.
    fn product(&mut self, a: &[u16], b: &[u16], lengths: &[i32; 10]) -> Option<Vec<u16>> {
        let [batch, m, k, n, a_batch, a_row, a_column, b_batch, b_row, b_column] =
            lengths.map(|n| n as usize);
        if k > CHAIN {
            return None;
        }
        let zero = self.constant(Array::zeros(T::DTYPE, []).get(0)?)?;
        let mut entries = vec![];
        for i in 0..batch {
            for row in 0..m {
                for column in 0..n {
                    let mut chain = zero;
                    for at in 0..k {
                        let x = a[i * a_batch + row * a_row + at * a_column];
                        let y = b[i * b_batch + at * b_row + column * b_column];
                        chain = self.instruction(Operation::Fma, &[x, y, chain])?;
                    }
                    entries.push(chain);
                }
            }
        }
        Some(entries)
    }
}
