//! Convolution over one to three axes (cross-correlation, as in deep learning), and its two transposes.
//!
//! With x: [n, g·c, lens..], w: [g·o, c, window..], y: [n, g·o, places..] for g groups, one trilinear form Σ y·x·w has three
//! partial functions; `form` says which factor is returned: `output` y from (x, w), `input` x from (y, w), `kernel` w from
//! (x, y). Derivative: each is linear in either operand, and transposes into another of the three; reverse keeps the other
//! operand. Cost 2·n·g·o·c·|places|·|window| operations. Order of sums: see `retrograde_array::ops::conv`. Errors: none.
//! Source: Dumoulin, Visin 2016, A guide to convolution arithmetic for deep learning.

use super::structure::{array_type, arrays_only};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::ops::{self, Window};
use retrograde_array::DType;

/// Which factor of the form is returned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Form {
    /// y from (x, w)
    Output,
    /// x from (y, w)
    Input,
    /// w from (x, y)
    Kernel,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Conv {
    /// Which factor is returned.
    pub form: Form,
    /// How the kernel slides.
    pub window: Window,
    /// In how many groups the channels are.
    pub groups: usize,
    /// Lengths of the axes of the input.
    pub lens: Vec<usize>,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Form::Output => "output",
            Form::Input => "input",
            Form::Kernel => "kernel",
        }
    }
}

/// The parameters of a window in the text form.
pub(super) fn window_fields(window: &Window) -> Fields<Prim> {
    let ints = |x: &[usize]| Field::Ints(x.to_vec());
    vec![
        ("window", ints(&window.size)),
        ("strides", ints(&window.strides)),
        ("low", ints(&window.low)),
        ("high", ints(&window.high)),
        ("dilation", ints(&window.dilation)),
    ]
}

/// Reads what [`window_fields`] wrote.
pub(super) fn parse_window(args: &mut Args) -> Result<Window, String> {
    Ok(Window {
        size: args.ints("window")?,
        strides: args.ints("strides")?,
        low: args.ints("low")?,
        high: args.ints("high")?,
        dilation: args.ints("dilation")?,
    })
}

/// Refuses a window that does not slide over axes of these lengths.
pub(super) fn check_window(window: &Window, lens: &[usize]) -> Result<(), Mismatch> {
    let rank = window.size.len();
    if !(1..=3).contains(&rank) || lens.len() != rank {
        return Err(Mismatch::new(format!("found a window over {rank} axes and {} lengths, expected 1 to 3 of both", lens.len()))
            .help("one length of the window for each axis that it slides over"));
    }
    let lists = [("strides", &window.strides), ("low", &window.low), ("high", &window.high), ("dilation", &window.dilation)];
    for (what, list) in lists {
        if list.len() != rank {
            return Err(Mismatch::new(format!("{what}: found {} entries, expected {rank}, one for each axis", list.len()))
                .help("give one number for all axes or one for each"));
        }
    }
    for (what, list) in [("window", &window.size), ("strides", &window.strides), ("dilation", &window.dilation)] {
        if list.contains(&0) {
            return Err(Mismatch::new(format!("{what}: found {list:?}, expected at least 1 along every axis")));
        }
    }
    // Far below what would overflow.
    let lists = [&window.size, &window.strides, &window.low, &window.high, &window.dilation];
    if lists.iter().any(|list| list.iter().any(|&n| n > u32::MAX as usize)) {
        return Err(Mismatch::new(format!("found {window:?}, expected numbers below 2^32")));
    }
    Ok(())
}

impl Conv {
    /// The same convolution in another form.
    fn with(&self, form: Form) -> Conv {
        Conv { form, ..self.clone() }
    }
    /// What the two operands are.
    fn factors(&self) -> [Form; 2] {
        match self.form {
            Form::Output => [Form::Input, Form::Kernel],
            Form::Input => [Form::Output, Form::Kernel],
            Form::Kernel => [Form::Input, Form::Output],
        }
    }
}

