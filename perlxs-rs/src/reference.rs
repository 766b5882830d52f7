//! References, and what they refer to.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr::NonNull;

use crate::guard::contained;
use crate::{Array, Hash, Result, Scalar, Value, ffi};

/// What a reference refers to (Scalar::Util: `reftype`).
///
/// ```
/// # use perlxs::*;
/// /// `what($sv)`
/// fn what(call: &Call<'_>) -> Result<Value> {
///     let sv = call.arg(0);
///     if let Some(class) = sv.class()? {
///         return Ok(format!("an object of {class}").into());
///     }
///     Ok(match sv.kind()? {
///         None => "no reference".into(),
///         Some(Kind::Array) => "an array".into(),
///         Some(kind) => format!("{kind:?}").into(),
///     })
/// }
/// ```
/// ```perl
/// what(5);                        # 'no reference'
/// what([]);                       # 'an array'
/// what(\\1);                      # 'Scalar'
/// what(\*STDOUT);                 # 'Glob'
/// what(bless [], 'Dog');          # 'an object of Dog'
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A scalar, another reference among them.
    Scalar,
    /// An array.
    Array,
    /// A hash.
    Hash,
    /// Code.
    Code,
    /// A glob, as a file handle is.
    Glob,
    /// Something else: a compiled pattern, an IO object, a format.
    Other,
}

impl Scalar {
    /// A new reference to this scalar: perl's `\$x` (perlapi: `newRV_inc`).
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `both($x, $y)`: references to the caller's own variables.
    /// fn both(call: &Call<'_>) -> Result<Value> {
    ///     Ok(Value::list(call.args().map(|sv| sv.reference())))
    /// }
    /// ```
    /// ```perl
    /// my ($x, $y) = (1, 2);
    /// ${ $_ } *= 10 for both($x, $y);
    /// "$x $y";                        # '10 20'
    /// ```
    pub fn reference(&self) -> Scalar {
        // SAFETY: this is live; the shim returns a new reference.
        unsafe {
            let reference = ffi::perlxs_ref_new(self.perl().raw(), self.raw());
            Self::from_owned(self.perl(), reference)
        }
    }

    /// The scalar that this is a reference to, as in `\my $x`; `None` if it is none, or refers to
    /// an object or to another reference. Runs no magic.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `answer(\my $place)`: stores in what the reference is to.
    /// fn answer(call: &Call<'_>) -> Result<Value> {
    ///     let place = call.arg(0).referent();
    ///     place.ok_or_else(|| Error::croak("answer needs a reference to a scalar"))?.set(42)?;
    ///     Ok(().into())
    /// }
    /// ```
    /// ```perl
    /// answer(\my $place);             # undef
    /// $place;                         # 42
    /// answer([]);                     # dies: answer needs a reference to a scalar
    /// ```
    pub fn referent(&self) -> Option<Scalar> {
        // SAFETY: a live scalar of this interpreter; what the shim returns is owned.
        unsafe {
            let sv = ffi::perlxs_sv_referent(self.perl().raw(), self.raw());
            NonNull::new(sv).map(|sv| Self::from_owned(self.perl(), sv.as_ptr()))
        }
    }

    /// The array that this refers to, perl's `@$x`: it may be an object, or an object that
    /// overloads `@{}`. `None` if it refers to none.
    ///
    /// Returns `Err` if a tie or an overload method dies or exits.
    ///
    /// Example: [`Array`].
    pub fn array(&self) -> Result<Option<Array>> {
        Ok(self.dereferenced(ffi::KIND_ARRAY)?.map(Array::from_av))
    }

    /// The hash that this refers to, perl's `%$x`: it may be an object, or an object that
    /// overloads `%{}`. `None` if it refers to none.
    ///
    /// Returns `Err` if a tie or an overload method dies or exits.
    ///
    /// Example: [`struct@Hash`].
    pub fn hash(&self) -> Result<Option<Hash>> {
        Ok(self.dereferenced(ffi::KIND_HASH)?.map(Hash::from_hv))
    }

