//! Scalars in and out.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use crate::guard::contained;
use crate::{Array, Hash, Perl, Result, Value, ffi};

/// A counted reference to a perl scalar.
///
/// Dropping the last one frees the scalar, which may run a perl destructor. What reads a value
/// obeys magic (`tie`, `$!`) and overloading, each once a call.
///
/// ```
/// # use perlxs::*;
/// /// `swap($x, $y)`: the caller's own scalars.
/// fn swap(call: &Call<'_>) -> Result<Value> {
///     let (x, y) = (call.arg(0), call.arg(1));
///     if !x.assignable()? || !y.assignable()? {
///         return Err(Error::croak("swap needs two variables"));
///     }
///     let old = x.copy()?; // `x` itself is about to change
///     x.set(&y)?;
///     y.set(old)?;
///     Ok(().into())
/// }
///
/// /// `either($x, $y)`: the first that is true, else the first that is defined, else a new one.
/// fn either(call: &Call<'_>) -> Result<Value> {
///     for sv in call.args() {
///         if sv.is_true()? {
///             return Ok(sv.into());
///         }
///     }
///     for sv in call.args() {
///         if sv.is_defined()? {
///             return Ok(sv.into());
///         }
///     }
///     Ok(Scalar::new(call.perl(), "neither").into())
/// }
///
/// /// `omitted($sv)`: whether the caller wrote `undef`, and no variable.
/// fn omitted(call: &Call<'_>) -> Result<Value> {
///     Ok(call.arg(0).is_undef_constant().into())
/// }
/// ```
/// ```perl
/// my ($x, $y) = (1, 'two');
/// swap($x, $y);                   # undef
/// "$x $y";                        # 'two 1'
/// swap($x, 5);                    # dies: swap needs two variables
/// either(0, 'yes');               # 'yes'
/// either(undef, 0);               # 0
/// either(undef);                  # 'neither'
/// omitted(undef);                 # 1
/// omitted(my $undef);             # ''
/// ```
pub struct Scalar {
    perl: Perl,
    sv: NonNull<ffi::Sv>,
}

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

/// The number that a scalar holds, exactly.
///
/// ```
/// # use perlxs::*;
/// fn number(call: &Call<'_>) -> Result<Value> {
///     Ok(match call.arg(0).number()? {
///         Number::Undef => "undef".into(),
///         Number::Int(i) => format!("signed {i}").into(),
///         Number::Uint(u) => format!("unsigned {u}").into(),
///         Number::Float(f) => format!("float {f}").into(),
///         Number::NotANumber => "none".into(),
///     })
/// }
///
/// /// `port($n)`: an integer in a range, whatever perl has it in.
/// fn port(call: &Call<'_>) -> Result<Value> {
///     let sv = call.arg(0);
///     let port = sv.number()?.integer().and_then(|n| u16::try_from(n).ok());
///     let port = port.ok_or_else(|| Error::croak(format!("no port: {}", sv.describe())))?;
///     Ok(u32::from(port).into())
/// }
/// ```
/// ```perl
/// number('17');                   # 'signed 17'
/// number(~0);                     # 'unsigned 18446744073709551615'
/// number(1.5);                    # 'float 1.5'
/// number('17x');                  # 'none'
/// number(undef);                  # 'undef'
/// port('8e1');                    # 80
/// port(-1);                       # dies: no port: -1
/// port('www');                    # dies: no port: the string "www"
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// The scalar is undef.
    Undef,
    /// An integer (perl's IV).
    Int(i64),
    /// An integer above `i64::MAX` (perl's UV).
    Uint(u64),
    /// Any other number, perhaps infinite or not a number at all (perl's NV).
    Float(f64),
    /// Neither a number nor a string that looks like one: text, a reference, a glob.
    NotANumber,
}

impl Number {
    /// The integer this is, or `None` if it is none; a float counts if it has no fraction, and one
    /// beyond `i128` is the last of that. Undef is none.
    ///
    /// Example: [`Number`].
    pub fn integer(self) -> Option<i128> {
        match self {
            Number::Int(i) => Some(i.into()),
            Number::Uint(u) => Some(u.into()),
            // not infinities: their fraction is NaN
            Number::Float(f) if f.fract() == 0.0 => Some(f as i128),
            _ => None,
        }
    }
}

impl Scalar {
    /// Takes over one reference.
    ///
    /// # Safety
    /// `sv` is not null, belongs to `perl`, and one of its references is ours to give up.
    pub(crate) unsafe fn from_owned(perl: Perl, sv: *mut ffi::Sv) -> Self {
        // SAFETY: the caller says that it is not null.
        let sv = unsafe { NonNull::new_unchecked(sv) };
        Scalar { perl, sv }
    }

