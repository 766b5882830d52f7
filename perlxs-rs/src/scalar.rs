//! Scalars in and out.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};

use crate::guard::contained;
use crate::{Perl, Result, Value, ffi};

/// How many values pass the border at a time.
pub(crate) const CHUNK: usize = 64;

/// No value.
pub(crate) const NOTHING: ffi::Value = ffi::Value {
    kind: ffi::VALUE_UNDEF,
    integer: 0,
    real: 0.0,
    p: ptr::null(),
    len: 0,
    sv: ptr::null_mut(),
};

/// Passes on what an iterator gives, [`CHUNK`] at a time at most.
pub(crate) fn in_chunks<T>(mut values: impl Iterator<Item = T>, mut pass: impl FnMut(&mut [T])) {
    let mut chunk = Vec::with_capacity(values.size_hint().0.clamp(4, CHUNK));
    loop {
        chunk.extend(values.by_ref().take(CHUNK));
        if chunk.is_empty() {
            return;
        }
        pass(&mut chunk);
        chunk.clear();
    }
}

/// Values on their way to perl.
struct Chunk {
    perl: Perl,
    raw: [MaybeUninit<ffi::Value>; CHUNK],
    len: usize,
    /// Those that own what is to be copied.
    strings: Vec<Value>,
}

impl Chunk {
    fn new(perl: Perl) -> Self {
        Chunk {
            perl,
            raw: [const { MaybeUninit::uninit() }; CHUNK],
            len: 0,
            strings: Vec::new(),
        }
    }

    #[inline]
    fn push(&mut self, mut value: Value) {
        self.raw[self.len].write(value.raw(self.perl));
        self.len += 1;
        if matches!(value, Value::Bytes(_) | Value::Text(_) | Value::List(_)) {
            self.strings.push(value);
        }
    }
}

impl Drop for Chunk {
    /// Where an iterator panics.
    fn drop(&mut self) {
        for raw in &self.raw[..self.len] {
            // SAFETY: one of those that have been written; a reference is ours.
            unsafe {
                let raw = raw.assume_init_ref();
                if raw.kind == ffi::VALUE_SV {
                    drop(Scalar::from_owned(self.perl, raw.sv));
                }
            }
        }
    }
}

impl Value {
    /// For the shim, which takes over the reference of a scalar, and copies a string: it is to be
    /// called with this at once.
    #[inline]
    pub(crate) fn raw(&mut self, perl: Perl) -> ffi::Value {
        let mut raw = NOTHING;
        let string = |raw: &mut ffi::Value, bytes: &[u8], kind| {
            (raw.kind, raw.p, raw.len) = (kind, bytes.as_ptr().cast(), bytes.len());
        };
        match self {
            Value::Undef => {}
            Value::Bool(true) => raw.kind = ffi::VALUE_TRUE,
            Value::Bool(false) => raw.kind = ffi::VALUE_FALSE,
            Value::Int(i) => (raw.kind, raw.integer) = (ffi::VALUE_INT, *i),
            Value::Uint(u) => (raw.kind, raw.integer) = (ffi::VALUE_UINT, *u as i64),
            Value::Float(f) => (raw.kind, raw.real) = (ffi::VALUE_NUM, *f),
            Value::Bytes(b) => string(&mut raw, b, ffi::VALUE_BYTES),
            // the same characters either way; without the flag perl is faster
            Value::Text(t) if t.is_ascii() => string(&mut raw, t.as_bytes(), ffi::VALUE_BYTES),
            Value::Text(t) => string(&mut raw, t.as_bytes(), ffi::VALUE_UTF8),
            Value::Scalar(_) => {
                if let Value::Scalar(scalar) = std::mem::replace(self, Value::Undef) {
                    scalar.must_be_of(perl);
                    (raw.kind, raw.sv) = (ffi::VALUE_SV, scalar.into_raw());
                }
            }
            Value::List(list) => {
                if let Some(last) = list.last_mut() {
                    return last.raw(perl);
                }
            }
        }
        raw
    }
}

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

impl ffi::Number {
    #[inline]
    pub(crate) fn read(&self) -> Number {
        match self.kind {
            ffi::NUMBER_INT => Number::Int(self.integer),
            ffi::NUMBER_UINT => Number::Uint(self.integer as u64),
            ffi::NUMBER_FLOAT => Number::Float(self.real),
            ffi::NUMBER_NONE => Number::NotANumber,
            _ => Number::Undef,
        }
    }
}

