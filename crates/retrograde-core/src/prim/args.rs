//! Reads the parameters of a primitive from its text form.

use super::{Prim, Program};
use crate::ir::{Field, Type};
use retrograde_array::Array;
use std::sync::Arc;

/// The parameter that [`Args::choice`] reads back.
pub(super) fn word_for<T: PartialEq>(value: T, words: &[(T, &str)]) -> Field<Prim> {
    let word = words.iter().find(|(other, _)| *other == value).map_or("", |(_, word)| word);
    Field::Word(word.into())
}

/// The parameters found in the text.
#[derive(Debug)]
pub struct Args(Vec<(String, Field<Prim>)>);

macro_rules! take {
    ($(#[$doc:meta] $name:ident: $variant:ident => $ty:ty, $what:literal;)*) => { $(
        #[$doc]
        ///
        /// # Errors
        /// When it is missing or of another kind.
        pub fn $name(&mut self, name: &str) -> Result<$ty, String> {
            match self.take(name)? {
                Field::$variant(x) => Ok(x),
                _ => Err(format!(concat!("parameter `{}`: expected ", $what), name)),
            }
        }
    )* };
}

impl Args {
    /// From what the parser read.
    pub fn new(fields: Vec<(String, Field<Prim>)>) -> Args {
        Args(fields)
    }
    fn take(&mut self, name: &str) -> Result<Field<Prim>, String> {
        match self.0.iter().position(|(n, _)| n == name) {
            Some(i) => Ok(self.0.remove(i).1),
            None => Err(format!("parameter `{name}` is missing")),
        }
    }
    take! {
        /// A truth value.
        bool: Bool => bool, "true or false";
        /// A list of sizes.
        ints: Ints => Vec<usize>, "a list of sizes";
        /// A word.
        word: Word => String, "a word";
        /// A quoted text.
        text: Text => String, "a quoted text";
        /// A type.
        ty: Type => Type, "a type";
        /// An array.
        array: Array => Array, "an array";
        /// A program.
        program: Program => Arc<Program>, "a program";
        /// A list of programs.
        programs: Programs => Vec<Arc<Program>>, "a list of programs";
    }
    /// A whole number.
    ///
    /// # Errors
    /// When it is missing or of another kind.
    pub fn int(&mut self, name: &str) -> Result<i64, String> {
        match self.take(name)? {
            Field::Int(x) => Ok(x),
            _ => Err(format!("parameter `{name}`: expected a whole number")),
        }
    }
    /// A size.
    ///
    /// # Errors
    /// When it is missing, of another kind or negative.
    pub fn size(&mut self, name: &str) -> Result<usize, String> {
        match self.take(name)? {
            Field::Int(x) => {
                usize::try_from(x).map_err(|_| format!("parameter `{name}`: expected a size, found {x}"))
            }
            _ => Err(format!("parameter `{name}`: expected a size")),
        }
    }
    /// A size that may be absent.
    ///
    /// # Errors
    /// When it is of another kind or negative.
    pub fn optional_size(&mut self, name: &str) -> Result<Option<usize>, String> {
        if self.0.iter().any(|(n, _)| n == name) { self.size(name).map(Some) } else { Ok(None) }
    }
    /// One of some values, each by its word: see [`word_for`].
    ///
    /// # Errors
    /// When it is missing, of another kind or another word.
    pub fn choice<T: Copy>(&mut self, name: &str, words: &[(T, &str)]) -> Result<T, String> {
        let found = self.word(name)?;
        let choice = words.iter().find(|(_, word)| *word == found).map(|(value, _)| *value);
        choice.ok_or_else(|| {
            let expected = words.iter().map(|(_, word)| *word).collect::<Vec<_>>().join(", ");
            format!("parameter `{name}`: found `{found}`, expected one of {expected}")
        })
    }
    /// A word that may be absent.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn optional_word(&mut self, name: &str) -> Result<Option<String>, String> {
        if self.0.iter().any(|(n, _)| n == name) { self.word(name).map(Some) } else { Ok(None) }
    }
    /// A truth value that may be absent.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn optional_bool(&mut self, name: &str) -> Result<Option<bool>, String> {
        if self.0.iter().any(|(n, _)| n == name) { self.bool(name).map(Some) } else { Ok(None) }
    }
    /// A program that may be absent.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn optional_program(&mut self, name: &str) -> Result<Option<Arc<Program>>, String> {
        if self.0.iter().any(|(n, _)| n == name) { self.program(name).map(Some) } else { Ok(None) }
    }
    /// Ends the reading.
    ///
    /// # Errors
    /// When a parameter was not asked for.
    pub fn finish(&self) -> Result<(), String> {
        match self.0.first() {
            Some((name, _)) => Err(format!("there is no parameter `{name}`")),
            None => Ok(()),
        }
    }
}