    /// Takes a reference of its own.
    ///
    /// # Safety
    /// `sv` is a live scalar of `perl`.
    pub(crate) unsafe fn from_borrowed(perl: Perl, sv: *mut ffi::Sv) -> Self {
        // SAFETY: as the caller says; the new reference is ours.
        unsafe { Self::from_owned(perl, ffi::perlxs_sv_inc(perl.raw(), sv)) }
    }

    /// A new scalar that holds `value`.
    ///
    /// Example: [`Scalar`].
    pub fn new(perl: Perl, value: impl Into<Value>) -> Self {
        let raw = perl.raw();
        let string = |p: &[u8], utf8| {
            // SAFETY: `p` is readable; perl copies it.
            unsafe { ffi::perlxs_sv_new_bytes(raw, p.as_ptr().cast::<c_char>(), p.len(), utf8) }
        };
        let sv = match value.into() {
            // SAFETY: `raw` is this thread's interpreter, here and below.
            Value::Undef => unsafe { ffi::perlxs_sv_new_undef(raw) },
            // SAFETY: see above.
            Value::Int(i) => unsafe { ffi::perlxs_sv_new_int(raw, i) },
            // SAFETY: see above.
            Value::Uint(u) => unsafe { ffi::perlxs_sv_new_uint(raw, u) },
            // SAFETY: see above.
            Value::Float(f) => unsafe { ffi::perlxs_sv_new_num(raw, f) },
            Value::Bytes(b) => string(&b, 0),
            Value::Text(t) => string(t.as_bytes(), 1),
            // SAFETY: see above.
            Value::Bool(b) => unsafe { ffi::perlxs_sv_new_bool(raw, c_int::from(b)) },
            Value::Scalar(s) => return s,
            Value::List(mut list) => return Self::new(perl, list.pop().unwrap_or(Value::Undef)),
        };
        // SAFETY: the shim returned a new reference.
        unsafe { Self::from_owned(perl, sv) }
    }

    /// A new array of values, for [`ffi::RETURN_LIST`] too.
    pub(crate) fn list(perl: Perl, values: impl IntoIterator<Item = Value>) -> Self {
        // SAFETY: this thread's interpreter; the shim returns a new reference.
        let list = unsafe { Self::from_owned(perl, ffi::perlxs_list_new(perl.raw())) };
        for value in values {
            let value = Scalar::new(perl, value).into_raw();
            // SAFETY: the list that has just been made takes over the reference.
            unsafe { ffi::perlxs_list_push(perl.raw(), list.raw(), value) };
        }
        list
    }

    /// Runs a shim function that stores an owned SV, or NULL.
    pub(crate) fn stored(
        perl: Perl,
        call: impl FnOnce(*mut *mut ffi::Sv, *mut *mut ffi::Sv) -> c_int,
    ) -> Result<Option<Self>> {
        let mut out = ptr::null_mut();
        let outcome = contained(perl, |error| call(&mut out, error));
        let stored = NonNull::new(out).map(|sv| Scalar { perl, sv });
        outcome.map(|()| stored)
    }

    pub(crate) fn perl(&self) -> Perl {
        self.perl
    }

    pub(crate) fn raw(&self) -> *mut ffi::Sv {
        self.sv.as_ptr()
    }

    /// Gives up this reference without releasing it.
    pub(crate) fn into_raw(self) -> *mut ffi::Sv {
        ManuallyDrop::new(self).raw()
    }

    /// The number that perl would see, without a warning (perlapi: `looks_like_number`).
    ///
    /// Returns `Err` if a tie or an overload method dies or exits.
    ///
    /// Example: [`Number`].
    pub fn number(&self) -> Result<Number> {
        let (perl, sv) = (self.perl.raw(), self.raw());
        let mut plain = 0;
        // SAFETY: a live scalar of this interpreter; `plain` outlives the call.
        if unsafe { ffi::perlxs_sv_plain_int(perl, sv, &mut plain) } != 0 {
            return Ok(Number::Int(plain));
        }
        let mut number = ffi::Number::default();
        contained(self.perl, |error| {
            // SAFETY: as above.
            unsafe { ffi::perlxs_sv_number(perl, sv, &mut number, error) }
        })?;
        Ok(match number.kind {
            ffi::NUMBER_INT => Number::Int(number.integer),
            ffi::NUMBER_UINT => Number::Uint(number.integer as u64),
            ffi::NUMBER_FLOAT => Number::Float(number.real),
            ffi::NUMBER_NONE => Number::NotANumber,
            _ => Number::Undef,
        })
    }

