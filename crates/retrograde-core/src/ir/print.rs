//! The text form of programs: what goldens, bug reports and memory reports show, and what [`parse`](super::parse())
//! reads back.
//!
//! Values are named by their number, `a` to `z`, then `aa`, `ab`…, so equal programs print equal text. A `#` outside
//! quotes starts a remark up to the end of the line. A word that would read as something else (`true`, `12`, `f64`)
//! stands in backquotes, and an empty list of programs is written `[program]`.

use std::fmt::{self, Write};

use retrograde_array::{Array, DType, Scalar};

use super::program::{EqnId, Equation, Field, Op, Program, ValueId};

/// Array constants of more elements are elided by [`print_abbreviated`] and [`window`].
const ELIDE_ABOVE: usize = 8;
/// Elements shown of an elided constant.
const SHOWN: usize = 3;

/// The whole program: `parse(print(p)) == p`.
///
/// ```
/// use retrograde_core::{ir, ir::{EqnId, ValueId, parse}, prim::Prim};
/// let text = "program(a:f64[2]) {\n  b:f64[2] = sin a\n  c:f64[] = sum[axes=[0]] b\n  return c\n}";
/// let program = parse::<Prim>(text)?;
/// assert_eq!((ir::print(&program), ir::print_abbreviated(&program)), (text.to_owned(), text.to_owned()));
/// assert_eq!(ir::print_with_locations(&program), text); // a parsed program has no locations
/// assert_eq!(ir::window(&program, EqnId(1), 1), ["b:f64[2] = sin a", ">c:f64[] = sum[axes=[0]] b"]);
/// assert_eq!(ir::print::value_name(ValueId(2)), "c");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn print<O: Op>(program: &Program<O>) -> String {
    Printer::default().whole(program)
}

/// [`print()`] with ` # file:line:column` after every equation whose location is known; parses too.
pub fn print_with_locations<O: Op>(program: &Program<O>) -> String {
    Printer { locations: true, ..Printer::default() }.whole(program)
}

/// [`print()`] without the elements of long constants, for people. When something was left out the text does not
/// parse, and its first line says so.
pub fn print_abbreviated<O: Op>(program: &Program<O>) -> String {
    let mut printer = Printer { abbreviate: true, ..Printer::default() };
    printer.program(program, 0);
    if !printer.elided {
        return printer.out;
    }
    format!(
        "# abbreviated, does not parse: constants of more than {ELIDE_ABOVE} elements are cut\n{}",
        printer.out
    )
}

/// The equations up to `around` before and after one, a line each, that one marked with a leading `>`.
/// Bodies and long constants are cut.
pub fn window<O: Op>(program: &Program<O>, equation: EqnId, around: usize) -> Vec<String> {
    let (centre, n) = (equation.0 as usize, program.equations.len());
    let last = centre.saturating_add(around).saturating_add(1).min(n);
    (centre.saturating_sub(around).min(last)..last)
        .map(|i| {
            let mut printer = Printer { abbreviate: true, flat: true, ..Printer::default() };
            if i == centre {
                printer.out.push('>');
            }
            printer.equation(program, &program.equations[i], 0);
            printer.out
        })
        .collect()
}

/// The name of a value in the text form.
pub fn value_name(value: ValueId) -> String {
    let mut letters = vec![];
    let mut n = u64::from(value.0) + 1;
    while n > 0 {
        n -= 1;
        letters.push(char::from(b'a' + (n % 26) as u8));
        n /= 26;
    }
    letters.iter().rev().collect()
}

impl<O: Op> fmt::Display for Program<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(self))
    }
}

