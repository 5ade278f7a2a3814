//! Reads the text form of programs; see [`mod@super::print`] for the form.
//!
//! A recursive-descent parser that takes any text: programs nest at most [`MAX_DEPTH`] deep, shapes must fit memory,
//! and nothing is allocated by a number that stands in the text. Names are free (letters, digits, `_`) and mean
//! nothing; types of results are compared with those inferred.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use retrograde_array::{Array, DType, Element, Shape, bf16};

use super::Builder;
use super::check::MAX_DEPTH;
use super::print::{is_word_char, looks_like_int};
use super::program::{Field, Op, Program, Type, ValueId};

/// Why a text is not a program.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}, column {column}: found {found}, expected {expected}")]
pub struct ParseError {
    /// Line of the text, from 1.
    pub line: usize,
    /// Character of that line, from 1.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What would have been right.
    pub expected: String,
}

/// The program of a text; `parse(print(p)) == p`.
///
/// # Errors
/// The first place where the text is not a program, or where an operation refuses its operands, or where the type of
/// a result is not the one inferred.
///
/// # Cost
/// One pass over the text.
///
/// ```
/// use retrograde_core::{ir::{parse, print}, prim::Prim};
/// let text = "program(a:f64[2]) {\n  b:f64[] = sum[axes=[0]] a\n  return b\n}";
/// assert_eq!(print(&parse::<Prim>(text)?), text);
/// let error = parse::<Prim>("program(a:f64[2]) {\n  b:f64[] = sun a\n  return b\n}").unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 13: found `sun`, expected a known operation: there is no primitive named `sun`");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parse<O: Op>(text: &str) -> Result<Program<O>, ParseError> {
    let mut parser = Parser { text, at: 0 };
    if u32::try_from(text.len()).is_err() {
        // Values are numbered by u32, and a value takes at least a byte.
        return Err(parser.error_at(0, "a text of 4 GiB or more", "a shorter one"));
    }
    parser.space();
    let program = parser.program(1)?;
    parser.space();
    match parser.peek() {
        None => Ok(program),
        Some(_) => parser.fail("the end of the text"),
    }
}

/// What the brackets of an operation hold.
type Parameters<O> = Vec<(String, Field<O>)>;

struct Parser<'a> {
    text: &'a str,
    /// Byte position, always between characters.
    at: usize,
}

impl<'a> Parser<'a> {
    // Errors.