    /// The elements of the array that this refers to, not copies; `None` if it is no reference to
    /// an array, or to one that is an object.
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `sum(\@numbers)`
    /// fn sum(call: &Call<'_>) -> Result<Value> {
    ///     let numbers = call.arg(0).elements()?;
    ///     let mut sum = 0;
    ///     for number in numbers.ok_or_else(|| Error::croak("sum needs an array"))? {
    ///         sum += number.number()?.integer().unwrap_or(0) as i64;
    ///     }
    ///     Ok(sum.into())
    /// }
    /// ```
    /// ```perl
    /// sum([1, 2, '39']);              # 42
    /// sum(5);                         # dies: sum needs an array
    /// sum(bless [1], 'Dog');          # dies: sum needs an array
    /// ```
    pub fn elements(&self) -> Result<Option<Vec<Scalar>>> {
        self.items(ffi::ITEMS_ARRAY)
    }

    /// The keys and values of the hash that this refers to, in perl's order; the values are not
    /// copies. `None` if it is no reference to a hash, or to one that is an object.
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `options(\%options)`: named arguments, and no others.
    /// fn options(call: &Call<'_>) -> Result<Value> {
    ///     let options = call.arg(0).entries()?;
    ///     let (mut verbose, mut level) = (false, 0);
    ///     for (key, value) in options.ok_or_else(|| Error::croak("options needs a hash"))? {
    ///         match key.as_str() {
    ///             "verbose" => verbose = value.is_true()?,
    ///             "level" => level = value.number()?.integer().unwrap_or(0) as i64,
    ///             _ => return Err(Error::croak(format!("unknown option '{key}'"))),
    ///         }
    ///     }
    ///     Ok(Value::List(vec![verbose.into(), level.into()]))
    /// }
    /// ```
    /// ```perl
    /// options({ level => 3 });        # '', 3
    /// options({ verbose => 1 });      # 1, 0
    /// options({ levle => 3 });        # dies: unknown option 'levle'
    /// options([]);                    # dies: options needs a hash
    /// ```
    pub fn entries(&self) -> Result<Option<Vec<(String, Scalar)>>> {
        self.items(ffi::ITEMS_HASH)?.map(entries).transpose()
    }

    /// As [`entries`](Scalar::entries), for keys that are not text.
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `size(\%hash)`: the bytes in its keys and values.
    /// fn size(call: &Call<'_>) -> Result<Value> {
    ///     let pairs = call.arg(0).pairs()?.ok_or_else(|| Error::croak("size needs a hash"))?;
    ///     let mut size = 0;
    ///     for (key, value) in pairs {
    ///         for sv in [key, value] {
    ///             size += sv.bytes()?.unwrap_or_default().len();
    ///         }
    ///     }
    ///     Ok(size.into())
    /// }
    /// ```
    /// ```perl
    /// size({ "\xff\xfe" => 'abc' });  # 5
    /// size({ "\x{20ac}" => 1 });      # dies: Wide character in a string of bytes
    /// ```
    pub fn pairs(&self) -> Result<Option<Vec<(Scalar, Scalar)>>> {
        Ok(self.items(ffi::ITEMS_HASH)?.map(pairs))
    }

