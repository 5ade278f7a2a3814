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
}

/// Every trick, group by group.
pub const ALL: &[&[Trick]] = &[
    crate::primal::TRICKS,
    crate::adjoint::TRICKS,
    crate::tape::TRICKS,
    crate::estimate::TRICKS,
    crate::update::TRICKS,
];