    fn error_at(&self, at: usize, found: impl Into<String>, expected: impl Into<String>) -> ParseError {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        ParseError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// The word or character that starts at a position, for messages.
    fn found_at(&self, at: usize) -> String {
        let rest = &self.text[at..];
        let word: String = rest.chars().take_while(|&c| is_word_char(c)).take(40).collect();
        match rest.chars().next() {
            None => "the end of the text".to_owned(),
            Some('\n') => "the end of the line".to_owned(),
            Some(c) if word.is_empty() => format!("`{}`", c.escape_debug()),
            Some(_) => format!("`{word}`"),
        }
    }

    fn unexpected(&self, at: usize, expected: impl Into<String>) -> ParseError {
        self.error_at(at, self.found_at(at), expected)
    }

    fn fail<T>(&self, expected: &str) -> Result<T, ParseError> {
        Err(self.unexpected(self.at, expected))
    }

    // Characters.

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !accept(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn expect(&mut self, c: char, expected: &str) -> Result<(), ParseError> {
        if self.eat(c) { Ok(()) } else { self.fail(expected) }
    }

    /// Skips blanks, ends of lines and remarks.
    fn space(&mut self) {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            if self.peek() != Some('#') {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    /// Skips blanks within the line.
    fn blanks(&mut self) {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r'));
    }

    fn word(&mut self, expected: &str) -> Result<&'a str, ParseError> {
        match self.take_while(is_word_char) {
            "" => self.fail(expected),
            word => Ok(word),
        }
    }

    fn name(&mut self, expected: &str) -> Result<&'a str, ParseError> {
        if !self.peek().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') {
            return self.fail(expected);
        }
        Ok(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_'))
    }

    // Programs.

    /// `program(..) {..}`
    fn program<O: Op>(&mut self, depth: usize) -> Result<Program<O>, ParseError> {
        let start = self.at;
        if self.take_while(is_word_char) != "program" {
            return Err(self.unexpected(start, "`program`"));
        }
        self.program_after_keyword(start, depth)
    }

    fn program_after_keyword<O: Op>(&mut self, start: usize, depth: usize) -> Result<Program<O>, ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.unexpected(start, format!("at most {MAX_DEPTH} programs inside each other")));
        }
        let mut builder = Builder::new();
        let mut scope = HashMap::new();
        self.space();
        self.expect('(', "`(`")?;
        self.space();
        if !self.eat(')') {
            loop {
                self.space();
                let (at, name, ty) = self.binding("an input such as `a:f64[3]`")?;
                let value = builder.input(ty);
                self.bind(&mut scope, at, name, value)?;
                self.space();
                if self.eat(')') {
                    break;
                }
                self.expect(',', "`,` or `)`")?;
            }
        }
        self.space();
        self.expect('{', "`{`")?;
        loop {
            self.space();
            let start = self.at;
            if self.rest().starts_with("return") && self.name("")? == "return" {
                self.space();
                if self.peek() != Some(':') {
                    break;
                }
            }
            self.at = start;
            self.equation(&mut builder, &mut scope, depth)?;
        }
        let mut outputs = vec![];
        if !self.eat('}') {
            loop {
                self.space();
                outputs.push(self.operand(&scope, "a value to return")?);
                self.space();
                if self.eat('}') {
                    break;
                }
                self.expect(',', "`,` or `}`")?;
            }
        }
        Ok(builder.finish(outputs))
    }

    /// `name:type`
    fn binding(&mut self, expected: &str) -> Result<(usize, &'a str, Type), ParseError> {
        let at = self.at;
        let name = self.name(expected)?;
        self.space();
        self.expect(':', "`:` and a type")?;
        self.space();
        let (start, ty) = (self.at, self.ty(false)?);
        match ty {
            Some(ty) => Ok((at, name, ty)),
            None => Err(self.unexpected(start, "a type such as `f64[3]`")),
        }
    }

    fn bind(
        &self,
        scope: &mut HashMap<&'a str, ValueId>,
        at: usize,
        name: &'a str,
        value: ValueId,
    ) -> Result<(), ParseError> {
        match scope.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(self.error_at(at, format!("a second definition of `{name}`"), "a new name")),
        }
    }

    fn operand(&mut self, scope: &HashMap<&'a str, ValueId>, expected: &str) -> Result<ValueId, ParseError> {
        let at = self.at;
        let name = self.name(expected)?;
        match scope.get(name) {
            Some(&value) => Ok(value),
            None => Err(self.unexpected(at, "a value defined before")),
        }
    }

    /// `c:f64[3], d:f64[] = op[..] a b`, up to the end of the line.
    fn equation<O: Op>(
        &mut self,
        builder: &mut Builder<O>,
        scope: &mut HashMap<&'a str, ValueId>,
        depth: usize,
    ) -> Result<(), ParseError> {
        let mut results = vec![];
        if !self.eat('=') {
            loop {
                self.space();
                results.push(self.binding("an equation such as `c:f64[3] = mul a b`, or `return`")?);
                self.space();
                if self.eat('=') {
                    break;
                }
                self.expect(',', "`,` or `=`")?;
            }
        }
        self.space();
        let op_at = self.at;
        let op_name = self.word("an operation")?;
        self.blanks();
        let fields = if self.eat('[') { self.fields(depth)? } else { vec![] };
        let mut inputs = vec![];
        loop {
            self.blanks();
            if matches!(self.peek(), None | Some('\n' | '#')) {
                break;
            }
            inputs.push(self.operand(scope, "an operand or the end of the line")?);
        }
        let op = O::from_fields(op_name, fields)
            .map_err(|e| self.error_at(op_at, format!("`{op_name}`"), format!("a known operation: {e}")))?;
        let values = builder.try_emit(op, &inputs).map_err(|e| {
            let types: Vec<String> = inputs.iter().map(|&v| builder.ty(v).to_string()).collect();
            let found = match types.as_slice() {
                [] => format!("`{op_name}` without operands"),
                _ => format!("`{op_name}` of {}", types.join(" and ")),
            };
            let help = e.help.map_or(String::new(), |help| format!(" ({help})"));
            self.error_at(op_at, found, format!("operands that fit: {}{help}", e.message))
        })?;
        if values.len() != results.len() {
            let (found, expected) = (results.len(), values.len());
            return Err(self.error_at(
                op_at,
                format!("{found} names for the results of `{op_name}`"),
                format!("{expected}"),
            ));
        }
        for ((at, name, ty), value) in results.into_iter().zip(values) {
            let inferred = builder.ty(value);
            if ty != *inferred {
                return Err(self.error_at(at, format!("`{name}:{ty}`"), format!("`{name}:{inferred}`")));
            }
            self.bind(scope, at, name, value)?;
        }
        Ok(())
    }

    // Parameters.

    /// `key=value, ..]`
    fn fields<O: Op>(&mut self, depth: usize) -> Result<Parameters<O>, ParseError> {
        let mut fields = vec![];
        let mut keys = HashSet::new();
        self.space();
        if self.eat(']') {
            return Ok(fields);
        }
        loop {
            self.space();
            let at = self.at;
            let key = self.word("a parameter such as `axis=1`")?;
            if !keys.insert(key) {
                return Err(self.error_at(at, format!("a second `{key}`"), "each parameter once"));
            }
            self.space();
            self.expect('=', "`=`")?;
            self.space();
            fields.push((key.to_owned(), self.field(depth)?));
            self.space();
            if self.eat(']') {
                return Ok(fields);
            }
            self.expect(',', "`,` or `]`")?;
        }
    }

    fn field<O: Op>(&mut self, depth: usize) -> Result<Field<O>, ParseError> {
        match self.peek() {
            Some('"') => return self.quoted('"').map(Field::Text),
            Some('`') => return self.quoted('`').map(Field::Word),
            Some('[') => return self.list(depth),
            _ => {}
        }
        let start = self.at;
        if let Some(ty) = self.ty(true)? {
            return if self.eat('{') { self.array(start, ty).map(Field::Array) } else { Ok(Field::Type(ty)) };
        }
        match self.word("a parameter value")? {
            "true" => Ok(Field::Bool(true)),
            "false" => Ok(Field::Bool(false)),
            "program" => Ok(Field::Program(Arc::new(self.program_after_keyword(start, depth + 1)?))),
            word if looks_like_int(word) => match word.parse() {
                Ok(int) => Ok(Field::Int(int)),
                Err(_) => Err(self.unexpected(start, "an integer of 64 bits")),
            },
            word => Ok(Field::Word(word.to_owned())),
        }
    }

    /// `[0,1]`, `[program.., program..]`, or `[program]` for no programs.
    fn list<O: Op>(&mut self, depth: usize) -> Result<Field<O>, ParseError> {
        self.expect('[', "`[`")?;
        self.space();
        if !self.rest().starts_with("program") {
            return self.ints().map(Field::Ints);
        }
        let mut programs = vec![];
        loop {
            self.space();
            let start = self.at;
            if self.take_while(is_word_char) != "program" {
                return Err(self.unexpected(start, "`program`"));
            }
            self.space();
            if programs.is_empty() && self.eat(']') {
                break;
            }
            programs.push(Arc::new(self.program_after_keyword(start, depth + 1)?));
            self.space();
            if self.eat(']') {
                break;
            }
            self.expect(',', "`,` or `]`")?;
        }
        Ok(Field::Programs(programs))
    }

    /// `0,1]`
    fn ints(&mut self) -> Result<Vec<usize>, ParseError> {
        let mut ints = vec![];
        self.space();
        if self.eat(']') {
            return Ok(ints);
        }
        loop {
            self.space();
            let start = self.at;
            let digits = self.take_while(|c| c.is_ascii_digit());
            let end = !self.peek().is_some_and(is_word_char);
            match digits.parse() {
                Ok(int) if end => ints.push(int),
                _ => return Err(self.unexpected(start, "a number of at most 64 bits, without a sign")),
            }
            self.space();
            if self.eat(']') {
                return Ok(ints);
            }
            self.expect(',', "`,` or `]`")?;
        }
    }

    /// `f64[3]`, `*f64[3]` or `bits`; `f64` alone means `f64[]` where that cannot be confused. `None`, with nothing
    /// taken, for another word.
    fn ty(&mut self, bare: bool) -> Result<Option<Type>, ParseError> {
        let start = self.at;
        let list = self.eat('*');
        let word = self.take_while(is_word_char);
        if word == "bits" && !list {
            return Ok(Some(Type::bits()));
        }
        let Ok(dtype) = DType::from_str(word) else {
            if list {
                return self.fail("a list type such as `*f64[3]`");
            }
            self.at = start;
            return Ok(None);
        };
        let shape = if self.eat('[') {
            Shape::from(self.ints()?)
        } else if bare {
            Shape::scalar()
        } else {
            return self.fail("a shape such as `[3]` or `[]`");
        };
        // Empty axes are left out of the product, so that strides fit too.
        let mut lens = shape.iter().filter(|&&len| len > 0);
        let bytes = lens.try_fold(dtype.size_bytes(), |n, &len| n.checked_mul(len));
        if bytes.is_none_or(|n| n > isize::MAX as usize) {
            let found = format!("`{dtype}{shape}`");
            return Err(self.error_at(start, found, "a shape that fits into memory"));
        }
        let ty = Type::array(dtype, shape);
        Ok(Some(if list { ty.list() } else { ty }))
    }

    /// `1.0,-0.0}` of the type before.
    fn array(&mut self, start: usize, ty: Type) -> Result<Array, ParseError> {
        if ty != Type::array(ty.dtype, ty.shape.clone()) {
            return Err(self.unexpected(start, "an array type before `{`"));
        }
        match ty.dtype {
            DType::F64 => self
                .elements(start, ty, |word| word.parse().ok().filter(|x: &f64| x.is_finite() || named(word))),
            DType::F32 => self
                .elements(start, ty, |word| word.parse().ok().filter(|x: &f32| x.is_finite() || named(word))),
            DType::BF16 => self.elements(start, ty, |word| {
                word.parse().ok().filter(|x: &bf16| x.is_finite() || named(word))
            }),
            DType::I64 => self.elements::<i64>(start, ty, |word| word.parse().ok()),
            DType::I32 => self.elements::<i32>(start, ty, |word| word.parse().ok()),
            DType::U8 => self.elements::<u8>(start, ty, |word| word.parse().ok()),
            DType::Bool => self.elements::<bool>(start, ty, |word| word.parse().ok()),
        }
    }

    fn elements<T: Element>(
        &mut self,
        start: usize,
        ty: Type,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Array, ParseError> {
        let mut values = vec![];
        self.space();
        if !self.eat('}') {
            loop {
                self.space();
                let at = self.at;
                match read(self.take_while(|c| is_word_char(c) || c == '+')) {
                    Some(value) => values.push(value),
                    None => return Err(self.unexpected(at, format!("an element of type {}", ty.dtype))),
                }
                self.space();
                if self.eat('}') {
                    break;
                }
                self.expect(',', "`,` or `}`")?;
            }
        }
        let (found, size) = (values.len(), ty.shape.size());
        Array::new(ty.shape.clone(), values)
            .map_err(|_| self.error_at(start, format!("{found} elements"), format!("{size} for {ty}")))
    }

    /// Text between quotes, with escapes.
    fn quoted(&mut self, quote: char) -> Result<String, ParseError> {
        self.expect(quote, "a quote")?;
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != quote && c != '\\' && c != '\n'));
            if self.eat(quote) {
                return Ok(text);
            }
            let start = self.at;
            if !self.eat('\\') {
                return self.fail(&format!("`{quote}` at the end of the text"));
            }
            let c = self.peek();
            self.at += c.map_or(0, char::len_utf8);
            match c {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some(c @ ('\\' | '"' | '`')) => text.push(c),
                Some('u') if self.eat('{') => {
                    let digits = self.take_while(|c| c.is_ascii_hexdigit());
                    match u32::from_str_radix(digits, 16).ok().and_then(char::from_u32) {
                        Some(c) if self.eat('}') => text.push(c),
                        _ => return Err(self.unexpected(start, "a character such as `\\u{e9}`")),
                    }
                }
                _ => return Err(self.unexpected(start, "an escape: \\n \\t \\r \\\\ \\\" \\` \\u{..}")),
            }
        }
    }
}