    /// The scalar that this refers to, perl's `$$x`: it may be an object, or an object that
    /// overloads `${}`, or another reference. `None` if it refers to none.
    ///
    /// Returns `Err` if a tie or an overload method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `follow($ref)`: what is at the end of a chain of references.
    /// fn follow(call: &Call<'_>) -> Result<Value> {
    ///     let mut sv = call.arg(0).clone();
    ///     while let Some(next) = sv.scalar()? {
    ///         sv = next;
    ///     }
    ///     Ok(sv.into())
    /// }
    /// ```
    /// ```perl
    /// follow(\\\'end');               # 'end'
    /// follow('here');                 # 'here'
    /// ```
    pub fn scalar(&self) -> Result<Option<Scalar>> {
        self.dereferenced(ffi::KIND_SCALAR)
    }

    /// Makes what this refers to an object of `class`, the name of one (perlfunc: `bless`).
    ///
    /// Returns `Err` if this is no reference, if perl refuses (what is read-only, or of
    /// `use feature 'class'`), or if a tie or an overload method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `node($parent)`: an object, which does not keep its parent.
    /// fn node(call: &Call<'_>) -> Result<Value> {
    ///     let node = Hash::new(call.perl());
    ///     node.set("parent", call.arg(0))?;
    ///     if call.arg(0).is_defined()? {
    ///         let parent = node.get("parent")?.ok_or_else(|| Error::croak("no parent"))?;
    ///         parent.weaken()?;
    ///         assert!(parent.is_weak()?);
    ///     }
    ///     let node = Scalar::new(call.perl(), &node);
    ///     node.bless("Node")?;
    ///     Ok(node.into())
    /// }
    /// ```
    /// ```perl
    /// my $parent = node(undef);
    /// ref $parent;                            # 'Node'
    /// my $child = node($parent);
    /// $child->{parent} == $parent;            # 1
    /// undef $parent;
    /// $child->{parent};                       # undef
    /// ```
    pub fn bless(&self, class: impl Into<Value>) -> Result<()> {
        let perl = self.perl();
        let class = Scalar::new(perl, class);
        contained(perl, |error| {
            // SAFETY: live scalars of this interpreter.
            unsafe { ffi::perlxs_sv_bless(perl.raw(), self.raw(), class.raw(), error) }
        })
    }

    /// Makes this reference one that does not keep what it refers to: it becomes undef when that is
    /// freed (Scalar::Util: `weaken`). Of one that is weak already, nothing.
    ///
    /// Returns `Err` if this is no reference, or read-only.
    ///
    /// Example: [`Scalar::bless`].
    pub fn weaken(&self) -> Result<()> {
        let perl = self.perl();
        contained(perl, |error| {
            // SAFETY: a live scalar of this interpreter.
            unsafe { ffi::perlxs_sv_weaken(perl.raw(), self.raw(), error) }
        })
    }

    /// Whether this is a weak reference (Scalar::Util: `isweak`).
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// Example: [`Scalar::bless`].
    pub fn is_weak(&self) -> Result<bool> {
        Ok(self.ask(ffi::ASK_WEAK)? != 0)
    }

    fn dereferenced(&self, kind: c_int) -> Result<Option<Scalar>> {
        Self::stored(self.perl(), |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_deref(self.perl().raw(), self.raw(), kind, out, error) }
        })
    }

    pub(crate) fn ask(&self, question: c_int) -> Result<c_int> {
        let mut answer = 0;
        contained(self.perl(), |error| {
            let perl = self.perl().raw();
            // SAFETY: a live scalar of this interpreter; `answer` outlives the call.
            unsafe { ffi::perlxs_sv_ask(perl, self.raw(), question, &mut answer, error) }
        })?;
        Ok(answer)
    }

    /// What this refers to, or `None` if it is no reference. Overloading is not asked.
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// Example: [`Kind`].
    pub fn kind(&self) -> Result<Option<Kind>> {
        Ok(match self.ask(ffi::ASK_KIND)? {
            ffi::KIND_NONE => None,
            ffi::KIND_SCALAR => Some(Kind::Scalar),
            ffi::KIND_ARRAY => Some(Kind::Array),
            ffi::KIND_HASH => Some(Kind::Hash),
            ffi::KIND_CODE => Some(Kind::Code),
            ffi::KIND_GLOB => Some(Kind::Glob),
            _ => Some(Kind::Other),
        })
    }

    /// The class of the object that this refers to, or `None` if it refers to none
    /// (Scalar::Util: `blessed`).
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// Example: [`Kind`].
    pub fn class(&self) -> Result<Option<String>> {
        let name = Self::stored(self.perl(), |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_class(self.perl().raw(), self.raw(), out, error) }
        })?;
        name.map_or(Ok(None), |name| name.text())
    }
}