impl Rules for Conv {
    const NAME: &'static str = "conv";
    fn fields(&self) -> Fields<Prim> {
        let mut fields = vec![("form", Field::Word(self.form.name().into()))];
        fields.extend(window_fields(&self.window));
        fields.push(("groups", Field::Int(self.groups as i64)));
        fields.push(("lens", Field::Ints(self.lens.clone())));
        fields
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        let form = args.word("form")?;
        let form = [Form::Output, Form::Input, Form::Kernel]
            .into_iter()
            .find(|f| f.name() == form)
            .ok_or_else(|| format!("parameter `form`: found `{form}`, expected one of output, input, kernel"))?;
        Ok(Conv { form, window: parse_window(args)?, groups: args.size("groups")?, lens: args.ints("lens")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 2)?;
        let (a, b) = (&inputs[0], &inputs[1]);
        if a.dtype != b.dtype || a.dtype == DType::Bool {
            return Err(Mismatch::new(format!("found {a} and {b}, expected numbers of one dtype"))
                .help(format!("convert one side: `.convert(DType::{:?})`", if a.dtype == DType::Bool { b.dtype } else { a.dtype })));
        }
        for ty in [a, b] {
            let expected = self.window.size.len() + 2;
            if ty.shape.rank() != expected {
                return Err(Mismatch::new(format!("found {ty} of {} axes, expected {expected}", ty.shape.rank()))
                    .help("the input is [examples, channels, lengths..], the kernel [outputs, channels in a group, lengths..]"));
            }
        }
        check_window(&self.window, &self.lens)?;
        let (g, places) = (self.groups, self.window.places(&self.lens));
        let is = |what: &str, found: &[usize], expected: &[usize]| {
            if found == expected {
                return Ok(());
            }
            Err(Mismatch::new(format!("{what}: found lengths {found:?}, expected {expected:?}")))
        };
        let of_group = |what: &str, channels: usize| {
            if g > 0 && channels.is_multiple_of(g) {
                return Ok(channels / g);
            }
            Err(Mismatch::new(format!("found {channels} {what} in {g} groups, expected a multiple of the number of groups")))
        };
        let channels = |found: usize, expected: usize| {
            if found == expected {
                return Ok(());
            }
            Err(Mismatch::new(format!("found a kernel of {found} channels, expected {expected}, those of the input in one of {g} groups"))
                .help("the kernel is [outputs, channels in a group, lengths..]"))
        };
        let lens = |ty: &Type| ty.shape[2..].to_vec();
        let shape = match self.form {
            Form::Output => {
                is("input", &lens(a), &self.lens)?;
                is("kernel", &lens(b), &self.window.size)?;
                channels(b.shape[1], of_group("channels of the input", a.shape[1])?)?;
                of_group("outputs of the kernel", b.shape[0])?;
                if places.contains(&0) {
                    return Err(Mismatch::new(format!("found a kernel {b} longer than the padded input {a}"))
                        .help("pad the input, or dilate the kernel less"));
                }
                [&[a.shape[0], b.shape[0]], &places[..]].concat()
            }
            Form::Input => {
                is("output", &lens(a), &places)?;
                is("kernel", &lens(b), &self.window.size)?;
                is("channels of the output", &a.shape[1..2], &b.shape[..1])?;
                of_group("outputs of the kernel", b.shape[0])?;
                [&[a.shape[0], b.shape[1] * g], &self.lens[..]].concat()
            }
            Form::Kernel => {
                is("input", &lens(a), &self.lens)?;
                is("output", &lens(b), &places)?;
                is("examples", &a.shape[..1], &b.shape[..1])?;
                of_group("channels of the output", b.shape[1])?;
                [&[b.shape[1], of_group("channels of the input", a.shape[1])?], &self.window.size[..]].concat()
            }
        };
        Ok(vec![array_type(a.dtype, shape)?])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let (a, b) = (inputs[0].array(), inputs[1].array());
        value::one(match self.form {
            Form::Output => ops::conv(a, b, &self.window, self.groups),
            Form::Input => ops::conv_input(a, b, &self.window, self.groups, &self.lens),
            Form::Kernel => ops::conv_kernel(a, b, &self.window, self.groups),
        })
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let left = tangents[0].map(|dot| r.emit(self.clone(), &[dot, inputs[1]]));
        let right = tangents[1].map(|dot| r.emit(self.clone(), &[inputs[0], dot]));
        vec![r.add_optional(left, right)]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear != [true, true]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let Some(ct) = cts[0] else { return vec![None, None] };
        let asked = usize::from(!inputs[0].is_linear());
        let (of, other) = (self.factors()[asked], self.factors()[1 - asked]);
        let known = inputs[1 - asked].known();
        let back = self.with(of);
        // The operands of that form, in its order: the cotangent stands for the factor that this form returns.
        let operands = back.factors().map(|factor| if factor == other { known } else { ct });
        let bar = r.emit(back, &operands);
        if asked == 0 { vec![Some(bar), None] } else { vec![None, Some(bar)] }
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let dims = |r: &Rule<'_>, v: ValueId| r.ty(v).shape.to_vec();
        if n == 0 {
            let lane = |(&v, &has): (&ValueId, &bool)| if has { r.ty(v).unstacked() } else { r.ty(v) };
            let types: Vec<Type> = inputs.iter().zip(batched).map(lane).collect();
            let out = self.infer(&types).expect("the operands of a lane fit; this is a bug in retrograde").remove(0);
            return (vec![r.zeros(&out.stacked(0))], vec![true]);
        }
        if self.form != Form::Kernel && batched == [true, false] {
            // More examples of the same kernel.
            let shape = dims(r, inputs[0]);
            let examples = r.reshape(inputs[0], &[&[n * shape[1]], &shape[2..]].concat());
            let out = r.emit(self.clone(), &[examples, inputs[1]]);
            let of = dims(r, out);
            return (vec![r.reshape(out, &[&[n, shape[1]], &of[1..]].concat())], vec![true]);
        }
        // Each lane is a group of channels, or several.
        let inputs = r.all_batched(inputs, batched, n);
        let mut operands = vec![];
        for (&v, factor) in inputs.iter().zip(self.factors()) {
            let shape = dims(r, v);
            operands.push(if factor == Form::Kernel {
                r.reshape(v, &[&[n * shape[1]], &shape[2..]].concat())
            } else {
                let perm: Vec<usize> = [1, 0].into_iter().chain(2..shape.len()).collect();
                let v = r.transpose(v, &perm);
                r.reshape(v, &[&[shape[1], n * shape[2]], &shape[3..]].concat())
            });
        }
        let out = r.emit(Conv { groups: n * self.groups, ..self.clone() }, &operands);
        let shape = dims(r, out);
        let out = if self.form == Form::Kernel {
            r.reshape(out, &[&[n, shape[0] / n], &shape[1..]].concat())
        } else {
            let out = r.reshape(out, &[&[shape[0], n, shape[1] / n], &shape[2..]].concat());
            let perm: Vec<usize> = [1, 0].into_iter().chain(2..shape.len() + 1).collect();
            r.transpose(out, &perm)
        };
        (vec![out], vec![true])
    }
    fn rows() -> Vec<Row> {
        let window = |size: &[usize], strides: &[usize], low: &[usize], high: &[usize], dilation: &[usize]| {
            let [size, strides, low, high, dilation] = [size, strides, low, high, dilation].map(<[usize]>::to_vec);
            Window { size, strides, low, high, dilation }
        };
        let mut rows = vec![];
        for (window, lens, groups) in [
            (window(&[3], &[2], &[1], &[2], &[2]), vec![7], 2),
            (window(&[2, 2], &[1, 2], &[0, 1], &[1, 0], &[1, 1]), vec![3, 4], 1),
            (window(&[1, 2, 2], &[1, 1, 1], &[0, 0, 0], &[0, 0, 0], &[1, 1, 1]), vec![2, 2, 3], 1),
        ] {
            let places = window.places(&lens);
            let ty = |lead: [usize; 2], tail: &[usize]| Type::array(DType::F64, [&lead, tail].concat());
            let (x, w, y) = (ty([2, 2 * groups], &lens), ty([3 * groups, 2], &window.size), ty([2, 3 * groups], &places));
            for (form, types) in [(Form::Output, [&x, &w]), (Form::Input, [&y, &w]), (Form::Kernel, [&x, &y])] {
                let op = Conv { form, window: window.clone(), groups, lens: lens.clone() };
                rows.push(Row::new(op, &types.map(Type::clone)));
            }
        }
        rows
    }
}