/// Whether infinity or NaN is meant, rather than a number too large.
fn named(word: &str) -> bool {
    matches!(word, "nan" | "inf" | "-inf")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::toy::{Toy, f64s, nested, read};
    use crate::ir::{Fields, check, print};

    #[track_caller]
    fn error(text: &str) -> String {
        parse::<Toy>(text).expect_err("the parser accepts a wrong text").to_string()
    }

    fn all_fields() -> Program<Toy> {
        let f32s = vec![f32::NAN, f32::NEG_INFINITY, f32::MIN_POSITIVE, 1e-45, -0.0, 0.1];
        let fields: Fields<Toy> = vec![
            ("flag", Field::Bool(false)),
            ("int", Field::Int(i64::MIN)),
            ("ints", Field::Ints(vec![])),
            ("word", Field::Word("a-b_c.9".into())),
            ("word2", Field::Word("a `b`\\\"".into())),
            ("text", Field::Text("# \"q\" `r` \\ \n\r\t \u{0} \u{7f} \u{2028} é\u{1f600}".into())),
            ("type", Field::Type(Type::bits())),
            ("list", Field::Type(Type::array(DType::Bool, [2, 0]).list())),
            ("array", Field::Array(f64s(&[f64::NAN, f64::INFINITY, 5e-324, 1e300, 0.1, -0.0]))),
            ("array2", Field::Array(Array::new([2, 3], f32s).unwrap())),
            ("array3", Field::Array(Array::vector(vec![true, false]))),
            ("body", Field::Program(Arc::new(nested()))),
            ("programs", Field::Programs(vec![Arc::new(nested()), Arc::new(nested())])),
            ("none", Field::Programs(vec![])),
        ];
        let mut b = Builder::new();
        let x = b.input(Type::bits());
        let y = b.input(Type::array(DType::F32, [2, 0]).list());
        let values = b.emit(Toy::Note(fields), &[y, x]);
        let integers = b.emit1(Toy::Constant(Array::vector(vec![i64::MIN, i64::MAX])), &[]);
        let scalar = b.emit1(Toy::Constant(Array::scalar(i32::MIN)), &[]);
        let empty = b.emit1(Toy::Constant(Array::zeros(DType::F64, [0, 3])), &[]);
        let halves = Array::vector([0, 0x8001, 0x7f7f, 0xff80, 0x7fff].map(bf16::from_bits).to_vec());
        let halves = b.emit1(Toy::Constant(halves), &[]);
        let bytes = b.emit1(Toy::Constant(Array::vector(vec![0_u8, 255])), &[]);
        b.finish(vec![values[1], integers, scalar, empty, halves, bytes, x, x])
    }

    #[test]
    fn parse_after_print_is_identity() {
        for program in [nested(), all_fields()] {
            let text = print(&program);
            let again = parse::<Toy>(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert_eq!(again, program);
            assert_eq!(print(&again), text);
            assert_eq!(check(&again), Ok(()));
        }
    }

    #[test]
    fn words_that_read_as_something_else() {
        for word in ["true", "false", "bits", "program", "f64", "i32", "0", "-12", "", "a b", "]", "é", "\n"]
        {
            let mut b = Builder::new();
            b.emit(Toy::Note(vec![("word", Field::Word(word.into()))]), &[]);
            let program = b.finish(vec![]);
            assert_eq!(parse(&print(&program)), Ok(program), "{word:?}");
        }
    }

    #[test]
    fn every_float_reads_back_to_its_bits() {
        let mut state = 1_u64;
        for _ in 0..200 {
            let values: Vec<f64> = (0..16)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    f64::from_bits(state ^ (state >> 31))
                })
                .collect();
            let singles: Vec<f32> =
                values.iter().map(|x| f32::from_bits((x.to_bits() >> 32) as u32)).collect();
            let halves: Vec<bf16> =
                singles.iter().map(|x| bf16::from_bits((x.to_bits() >> 16) as u16)).collect();
            let mut b = Builder::new();
            let x = b.emit1(Toy::Constant(Array::vector(values)), &[]);
            let y = b.emit1(Toy::Constant(Array::vector(singles)), &[]);
            let z = b.emit1(Toy::Constant(Array::vector(halves)), &[]);
            let program = b.finish(vec![x, y, z]);
            assert_eq!(parse(&print(&program)), Ok(program));
        }
    }

    #[test]
    fn names_and_layout_are_free() {
        let program = read(
            "# a remark\nprogram ( x : f64[ 3 ] ,y_1:f64[3]){ # one\n\n ret : f64[3]=mul x y_1 # two\r\n\
             returned:f64[3] = add ret\tx\n return returned ,ret } # end",
        );
        let plain =
            "program(a:f64[3], b:f64[3]) {\n  c:f64[3] = mul a b\n  d:f64[3] = add c a\n  return d, c\n}";
        assert_eq!(print(&program), plain);
        assert_eq!(read(plain), program);
        let value = read("program(return:f64[]) {\n c:f64[] = note[type=f32] return\n return c\n}");
        assert_eq!(value.equations.len(), 1);
    }

    #[test]
    fn errors_say_where_what_and_what_else() {
        for (text, expected) in [
            ("", "line 1, column 1: found the end of the text, expected `program`"),
            ("func()", "line 1, column 1: found `func`, expected `program`"),
            ("program(a)", "line 1, column 10: found `)`, expected `:` and a type"),
            ("program(a:f16[])", "line 1, column 11: found `f16`, expected a type such as `f64[3]`"),
            ("program(a:f64)", "line 1, column 14: found `)`, expected a shape such as `[3]` or `[]`"),
            (
                "program(a:f64[], a:f64[])",
                "line 1, column 18: found a second definition of `a`, expected a new name",
            ),
            ("program(a:*bits)", "line 1, column 16: found `)`, expected a list type such as `*f64[3]`"),
            (
                "program() {",
                "line 1, column 12: found the end of the text, expected an equation such as \
              `c:f64[3] = mul a b`, or `return`",
            ),
            ("program() {\n return é }", "line 2, column 9: found `é`, expected a value to return"),
            ("program() {\n return b }", "line 2, column 9: found `b`, expected a value defined before"),
            ("program() {return} x", "line 1, column 20: found `x`, expected the end of the text"),
            (
                "program(a:f64[]) {\n  b:f64[] = sub a a\n  return b\n}",
                "line 2, column 13: found `sub`, expected a \
              known operation: no operation `sub` with these parameters",
            ),
            (
                "program(a:f64[], b:f64[3]) {\n  c:f64[] = mul a b\n",
                "line 2, column 13: found `mul` of f64[] and \
              f64[3], expected operands that fit: types differ, left f64[] and right f64[3] (use equal types)",
            ),
            (
                "program() {\n  c:f64[] = mul\n",
                "line 2, column 13: found `mul` without operands, expected operands \
              that fit: wrong operands",
            ),
            (
                "program(a:f64[]) {\n  b:f32[] = mul a a\n",
                "line 2, column 3: found `b:f32[]`, expected `b:f64[]`",
            ),
            (
                "program(a:f64[]) {\n  b:f64[], c:f64[] = mul a a\n",
                "line 2, column 22: found 2 names for the results \
              of `mul`, expected 1",
            ),
            (
                "program(a:f64[]) {\n  b:f64[] = mul a a; return b }",
                "line 2, column 20: found `;`, expected an operand \
              or the end of the line",
            ),
            (
                "program() { = note[int=9223372036854775808]",
                "line 1, column 24: found `9223372036854775808`, expected \
              an integer of 64 bits",
            ),
            (
                "program() { = note[ints=[-1]]",
                "line 1, column 26: found `-1`, expected a number of at most 64 bits, \
              without a sign",
            ),
            (
                "program() { = note[int=1, int=1]",
                "line 1, column 27: found a second `int`, expected each parameter once",
            ),
            (
                "program() { = note[text=\"a\n\"]",
                "line 1, column 27: found the end of the line, expected `\"` at the \
              end of the text",
            ),
            (
                "program() { = note[array=f64[2]{1.0}]",
                "line 1, column 26: found 1 elements, expected 2 for f64[2]",
            ),
            (
                "program() { = note[array=f64[1]{1e999}]",
                "line 1, column 33: found `1e999`, expected an element of type \
              f64",
            ),
            (
                "program() { = note[array=*f64[1]{1.0}]",
                "line 1, column 26: found `*`, expected an array type before `{`",
            ),
            (
                "program() { = note[array=i32[1]{2147483648}]",
                "line 1, column 33: found `2147483648`, expected an \
              element of type i32",
            ),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
    }

    #[test]
    fn shapes_must_fit_memory() {
        for shape in ["[18446744073709551615]", "[4294967296,4294967296]", "[0,18446744073709551615,2]"] {
            let message = error(&format!("program(a:f64{shape}) {{return}}"));
            assert!(message.ends_with("expected a shape that fits into memory"), "{message}");
        }
        assert!(
            error("program(a:f64[18446744073709551616])").contains("expected a number of at most 64 bits")
        );
        assert!(parse::<Toy>("program(a:f64[1000000,1000000]) {return}").is_ok());
    }

    #[test]
    fn depth_is_limited() {
        let nest = |n: usize| {
            let open = "program() {\n= call[label=store, body=".repeat(n - 1);
            format!("{open}program() {{return}}{}", "]\nreturn}".repeat(n - 1))
        };
        let deep = parse::<Toy>(&nest(MAX_DEPTH)).expect("within the limit");
        assert_eq!(check(&deep), Ok(()));
        assert_eq!(parse::<Toy>(&print(&deep)), Ok(deep));
        assert!(error(&nest(MAX_DEPTH + 1)).ends_with("expected at most 64 programs inside each other"));
        for open in
            ["program() { = call[body=", "program() { = note[programs=[", "[", "program(", "f64[", "\\"]
        {
            error(&open.repeat(100_000));
        }
    }

    /// Right texts with random damage, and random characters: never a panic, and what is accepted is right.
    #[test]
    fn any_text_is_refused_or_right() {
        let mut state = 7_u64;
        let mut random = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let pieces: Vec<char> =
            "program(){}[]=,:*#\"`\\ \n\taxc019-.f64bitsreturn\u{e9}\u{1f600}\0".chars().collect();
        let texts = [print(&nested()), print(&all_fields())].map(|t| t.into_bytes());
        let mut accepted = 0;
        for round in 0..20_000 {
            let bytes = if round % 4 == 0 {
                (0..random(60)).map(|_| pieces[random(pieces.len())]).collect::<String>().into_bytes()
            } else {
                let mut bytes = texts[round % 2].clone();
                for _ in 0..=random(3) {
                    let at = random(bytes.len());
                    match random(4) {
                        0 => drop(bytes.remove(at)),
                        1 => bytes.insert(at, random(256) as u8),
                        2 => bytes[at] = pieces[random(pieces.len())] as u8,
                        _ => bytes.truncate(at.max(1)),
                    }
                }
                bytes
            };
            if let Ok(program) = parse::<Toy>(&String::from_utf8_lossy(&bytes)) {
                accepted += 1;
                assert_eq!(check(&program), Ok(()));
                assert_eq!(parse::<Toy>(&print(&program)), Ok(program));
            }
        }
        assert!(
            accepted > 100,
            "only {accepted} damaged texts were accepted: the damage is too heavy to test with"
        );
    }
}