impl Number {
    /// The integer this is, or `None` if it is none; a float counts if it has no fraction, and one
    /// beyond `i128` is the last of that. Undef is none.
    ///
    /// Example: [`Number`].
    #[inline]
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
    /// # Panics
    /// If the value is a scalar of another interpreter.
    ///
    /// Example: [`Scalar`].
    pub fn new(perl: Perl, value: impl Into<Value>) -> Self {
        let mut value = value.into();
        if let Value::Scalar(scalar) = value {
            scalar.must_be_of(perl);
            return scalar;
        }
        // SAFETY: what the value points to outlives the call; the shim returns a new reference.
        unsafe { Self::from_owned(perl, ffi::perlxs_sv_new(perl.raw(), &value.raw(perl))) }
    }

    /// # Panics
    /// If it is of another interpreter.
    pub(crate) fn must_be_of(&self, perl: Perl) {
        assert!(self.perl.is(perl), "a value of another interpreter");
    }

    /// As [`raw`](Scalar::raw), where it must be of this interpreter.
    pub(crate) fn raw_of(&self, perl: Perl) -> *mut ffi::Sv {
        self.must_be_of(perl);
        self.raw()
    }

    /// A new array of values, for [`ffi::VALUE_LIST`] too.
    pub(crate) fn list(perl: Perl, values: impl IntoIterator<Item = Value>) -> Self {
        let values = values.into_iter();
        // an iterator may say anything
        let room = values.size_hint().0.min(1 << 20);
        // SAFETY: this thread's interpreter; the shim returns a new reference.
        let list = unsafe { Self::from_owned(perl, ffi::perlxs_array_new(perl.raw(), room)) };
        let mut chunk = Chunk::new(perl);
        let pass = |chunk: &mut Chunk| {
            let (p, len) = (chunk.raw.as_ptr().cast(), std::mem::take(&mut chunk.len));
            // SAFETY: as many as have been written; the array that has just been made takes over
            // the references.
            unsafe { ffi::perlxs_array_append(perl.raw(), list.raw(), p, len) }
            chunk.strings.clear();
        };
        for value in values {
            chunk.push(value);
            if chunk.len == CHUNK {
                pass(&mut chunk);
            }
        }
        pass(&mut chunk);
        drop(chunk);
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
    #[inline]
    pub fn number(&self) -> Result<Number> {
        let (perl, sv) = (self.perl.raw(), self.raw());
        let mut number = ffi::Number::default();
        contained(self.perl, |error| {
            // SAFETY: as above.
            unsafe { ffi::perlxs_sv_number(perl, sv, &mut number, error) }
        })?;
        Ok(number.read())
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

    /// Whether this has no string but the one that perl makes up: a reference without overloading,
    /// or a glob, by what it last held.
    pub(crate) fn is_stringless(&self) -> bool {
        // SAFETY: a live scalar of this interpreter.
        unsafe { ffi::perlxs_sv_is_stringless(self.perl.raw(), self.raw()) != 0 }
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
        text.text().ok().flatten().unwrap_or_default()
    }
}

/// The form that perl has a value in: for what writes it in another language, as JSON.
///
/// ```
/// # use perlxs::*;
/// /// `json($value)`: of a value without structure.
/// fn json(call: &Call<'_>) -> Result<Value> {
///     let value = call.arg(0).copy()?; // a tied scalar is read once
///     Ok(match value.form()? {
///         Form::Undef => "null".into(),
///         Form::Bool(b) => b.to_string().into(),
///         Form::Int(i) => i.to_string().into(),
///         Form::Uint(u) => u.to_string().into(),
///         Form::Float(f) => f.to_string().into(),
///         Form::String => format!("{:?}", value.text()?.unwrap_or_default()).into(),
///         Form::Reference | Form::Glob => return Err(Error::croak("json needs a plain value")),
///     })
/// }
/// ```
/// ```perl
/// json(undef);                    # 'null'
/// json(17);                       # '17'
/// json('17');                     # '"17"'
/// json(~0);                       # '18446744073709551615'
/// json(0.5);                      # '0.5'
/// json(1 == 1);                   # $] >= 5.036 ? 'true' : '"1"'
/// my $n = 17; my $text = "$n"; my $sum = $text + 1;
/// json($n) . json($text);         # $] >= 5.036 ? '17"17"' : '"17""17"'
/// json([]);                       # dies: json needs a plain value
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// undef
    Undef,
    /// What a comparison or `!` has given, or a copy of it (perlapi: `SvIsBOOL`). Before perl 5.36
    /// a copy is a [`String`](Form::String).
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer above [`i64::MAX`].
    Uint(u64),
    /// A floating-point number.
    Float(f64),
    /// A string, one that has been used as a number too. Before perl 5.36 also a number that has
    /// been used as a string.
    String,
    /// A reference: [`Scalar::kind`] tells to what.
    Reference,
    /// A glob, not a reference to one.
    Glob,
}

impl Scalar {
    /// The form that perl has the value in (perlapi: `SvPOK`, `SvIOK`, `SvNOK`). Overloading is not
    /// asked.
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// Example: [`Form`].
    pub fn form(&self) -> Result<Form> {
        let mut value = NOTHING;
        contained(self.perl, |error| {
            // SAFETY: a live scalar of this interpreter; `value` outlives the call.
            unsafe { ffi::perlxs_sv_form(self.perl.raw(), self.raw(), &mut value, error) }
        })?;
        Ok(match value.kind {
            ffi::VALUE_TRUE => Form::Bool(true),
            ffi::VALUE_FALSE => Form::Bool(false),
            ffi::VALUE_INT => Form::Int(value.integer),
            ffi::VALUE_UINT => Form::Uint(value.integer as u64),
            ffi::VALUE_NUM => Form::Float(value.real),
            ffi::FORM_STRING => Form::String,
            ffi::FORM_REFERENCE => Form::Reference,
            ffi::FORM_GLOB => Form::Glob,
            _ => Form::Undef,
        })
    }