/// A character of words: names of operations, of their parameters, and [`Field::Word`].
pub(super) fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Digits, perhaps after a minus: reads as an integer.
pub(super) fn looks_like_int(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn reads_as_word(word: &str) -> bool {
    !word.is_empty()
        && word.chars().all(is_word_char)
        && !looks_like_int(word)
        && !matches!(word, "true" | "false" | "bits" | "program")
        && word.parse::<DType>().is_err()
}

#[derive(Default)]
struct Printer {
    out: String,
    locations: bool,
    abbreviate: bool,
    /// One line per equation: bodies are cut.
    flat: bool,
    /// Something was cut.
    elided: bool,
}

impl Printer {
    fn whole<O: Op>(mut self, program: &Program<O>) -> String {
        self.program(program, 0);
        self.out
    }

    fn put(&mut self, args: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.out.write_fmt(args);
    }

    /// `items` with commas between.
    fn list<T>(&mut self, items: &[T], separator: &str, mut each: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.out.push_str(separator);
            }
            each(self, item);
        }
    }

    fn typed<O: Op>(&mut self, program: &Program<O>, value: ValueId) {
        let name = value_name(value);
        // A broken program must still print: its text goes into the bug report.
        match program.types.get(value.index()) {
            Some(ty) => self.put(format_args!("{name}:{ty}")),
            None => self.put(format_args!("{name}:?")),
        }
    }

    fn program<O: Op>(&mut self, program: &Program<O>, indent: usize) {
        self.out.push_str("program(");
        self.list(&program.inputs, ", ", |p, &v| p.typed(program, v));
        if self.flat {
            self.out.push_str(") {...}");
            return;
        }
        self.out.push_str(") {\n");
        for equation in &program.equations {
            self.put(format_args!("{:1$}", "", indent + 2));
            self.equation(program, equation, indent + 2);
            self.out.push('\n');
        }
        self.put(format_args!("{:1$}return", "", indent + 2));
        if !program.outputs.is_empty() {
            self.out.push(' ');
        }
        self.list(&program.outputs, ", ", |p, &v| p.out.push_str(&value_name(v)));
        self.put(format_args!("\n{:1$}}}", "", indent));
    }

    fn equation<O: Op>(&mut self, program: &Program<O>, equation: &Equation<O>, indent: usize) {
        self.list(&equation.outputs, ", ", |p, &v| p.typed(program, v));
        if !equation.outputs.is_empty() {
            self.out.push(' ');
        }
        self.put(format_args!("= {}", equation.op.name()));
        let fields = equation.op.fields();
        if !fields.is_empty() {
            self.out.push('[');
            self.list(&fields, ", ", |p, (key, field)| {
                p.put(format_args!("{key}="));
                p.field(field, indent);
            });
            self.out.push(']');
        }
        for &operand in &equation.inputs {
            self.put(format_args!(" {}", value_name(operand)));
        }
        if self.locations
            && let Some(location) = equation.location
        {
            self.put(format_args!(" # {location}"));
        }
    }

    fn field<O: Op>(&mut self, field: &Field<O>, indent: usize) {
        match field {
            Field::Bool(x) => self.put(format_args!("{x}")),
            Field::Int(x) => self.put(format_args!("{x}")),
            Field::Ints(xs) => {
                self.out.push('[');
                self.list(xs, ",", |p, x| p.put(format_args!("{x}")));
                self.out.push(']');
            }
            Field::Word(word) if reads_as_word(word) => self.out.push_str(word),
            Field::Word(word) => self.quoted(word, '`'),
            Field::Text(text) => self.quoted(text, '"'),
            Field::Type(ty) => self.put(format_args!("{ty}")),
            Field::Array(array) => self.array(array),
            Field::Program(body) => self.program(body, indent),
            Field::Programs(bodies) if bodies.is_empty() => self.out.push_str("[program]"),
            Field::Programs(bodies) => {
                self.out.push('[');
                self.list(bodies, ", ", |p, body| p.program(body, indent));
                self.out.push(']');
            }
        }
    }

    fn quoted(&mut self, text: &str, quote: char) {
        self.out.push(quote);
        for c in text.chars() {
            match c {
                '\n' => self.out.push_str("\\n"),
                '\t' => self.out.push_str("\\t"),
                '\r' => self.out.push_str("\\r"),
                '\\' | '"' | '`' => self.out.extend(['\\', c]),
                c if c.is_control() => self.put(format_args!("\\u{{{:x}}}", u32::from(c))),
                c => self.out.push(c),
            }
        }
        self.out.push(quote);
    }

    fn array(&mut self, array: &Array) {
        self.put(format_args!("{}{}{{", array.dtype(), array.shape()));
        let cut = self.abbreviate && array.size() > ELIDE_ABOVE;
        let n = if cut { SHOWN } else { array.size() };
        let entries: Vec<Scalar> = array.scalars().take(n).collect();
        // The text of a float is the shortest that parses back to the same bits.
        self.list(&entries, ",", |p, x| match x {
            x if x.to_f64().is_nan() => p.out.push_str("nan"),
            x => p.put(format_args!("{x}")),
        });
        if cut {
            self.elided = true;
            self.put(format_args!(",... {} more", array.size() - n));
        }
        self.out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ir::toy::{Toy, f64s, nested};
    use crate::ir::{Builder, Location, Type, parse};

    #[test]
    fn names_follow_the_alphabet() {
        let names = [0, 25, 26, 27, 701, 702].map(|i| value_name(ValueId(i)));
        assert_eq!(names, ["a", "z", "aa", "ab", "zz", "aaa"]);
        assert_eq!(value_name(ValueId(u32::MAX)).len(), 7);
    }

    #[test]
    fn text_of_a_nested_program() {
        let expected = "\
program(a:f64[3], b:f64[3]) {
  c:f64[3], d:f64[3] = call[label=store, body=program(a:f64[3], b:f64[3]) {
    c:f64[3] = mul a b
    return c, c
  }] a b
  e:f64[3] = constant[value=f64[3]{1.0,-0.0,2.5}]
  f:f64[3] = add d e
  return c, f
}";
        assert_eq!(print(&nested()), expected);
        assert_eq!(nested().to_string(), expected);
    }

    #[test]
    fn empty_program() {
        let program = Builder::<Toy>::new().finish(vec![]);
        assert_eq!(print(&program), "program() {\n  return\n}");
        assert_eq!(parse::<Toy>(&print(&program)), Ok(program));
    }

    #[test]
    fn locations_are_remarks() {
        let mut b = Builder::new();
        let a = b.input(Type::of(&f64s(&[1.0])));
        let location = Location(std::panic::Location::caller());
        b.location = Some(location);
        let c = b.emit1(Toy::Add, &[a, a]);
        let program = b.finish(vec![c]);
        let text = print_with_locations(&program);
        assert!(text.contains(&format!("= add a a # {}:{}:", file!(), location.0.line())), "{text}");
        assert_eq!(parse(&text), Ok(program.clone()));
        assert!(!print(&program).contains('#'));
    }

    #[test]
    fn long_constants_are_cut_and_said_so() {
        let mut b = Builder::new();
        let short = b.emit1(Toy::Constant(f64s(&[0.5; 8])), &[]);
        let program = b.clone().finish(vec![short]);
        assert_eq!(print_abbreviated(&program), print(&program));
        b.emit1(Toy::Constant(f64s(&[1.0; 9])), &[]);
        let text = print_abbreviated(&b.finish(vec![short]));
        assert!(text.starts_with("# abbreviated, does not parse"), "{text}");
        assert!(text.contains("f64[9]{1.0,1.0,1.0,... 6 more}"), "{text}");
        assert!(parse::<Toy>(&text).is_err());
    }

    #[test]
    fn window_marks_the_line() {
        let program = nested();
        assert_eq!(
            window(&program, EqnId(1), 1),
            [
                "c:f64[3], d:f64[3] = call[label=store, body=program(a:f64[3], b:f64[3]) {...}] a b",
                ">e:f64[3] = constant[value=f64[3]{1.0,-0.0,2.5}]",
                "f:f64[3] = add d e",
            ]
        );
        assert_eq!(window(&program, EqnId(2), 0), [">f:f64[3] = add d e"]);
        assert_eq!(window(&program, EqnId(3), 1), ["f:f64[3] = add d e"]);
        assert!(window(&program, EqnId(u32::MAX), 2).is_empty());
        assert_eq!(window(&program, EqnId(0), usize::MAX).len(), 3);
    }

    #[test]
    fn broken_programs_still_print() {
        let mut program = nested();
        program.types.clear();
        program.equations[0].inputs[0] = ValueId(u32::MAX);
        assert!(print(&program).contains("c:?, d:? = call"));
    }

    #[test]
    fn every_field_in_text() {
        let body = Arc::new(Builder::new().finish(vec![]));
        let fields: Fields = vec![
            ("flag", Field::Bool(true)),
            ("int", Field::Int(-3)),
            ("ints", Field::Ints(vec![0, 1])),
            ("word", Field::Word("1e-3".into())),
            ("word2", Field::Word("f64".into())),
            ("text", Field::Text("a \"b\"\n\u{1}#é".into())),
            ("type", Field::Type(Type::bits())),
            ("programs", Field::Programs(vec![body])),
            ("none", Field::Programs(vec![])),
        ];
        type Fields = crate::ir::Fields<Toy>;
        let mut b = Builder::new();
        b.emit(Toy::Note(fields), &[]);
        let text = print(&b.finish(vec![]));
        let expected = "\
program() {
  = note[flag=true, int=-3, ints=[0,1], word=1e-3, word2=`f64`, text=\"a \\\"b\\\"\\n\\u{1}#é\", type=bits, \
programs=[program() {
    return
  }], none=[program]]
  return
}";
        assert_eq!(text, expected);
    }
}