    fn items(&self, kind: c_int) -> Result<Option<Vec<Scalar>>> {
        let items = Self::stored(self.perl, |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_items(self.perl.raw(), self.raw(), kind, out, error) }
        })?;
        Ok(items.map(|items| items.unpacked()))
    }

    /// The elements of an array that the shim has made.
    pub(crate) fn unpacked(&self) -> Vec<Scalar> {
        let perl = self.perl.raw();
        // SAFETY: an array of live scalars.
        unsafe {
            (0..ffi::perlxs_av_len(perl, self.raw()))
                .map(|i| Self::from_borrowed(self.perl, ffi::perlxs_av_get(perl, self.raw(), i)))
                .collect()
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
            let sv = ffi::perlxs_sv_referent(self.perl.raw(), self.raw());
            NonNull::new(sv).map(|sv| Self::from_owned(self.perl, sv.as_ptr()))
        }
    }

    /// A new scalar with the same value, without magic (perlapi: `newSVsv`). For what is looked at
    /// in several ways: a tied scalar is read once.
    ///
    /// Returns `Err` if reading it dies or exits.
    ///
    /// Example: [`Scalar`].
    pub fn copy(&self) -> Result<Scalar> {
        let copy = Self::stored(self.perl, |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_copy(self.perl.raw(), self.raw(), out, error) }
        })?;
        Ok(copy.expect("a copy"))
    }

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
            let reference = ffi::perlxs_ref_new(self.perl.raw(), self.raw());
            Self::from_owned(self.perl, reference)
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
    ///     let mut sv = call.arg(0);
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

    fn dereferenced(&self, kind: c_int) -> Result<Option<Scalar>> {
        Self::stored(self.perl, |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_deref(self.perl.raw(), self.raw(), kind, out, error) }
        })
    }

    fn ask(&self, question: c_int) -> Result<c_int> {
        let mut answer = 0;
        contained(self.perl, |error| {
            let perl = self.perl.raw();
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
        let name = Self::stored(self.perl, |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_class(self.perl.raw(), self.raw(), out, error) }
        })?;
        name.map_or(Ok(None), |name| name.text())
    }

    /// Whether this is not undef (perlapi: `SvOK`).
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// Example: [`Scalar`].
    pub fn is_defined(&self) -> Result<bool> {
        Ok(self.ask(ffi::ASK_DEFINED)? != 0)
    }

    /// Whether perl takes this for true (perlapi: `SvTRUE`).
    ///
    /// Returns `Err` if a tie or an overload method dies or exits.
    ///
    /// Example: [`Scalar`].
    pub fn is_true(&self) -> Result<bool> {
        Ok(self.ask(ffi::ASK_TRUE)? != 0)
    }

    /// Assigns `value`, as perl's `=` does, set magic included (perlapi: `sv_setsv_mg`).
    ///
    /// Returns `Err` if the scalar is read-only, or if a tie method dies or exits.
    ///
    /// Example: [`Scalar`].
    pub fn set(&self, value: impl Into<Value>) -> Result<()> {
        let value = Scalar::new(self.perl, value);
        contained(self.perl, |error| {
            // SAFETY: live scalars of this interpreter.
            unsafe { ffi::perlxs_sv_set(self.perl.raw(), self.raw(), value.raw(), error) }
        })
    }

    /// Whether [`set`](Scalar::set) will be taken: not by a read-only scalar, nor by a glob, which
    /// an assignment would turn into an alias (perlapi: `SvREADONLY`, `isGV_with_GP`).
    ///
    /// Magic may refuse, too, as that of `$1` does: where only a try tells, the scalar's own
    /// value is assigned to it; but not to a tied one. Returns `Err` with what that says.
    ///
    /// Example: [`Scalar`].
    pub fn assignable(&self) -> Result<bool> {
        let mut assignable = 0;
        contained(self.perl, |error| {
            // SAFETY: a live scalar of this interpreter; `assignable` outlives the call.
            unsafe {
                ffi::perlxs_sv_assignable(self.perl.raw(), self.raw(), &mut assignable, error)
            }
        })?;
        Ok(assignable != 0)
    }

    /// Whether this is the constant `undef`, as a caller writes it to pass no argument
    /// (perlapi: `PL_sv_undef`).
    ///
    /// Example: [`Scalar`].
    pub fn is_undef_constant(&self) -> bool {
        // SAFETY: a live scalar of this interpreter.
        unsafe { ffi::perlxs_sv_is_undef_constant(self.perl.raw(), self.raw()) != 0 }
    }

    /// What this is, in words for an error message. Runs no perl code: a tied scalar is
    /// described by what it last held.
    ///
    /// Example: [`Number`].
    pub fn describe(&self) -> String {
        // SAFETY: a live scalar of this interpreter; the shim returns an owned string.
        let text = unsafe {
            let sv = ffi::perlxs_sv_describe(self.perl.raw(), self.raw());
            Scalar::from_owned(self.perl, sv)
        };
        String::from_utf8_lossy(text.buffer()).into_owned()
    }
}

/// The text of the keys, and the values, from the shim's list of both in turn.
pub(crate) fn entries(items: Vec<Scalar>) -> Result<Vec<(String, Scalar)>> {
    pairs(items)
        .into_iter()
        .map(|(key, value)| Ok((key.text()?.unwrap_or_default(), value)))
        .collect()
}

/// Each two of them.
fn pairs(items: Vec<Scalar>) -> Vec<(Scalar, Scalar)> {
    let pairs = items.chunks_exact(2);
    pairs
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect()
}

impl Clone for Scalar {
    /// Another reference to the same scalar.
    fn clone(&self) -> Self {
        // SAFETY: it is live, since we hold it.
        unsafe { Self::from_borrowed(self.perl, self.raw()) }
    }
}

impl Drop for Scalar {
    fn drop(&mut self) {
        // SAFETY: this reference is ours.
        unsafe { ffi::perlxs_sv_dec(self.perl.raw(), self.raw()) }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scalar").field(&self.describe()).finish()
    }
}