    fn converted(&self, kind: c_int) -> Result<ffi::Value> {
        let mut value = NOTHING;
        contained(self.perl, |error| {
            // SAFETY: a live scalar of this interpreter; `value` outlives the call.
            unsafe { ffi::perlxs_sv_as(self.perl.raw(), self.raw(), kind, &mut value, error) }
        })?;
        Ok(value)
    }

    /// What perl takes this for where it wants an integer, with its warnings, in the caller's
    /// categories (perlapi: `SvIV`). [`number`](Scalar::number) converts nothing.
    ///
    /// Returns `Err` if a tie or an overload method, or a handler for warnings, dies or exits; or
    /// if the warnings are fatal.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `conversions($value)`
    /// fn conversions(call: &Call<'_>) -> Result<Value> {
    ///     let sv = call.arg(0);
    ///     let (iv, uv) = (sv.iv()?, sv.uv()?);
    ///     Ok(Value::List(vec![iv.into(), uv.into(), sv.nv()?.into(), sv.pv()?.into()]))
    /// }
    /// ```
    /// ```perl
    /// conversions(-1.5);              # -1, 18446744073709551615, -1.5, '-1.5'
    /// no warnings; my @half = conversions('3 apples'); use warnings;
    /// @half;                          # 3, 3, 3, '3 apples'
    /// use warnings FATAL => 'all';
    /// conversions('x');               # dies: Argument "x" isn't numeric in subroutine entry at
    /// conversions(undef);             # dies: Use of uninitialized value in subroutine entry at
    /// ```
    pub fn iv(&self) -> Result<i64> {
        Ok(self.converted(ffi::VALUE_INT)?.integer)
    }

    /// As [`iv`](Scalar::iv), for an unsigned integer (perlapi: `SvUV`).
    ///
    /// Example: [`Scalar::iv`].
    pub fn uv(&self) -> Result<u64> {
        Ok(self.converted(ffi::VALUE_UINT)?.integer as u64)
    }

    /// As [`iv`](Scalar::iv), for a floating-point number (perlapi: `SvNV`).
    ///
    /// Example: [`Scalar::iv`].
    pub fn nv(&self) -> Result<f64> {
        Ok(self.converted(ffi::VALUE_NUM)?.real)
    }

    /// As [`iv`](Scalar::iv), for a string (perlapi: `SvPV`): as [`text`](Scalar::text), but undef
    /// is the empty string, with a warning.
    ///
    /// Example: [`Scalar::iv`].
    pub fn pv(&self) -> Result<String> {
        let value = self.converted(ffi::VALUE_SV)?;
        // SAFETY: the shim has stored an owned string.
        let string = unsafe { Scalar::from_owned(self.perl, value.sv) };
        Ok(string.text()?.unwrap_or_default())
    }
}

impl AsRef<Scalar> for Scalar {
    fn as_ref(&self) -> &Scalar {
        self
    }
}

impl Clone for Scalar {
    /// Another reference to the same scalar.
    fn clone(&self) -> Self {
        // SAFETY: it is live, since we hold it.
        unsafe { Self::from_borrowed(self.perl, self.raw()) }
    }
}

impl Drop for Scalar {
    #[inline]
    fn drop(&mut self) {
        if self.perl.is_alive() {
            // SAFETY: this reference is ours.
            unsafe { ffi::perlxs_sv_dec(self.perl.raw(), self.raw()) }
        }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scalar").field(&self.describe()).finish()
    }
}
